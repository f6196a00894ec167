"""Commands: output, time limits, children left behind, and what they may not touch."""

import signal
import sys

import pytest

from mcp_e2e.model.jobs import JobState, ResourceLimits
from mcp_e2e.process import jobs
from mcp_e2e.process.identity import is_alive

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs a subreaper")


async def test_a_command_leaves_its_code_its_streams_and_one_log(room):
    """Exit code, both streams with exact sizes and the log in one place are known when it has ended."""
    job = await room.command("sh", "-c", "echo out; echo problem >&2; exit 3")
    end = (await room.end(job)).exit
    assert (end.reason, end.exit_code, end.signal, end.strays, end.escalated) == ("exited", 3, None, 0, False)
    assert (end.stdout.head, end.stdout.bytes, end.stderr.head, end.stderr.omitted) == ("out\n", 4, "problem\n", 0)
    assert sorted(job.log.read_text().splitlines()) == ["out", "problem"]


async def test_merged_streams_keep_the_order_of_writing(room):
    """Tests want one stream in which an error stands where it happened."""
    job = await room.command("sh", "-c", "echo 1; echo 2 >&2; echo 3", merge_streams=True)
    end = (await room.end(job)).exit
    assert (end.stdout.head, end.stderr) == ("1\n2\n3\n", None)


async def test_a_signal_is_reported_as_a_signal(room):
    """A command that dies by a signal has no exit code."""
    end = (await room.end(await room.command("sh", "-c", "kill -9 $$"))).exit
    assert (end.reason, end.exit_code, end.signal) == ("exited", None, signal.SIGKILL)


async def test_a_command_that_obeys_ends_at_the_first_warning(room):
    """INT is enough for most programs, and then nothing is escalated."""
    end = (await room.end(await room.command("sleep", "60", timeout_s=0.2))).exit
    assert (end.reason, end.signal, end.escalated) == ("timeout", signal.SIGINT, False)
    assert end.duration_s < 2


async def test_a_character_is_never_cut_between_head_and_tail(room):
    """Text of many bytes per character stays whole at the border of the excerpt."""
    job = await room.python("import sys; sys.stdout.buffer.write(('a' + '✓' * 1500).encode())")
    out = (await room.end(job)).exit.stdout
    assert out.head + out.tail == "a" + "✓" * 1500
    assert out.omitted == 0


async def test_a_reader_of_stdin_ends_at_once(room):
    """Nobody will ever type: a command that asks gets end of file, not an endless wait."""
    end = (await room.end(await room.command("cat"), timeout_s=5)).exit
    assert (end.exit_code, end.stdout.bytes) == (0, 0)


@LINUX
async def test_a_fork_storm_is_ended_as_a_whole(room):
    """Sixty-odd processes, each in its own session, ignoring TERM: none is left."""
    code = (
        "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "for _ in range(6):\n    os.fork()\n    os.getpid() == os.getpgid(0) or os.setsid()\n"
        "os.write(1, b'up\\n')\ntime.sleep(60)"
    )
    job = await room.python(code)
    await room.line(job, 63)
    end = (await jobs.stop(room.dir, job.id)).exit
    assert end.reason == "stopped"
    assert end.escalated or end.strays


async def test_the_environment_is_never_on_disk(room):
    """The child gets its secret; no file in the job's folder has it."""
    secret = "hunter2-geheim"
    job = await room.command("sh", "-c", "test ${#SECRET} = 14 && env | wc -l", env={"SECRET": secret})
    assert (await room.end(job)).exit.exit_code == 0
    files = [path for path in job.folder.rglob("*") if path.is_file()]
    assert len(files) >= 5
    assert [path for path in files if secret.encode() in path.read_bytes()] == []
    assert '"SECRET"' in (job.folder / "spec.json").read_text()


async def test_stopping_a_command_is_recorded_as_such(room):
    """A cancelled command is neither a timeout nor a failure of its own."""
    job = await room.command("sleep", "60")
    end = await jobs.stop(room.dir, job.id)
    assert (end.state, end.exit.reason, end.exit.signal) == (JobState.EXITED, "stopped", signal.SIGINT)
    assert not is_alive(job.process)
    assert await jobs.stop(room.dir, job.id) == end


async def test_a_file_ends_at_its_limit(room):
    """The limit holds from the first instruction on."""
    line = "head -c 5000 /dev/zero > big; exit $?"
    end = (await room.end(await room.command("sh", "-c", line, limits=ResourceLimits(file_bytes=1000)))).exit
    assert end.exit_code != 0
    assert (room.cwd / "big").stat().st_size == 1000
