"""Commands: output, time limits, children left behind, and what they may not touch."""

import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mcp_e2e.errors import LaunchError
from mcp_e2e.model.jobs import Confinement, JobState, ResourceLimits
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


async def test_a_flood_of_output_is_counted_exactly_and_bounded_on_disk_and_in_memory(room):
    """200 MB printed as one single line: the log stays at its cap, head and tail and sizes are right."""
    size = 200_000_000
    flood = f"for _ in range({size} // 100_000): w(b'x' * 100_000)"
    code = f"import sys\nw = sys.stdout.buffer.write\nw(b'BEGIN')\n{flood}\nw(b'END')"
    job = await room.python(code)
    keeper, peak = job.keeper.pid, 0
    while room.look(job).live:
        peak = max(peak, memory_kib(keeper))
        await jobs.wait(room.dir, job.id, 0.05)
    end = room.look(job).exit
    assert end.stdout.bytes == size + 8
    assert end.stdout.head.startswith("BEGINxx")
    assert end.stdout.tail.endswith("xxEND")
    assert end.stdout.omitted == size + 8 - len(end.stdout.head) - len(end.stdout.tail)
    on_disk = job.log.stat().st_size
    assert 64 * 2**20 < on_disk < 64.2 * 2**20
    assert end.log_dropped == size + 8 - 64 * 2**20 - 64 * 2**10
    with job.log.open("rb") as log:
        log.seek(-2, 2)
        assert log.read() == b"ND"
    assert peak < 25_000, peak


def memory_kib(pid):
    """The most the process ever had in memory; 0 where the system does not say, or no longer."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)


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


async def test_a_command_has_no_terminal_and_no_file_of_ours(room):
    """Only 0, 1 and 2 are open, in a session of its own; a password prompt has nowhere to go."""
    code = "import os\nprint(sorted(map(int, os.listdir('/dev/fd')))[:4], os.getsid(0) == os.getpid())"
    out = (await room.end(await room.python(code))).exit.stdout.head
    assert out.strip() in ("[0, 1, 2, 3] True", "[0, 1, 2] True")  # 3 is the listing itself
    end = (await room.end(await room.command("sh", "-c", ": </dev/tty"))).exit
    assert end.exit_code != 0


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


async def test_a_program_that_does_not_exist_is_named_and_recorded(room):
    """The launch fails with the program and the system's reason; the record is there by then."""
    spec = room.spec("no-such-program", "x")
    with pytest.raises(LaunchError, match=r"no-such-program.*No such file") as caught:
        await jobs.launch(room.dir, spec)
    assert caught.value.facts["job"] == spec.id
    end = jobs.look(room.dir, spec.id).exit
    assert (end.reason, end.exit_code) == ("exec_failed", 127)
    assert end.error == "No such file or directory: 'no-such-program'"


@pytest.mark.parametrize("kind", ["command", "service"])
async def test_a_missing_folder_and_a_file_that_is_no_program_fail_the_same_way(room, kind):
    """A launch that cannot work is never retried, whatever the restart rule says."""
    with pytest.raises(LaunchError, match=r"working directory .*gone"):
        await room.command("true", kind=kind, cwd=room.cwd / "gone")
    (room.cwd / "text").write_text("no program")
    with pytest.raises(LaunchError, match="Permission denied"):
        await room.command(str(room.cwd / "text"), kind=kind)
    assert {job.exit.reason for job in jobs.list_jobs(room.dir)} == {"exec_failed"}


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


async def test_unusual_text_in_arguments_and_folders_arrives_unchanged(room):
    """Spaces, quotes, newlines, umlauts and bytes that are no UTF-8 are nobody's business."""
    folder = room.cwd / "a b\n'ü"
    folder.mkdir()
    text = "ä \"'\n\\ " + b"\xff".decode("utf-8", "surrogateescape")
    code = "import os, sys; print(ascii(os.path.basename(os.getcwd())), ascii(sys.argv[1]), ascii(os.environ['X']))"
    job = await room.command(sys.executable, "-c", code, text, cwd=folder, env={"X": text})
    assert (await room.end(job)).exit.stdout.head == f"{folder.name!a} {text!a} {text!a}\n"


@LINUX
async def test_a_layer_that_cannot_be_applied_is_told_or_ends_the_launch(room):
    """Where the best is wanted the command runs without it and says so; where all is required nothing runs."""
    nowhere = Confinement(("mounts",), (room.cwd / "nowhere",))
    job = await room.end(await room.command("touch", "ran", confinement=nowhere))
    assert (job.exit.exit_code, job.layers) == (0, ())
    (room.cwd / "ran").unlink()
    with pytest.raises(LaunchError, match="mounts cannot be applied"):
        await room.command("touch", "ran", confinement=replace(nowhere, required=True))
    assert not (room.cwd / "ran").exists()


async def test_a_folder_that_a_link_leads_to_by_now_is_not_entered(room):
    """What was checked as a folder of the project may have been swapped for a link out of it since."""
    (room.cwd / "elsewhere").mkdir()
    (room.cwd / "inside").symlink_to(room.cwd / "elsewhere")
    with pytest.raises(LaunchError, match="through a link"):
        await room.command("touch", "ran", cwd=room.cwd / "inside")
    assert not (room.cwd / "elsewhere" / "ran").exists()


async def test_a_file_ends_at_its_limit(room):
    """The limit holds from the first instruction on."""
    line = "head -c 5000 /dev/zero > big; exit $?"
    end = (await room.end(await room.command("sh", "-c", line, limits=ResourceLimits(file_bytes=1000)))).exit
    assert end.exit_code != 0
    assert (room.cwd / "big").stat().st_size == 1000
