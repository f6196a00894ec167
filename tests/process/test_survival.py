"""What lives on when its launcher or its keeper does not, and that nothing ever runs twice."""

import os
import signal

import anyio

from mcp_e2e.errors import LaunchError
from mcp_e2e.model.jobs import JobState
from mcp_e2e.process import jobs
from mcp_e2e.process import stop as stopping
from mcp_e2e.process.identity import is_alive, send_signal
from mcp_e2e.process.locks import FileLock


async def test_of_many_launches_of_one_id_one_wins(room):
    """The others are told that the id is taken, and nothing of them is left."""
    spec, won, lost = room.spec("sh", "-c", "echo ran; sleep 60"), [], []

    async def race():
        try:
            won.append(await jobs.launch(room.dir, spec))
        except LaunchError as error:
            lost.append(error.message)

    async with anyio.create_task_group() as racers:
        for _ in range(8):
            racers.start_soon(race)
    assert (len(won), set(lost), len(lost)) == (1, {f"job {spec.id} exists already"}, 7)
    assert [path.name for path in room.dir.iterdir()] == [spec.id]
    await room.line(won[0])
    assert won[0].log.read_text() == "ran\n"


async def test_of_many_keepers_on_one_folder_one_runs_the_command(room):
    """The lock, not the order of checks, decides."""
    spec = room.spec("sh", "-c", "echo ran; sleep 60")
    os.close(jobs._prepare(room.dir, spec))
    answers = []

    async def race():
        answers.append(await anyio.to_thread.run_sync(room.keeper_on, room.dir / spec.id))

    async with anyio.create_task_group() as racers:
        for _ in range(6):
            racers.start_soon(race)
    assert sum(answer.get("ok", False) for answer in answers) == 1
    job = jobs.look(room.dir, spec.id)
    await room.line(job)
    assert job.log.read_text() == "ran\n"


async def test_half_a_start_message_starts_nothing(room):
    """A server that dies while it hands over the environment leaves a job that never started."""
    spec = room.spec("touch", str(room.cwd / "ran"))
    os.close(jobs._prepare(room.dir, spec))
    assert room.keeper_on(room.dir / spec.id, '{"env": {"PATH": "/usr')["error"] == "spec"
    await room.until(lambda: not FileLock.is_held(room.dir / spec.id / "lock"))
    assert jobs.look(room.dir, spec.id).state is JobState.NEVER_STARTED
    assert not (room.cwd / "ran").exists()


async def test_a_service_whose_keeper_died_is_an_orphan_that_stop_can_end(room):
    """kill -9 of the keeper: the service lives on, is known by its identity, and its whole tree can be ended."""
    job = await room.service("sh", "-c", "setsid sleep 60 & sleep 60 & echo up; wait")
    await room.line(job)
    assert len(await room.until(lambda: len(found := stopping.members(job)) == 3 and found)) == 3
    send_signal(job.keeper, signal.SIGKILL)
    orphan = await room.until(lambda: (seen := room.look(job)).state is JobState.ORPHAN and seen)
    assert orphan.live
    assert is_alive(orphan.process)
    ended = await jobs.stop(room.dir, job.id)
    assert (ended.state, stopping.members(ended)) == (JobState.LOST, [])


async def test_a_stop_that_came_before_the_first_process_wins(room):
    """The intent is stored first, so it holds although no keeper listened when it was given."""
    spec = room.spec("touch", str(room.cwd / "ran"))
    os.close(jobs._prepare(room.dir, spec))
    assert not stopping.ask_to_stop(room.dir / spec.id)
    assert room.keeper_on(room.dir / spec.id)["error"] == "stopped"
    job = await room.end(jobs.look(room.dir, spec.id))
    assert (job.exit.reason, job.lives) == ("stopped", ())
    assert not (room.cwd / "ran").exists()
