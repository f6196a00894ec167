"""Faults 4 to 8, 14 and 22: the keeper of a job is killed at each of its steps, is a second one, or stands still."""

import os
import signal
import sys
from pathlib import Path

import anyio
import pytest

from mcp_e2e.errors import ServiceUnavailable
from mcp_e2e.model.jobs import JobState
from mcp_e2e.process import jobs
from mcp_e2e.process import stop as stopping
from mcp_e2e.process.identity import is_alive, send_signal
from mcp_e2e.process.locks import FileLock
from tests.faults.dying import kept_until
from tests.process.conftest import Room
from tests.usecases.conftest import Servers

BEFORE_STATE = "files.put = die"
BEFORE_THE_GATE = "files.put = lambda name, value: (put(name, value), value['process'] and die())"
BEFORE_THE_RECORD = "files.replace = lambda old, new: die() if new == 'exit.json' else replace(old, new)"
AFTER_THE_RECORD = "files.replace = lambda old, new: (replace(old, new), new == 'exit.json' and die())"


async def test_fault_04_keeper_killed_before_its_state(room: Room) -> None:
    """The job never started; its folder is still good for one start, and that one runs it once."""
    job = await kept_until(room, BEFORE_STATE, "command", "sh", "-c", "echo ran")
    assert (job.state, job.log.exists(), FileLock.is_held(job.folder / "lock")) == (
        JobState.NEVER_STARTED,
        False,
        False,
    )
    assert room.keeper_on(job.folder) == {"ok": True}
    assert (await room.end(job)).exit.exit_code == 0
    assert job.log.read_text() == "ran\n"
    assert room.keeper_on(job.folder)["error"] == "used"


@pytest.mark.parametrize("kind", ["command", "service"])
async def test_fault_05_keeper_killed_between_state_and_gate(room: Room, kind: str) -> None:
    """The child waits for the word that it is on record; end of file is not that word, and nothing ever runs."""
    flag = room.cwd / "ran"
    job = await kept_until(room, BEFORE_THE_GATE, kind, "touch", str(flag))
    assert job.process is not None
    await room.until(lambda: not is_alive(job.process))
    assert (room.look(job).state, flag.exists()) == (JobState.LOST, False)
    assert room.keeper_on(job.folder)["error"] == "used"
    assert not flag.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="adoption is Linux's")
async def test_fault_06_keeper_of_a_service_killed(server: Servers, project: Path) -> None:
    """The next server keeps it on: same pid, same generation; and its next death is answered by a restart as ever."""
    async with server(stops=False) as app:
        first = await app.sessions.start(app.caller)
        job = jobs.look(project / ".mcp-e2e/private/jobs", first.job or "")
    assert job.keeper is not None
    assert send_signal(job.keeper, signal.SIGKILL)
    async with server() as app:
        with anyio.fail_after(20):
            while (now := jobs.look(job.folder.parent, job.id)).keeper == job.keeper or now.state != "running":
                await anyio.sleep(0.05)
        again = await app.sessions.start(app.caller)
        assert (again.pid, again.generation, again.state) == (first.pid, first.generation, "ready")
        os.kill(first.pid or 0, signal.SIGKILL)
        with anyio.fail_after(20):
            while (later := await app.sessions.start(app.caller)).generation == first.generation:
                await anyio.sleep(0.05)
    assert later.pid != first.pid


@pytest.mark.skipif(sys.platform != "linux", reason="needs a parent death signal")
async def test_fault_07_keeper_of_a_command_killed(room: Room) -> None:
    """Without a reader of its pipes it could only hang: it dies too and is lost; what it left behind is still known."""
    job = await room.command("sh", "-c", "setsid sleep 60 & echo $!; exec sleep 60")
    stray = int(await room.line(job))
    await room.until(lambda: len(stopping.members(job)) == 2)
    assert send_signal(job.keeper, signal.SIGKILL)
    assert (await room.end(job)).state is JobState.LOST
    assert not is_alive(job.process)
    assert [process.pid for process in stopping.members(job)] == [stray]
    await jobs.stop(room.dir, job.id)
    assert stopping.members(job) == []


@pytest.mark.parametrize(
    ("step", "state", "code"), [(BEFORE_THE_RECORD, JobState.LOST, None), (AFTER_THE_RECORD, JobState.EXITED, 7)]
)
async def test_fault_08_keeper_killed_at_the_exit_record(
    room: Room, step: str, state: JobState, code: int | None
) -> None:
    """A record is there whole or not at all; without it the job is lost, and is not run again either way."""
    job = await kept_until(room, step, "command", "sh", "-c", "echo ran; exit 7")
    assert (job.state, job.exit and job.exit.exit_code) == (state, code)
    assert room.keeper_on(job.folder)["error"] == "used"
    assert job.log.read_text() == "ran\n"


async def test_fault_14_second_keeper_on_one_folder(room: Room) -> None:
    """Refused while the first lives and after: a folder has one owner and is used once, so nothing runs twice."""
    job = await room.command("sh", "-c", "echo ran; sleep 60")
    await room.line(job)
    assert room.keeper_on(job.folder)["error"] == "locked"
    await jobs.stop(room.dir, job.id)
    assert room.keeper_on(job.folder)["error"] == "used"
    assert job.log.read_text() == "ran\n"


async def test_fault_22_keeper_stopped_and_continued(room: Room) -> None:
    """It is still running, and a stop says that it failed and why; when it wakes it obeys and records the end."""
    job = await room.service("sleep", "60")
    send_signal(job.keeper, signal.SIGSTOP)
    assert room.look(job).state is JobState.RUNNING
    with pytest.raises(ServiceUnavailable, match=str(job.keeper.pid)) as caught:
        await jobs.stop(room.dir, job.id, deadline_s=0.2)
    assert set(caught.value.facts["pids"]) == {job.keeper.pid, job.process.pid}
    send_signal(job.keeper, signal.SIGCONT)
    assert (await room.end(job)).exit.reason == "stopped"
