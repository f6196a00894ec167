"""Faults 1 to 3: a server is killed while it starts a job or follows one."""

import signal
from collections.abc import Callable
from subprocess import Popen

import pytest

from mcp_e2e.errors import NotFound
from mcp_e2e.model.jobs import JobState
from mcp_e2e.process import jobs
from mcp_e2e.process.output import read_slice
from tests.faults.dying import kill_group, kill_process, kill_tree, launcher, said
from tests.process.conftest import Room

NO_SPEC = "jobs.stored_spec = die"
HALF_A_SPEC = "Path.write_text = lambda path, text, *_: (path.write_bytes(text[:50].encode()), die())"
HIDDEN = "Path.rename = die"
HANDS_OVER = """
def hand_over(keeper, message, timeout):
    keeper.stdin.write(message)
    keeper.stdin.flush()
    print("handed over", flush=True)
    time.sleep(60)

subprocess.Popen.communicate = hand_over
"""
STREAMS = """
async def follow(job):
    offset, text = 0, ""
    while text != "one":
        text, offset = output.read_slice(job.log, 0, 3)
    print(offset, flush=True)
"""


@pytest.mark.parametrize("step", [NO_SPEC, HALF_A_SPEC, HIDDEN])
async def test_fault_01_server_killed_before_the_spec_is_complete(room: Room, step: str) -> None:
    """What it had begun is no job; nothing of it runs, and the same id can be launched and runs once."""
    spec = room.spec("sh", "-c", "echo ran")
    with launcher(room, spec.id, "command", "touch", str(room.cwd / "begun"), step=step) as server:
        assert server.wait(30) == -signal.SIGKILL
    assert len(list(room.dir.iterdir())) == 1
    assert jobs.list_jobs(room.dir) == []
    with pytest.raises(NotFound):
        jobs.look(room.dir, spec.id)
    job = await room.end(await jobs.launch(room.dir, spec))
    assert (job.log.read_text(), (room.cwd / "begun").exists()) == ("ran\n", False)


async def test_fault_02_server_killed_before_the_ack(room: Room) -> None:
    """Nobody hears that the job runs: it runs all the same, and whoever looks next finds it and its end."""
    spec, flag = room.spec("sh"), room.cwd / "go"
    line = f"until test -e {flag}; do sleep 0.02; done; exit 6"
    with launcher(room, spec.id, "command", "sh", "-c", line, step=HANDS_OVER) as server:
        assert said(server) == "handed over"
        server.kill()
    job = await room.until(lambda: (seen := jobs.look(room.dir, spec.id)).state is JobState.RUNNING and seen)
    flag.touch()
    assert (await room.end(job)).exit.exit_code == 6


@pytest.mark.parametrize("kill", [kill_process, kill_group, kill_tree])
async def test_fault_03_server_killed_while_it_streams(room: Room, kill: Callable[[Popen[str]], None]) -> None:
    """By its pid, with its group or with its whole tree: output, exit code and cursor are there for the next reader."""
    spec, flag = room.spec("sh"), room.cwd / "go"
    line = f"echo one; until test -e {flag}; do sleep 0.02; done; echo two; exit 6"
    with launcher(room, spec.id, "command", "sh", "-c", line, step=STREAMS) as server:
        cursor = int(said(server))
        kill(server)
    assert server.returncode == -signal.SIGKILL
    job = jobs.look(room.dir, spec.id)
    assert job.state is JobState.RUNNING
    flag.touch()
    end = (await room.end(job)).exit
    assert (end.exit_code, end.stdout.bytes) == (6, 8)
    assert read_slice(job.log, cursor, 100)[0] == "\ntwo\n"
