"""The keeper that stands by: it starts a job like any other, and never costs one."""

import signal
import sys
from collections.abc import Iterator

import psutil
import pytest

from mcp_e2e.errors import LaunchError
from mcp_e2e.model.jobs import JobState
from mcp_e2e.process import jobs
from mcp_e2e.process.identity import send_signal
from mcp_e2e.process.locks import FileLock
from mcp_e2e.process.spare import Spare
from tests.process.conftest import Room, over, standing_by

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no keepers there yet")


@pytest.fixture
def spare(mark: str) -> Iterator[Spare]:
    spare = Spare()
    spare.prepare()
    yield spare
    spare.close()


async def test_a_spare_runs_a_job_as_any_keeper_does(room: Room, spare: Spare) -> None:
    """Environment, output, exit code, lock and the keeper's own errors are where they are always."""
    job = await jobs.launch(room.dir, room.spec("sh", "-c", 'echo "$ONE"; exit 4', env={"ONE": "x" * 100_000}), spare)
    end = await room.end(job)
    assert (end.exit.exit_code, end.exit.stdout.bytes) == (4, 100_001)
    await room.until(lambda: not FileLock.is_held(job.folder / "lock"))
    assert (job.folder / "keeper.err").read_text() == ""


async def test_it_is_the_spare_that_keeps_the_job_and_is_used_once(room: Room, spare: Spare) -> None:
    """The first job gets it, the second a keeper of its own, until one is prepared again."""
    first = await jobs.launch(room.dir, room.spec("sleep", "60"), spare)
    second = await jobs.launch(room.dir, room.spec("sleep", "60"), spare)
    spare.prepare()
    third = await jobs.launch(room.dir, room.spec("sleep", "60"), spare)
    started_by_spare = ["--spare" in psutil.Process(job.keeper.pid).cmdline() for job in (first, second, third)]
    assert started_by_spare == [True, False, True]


async def test_it_leaves_with_its_server(room: Room, spare: Spare, mark: str) -> None:
    """The other end closes, as it does by any death: no keeper waits for ever."""
    waiting = standing_by(mark)
    spare.close()
    await room.until(lambda: over(waiting))
    spare.prepare()
    assert spare._ours is None


async def test_a_job_started_by_a_spare_survives_its_end(room: Room, spare: Spare) -> None:
    """Once it has a job it is a keeper like others: the server's end is not the job's."""
    job = await jobs.launch(room.dir, room.spec("sleep", "60"), spare)
    spare.close()
    assert room.look(job).state is JobState.RUNNING
    assert send_signal(job.process, signal.SIGTERM)
    assert (await room.end(job)).exit.signal == signal.SIGTERM


async def test_a_frozen_spare_runs_nothing_later(room: Room, spare: Spare, mark: str) -> None:
    """It does not answer in time: the launch fails once and for all, also when it wakes up."""
    waiting = standing_by(mark)
    waiting.suspend()
    assert spare._ours is not None
    spare._ours.settimeout(0.2)
    spec = room.spec("touch", str(room.cwd / "ran"))
    with pytest.raises(LaunchError, match="no answer"):
        await jobs.launch(room.dir, spec, spare)
    waiting.resume()
    end = (await room.end(jobs.look(room.dir, spec.id))).exit
    assert (end.reason, (room.cwd / "ran").exists()) == ("stopped", False)
