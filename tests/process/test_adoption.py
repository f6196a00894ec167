"""A service whose keeper was killed gets a new one: restarts, stop and exit code go on as if nothing had been."""

import platform
import re
import shutil
import signal
import sys
from pathlib import Path

import anyio
import pytest

from mcp_e2e.model.jobs import JobState, RestartPolicy
from mcp_e2e.process import jobs, keeper
from mcp_e2e.process import stop as stopping
from mcp_e2e.process.identity import identity, is_alive, send_signal
from mcp_e2e.process.leftovers import Leftovers
from mcp_e2e.process.locks import FileLock
from mcp_e2e.process.stop import ask_to_stop

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs pidfd and /proc")
QUICK = RestartPolicy("on-failure", backoff_first_s=0.05)


async def orphaned(room, *argv, **more):
    job = await room.service(*argv, **more)
    await room.line(job)
    send_signal(job.keeper, signal.SIGKILL)
    return await room.until(lambda: (seen := room.look(job)).state is JobState.ORPHAN and seen)


async def test_the_same_process_goes_on_under_a_new_keeper(room):
    """Process, generation and log are those of before; only the keeper is another."""
    before = await orphaned(room, "sh", "-c", "echo up; exec sleep 60")
    assert await jobs.adopt(room.dir, before.id)
    now = room.look(before)
    assert (now.state, now.process, now.generation) == (JobState.RUNNING, before.process, before.generation)
    assert now.keeper != before.keeper
    assert is_alive(now.keeper)


async def test_it_is_restarted_with_its_environment_and_stopped_for_good(room):
    """kill -9 of the adopted process: the next life has the same secret, which no file has; then a stop is the end."""
    code = 'echo "$SECRET $$"; exec sleep 60'
    before = await orphaned(room, "sh", "-c", code, env={"SECRET": "geheim-42"}, restart=QUICK)
    assert await jobs.adopt(room.dir, before.id)
    send_signal(before.process, signal.SIGKILL)
    assert (await room.line(before, 1)).startswith("geheim-42 ")
    files = [path for path in before.folder.iterdir() if path.name != "log" and path.is_file()]
    assert [path for path in files if b"geheim-42" in path.read_bytes()] == []
    ended = await jobs.stop(room.dir, before.id)
    assert (ended.exit.reason, [life.signal for life in ended.lives]) == ("stopped", [9, 15])


async def test_the_exit_code_is_known_where_the_kernel_tells_it(room):
    """A process that is nobody's child of ours ends with 7, and the record says 7, or that nobody knows."""
    before = await orphaned(room, "sh", "-c", "echo up; until test -e go; do sleep 0.02; done; exit 7")
    assert await jobs.adopt(room.dir, before.id)
    (room.cwd / "go").touch()
    end = (await room.end(before)).exit
    assert end.exit_code in (7, None)
    if tuple(map(int, re.findall(r"\d+", platform.release())[:2])) >= (6, 15):
        assert end.exit_code == 7


async def test_children_of_an_orphan_are_ended_with_it(room):
    """Also one that left its session: it bears the job's marker."""
    before = await orphaned(room, "sh", "-c", "setsid sleep 60 & echo $!; wait")
    child = int(before.log.read_text())
    assert await jobs.adopt(room.dir, before.id)
    await jobs.stop(room.dir, before.id)
    assert identity(child) is None


async def test_an_orphan_that_is_to_stop_is_ended_by_whoever_adopts_it(room):
    """A stop and an adoption meet: the new keeper finds the wish, and must not leave what runs to nobody."""
    before = await orphaned(room, "sh", "-c", "echo up; exec sleep 60")
    ask_to_stop(before.folder)
    await jobs.adopt(room.dir, before.id)
    ended = await room.end(before)
    assert (ended.exit.reason, is_alive(before.process)) == ("stopped", False)


async def test_of_many_adopters_one_wins_and_what_is_kept_is_not_adopted(room):
    """Twelve servers see the orphan at once."""
    before = await orphaned(room, "sh", "-c", "echo up; exec sleep 60")
    won = []

    async def race():
        won.append(await jobs.adopt(room.dir, before.id))

    async with anyio.create_task_group() as racers:
        for _ in range(12):
            racers.start_soon(race)
    assert won.count(True) == 1
    assert not await jobs.adopt(room.dir, before.id)


async def test_a_stop_that_its_keeper_did_not_live_to_obey_is_obeyed_by_the_next(room):
    """The wish was stored, then the keeper was killed: its successor ends the process, and only then says stopped."""
    before = await orphaned(room, "sh", "-c", "echo up; exec sleep 60")
    assert not stopping.ask_to_stop(before.folder)
    assert await jobs.adopt(room.dir, before.id)
    end = (await room.end(before)).exit
    assert (end.reason, is_alive(before.process)) == ("stopped", False)


async def test_a_copied_folder_takes_no_living_service(room):
    """Its lock is free, since it is another file; the keeper on record lives, so nobody adopts or ends anything."""
    job = await room.service("sh", "-c", "sleep 300 & wait", env={"MCP_E2E_JOB": "j-copied"}, id="j-copied")
    elsewhere = room.cwd / "elsewhere"
    shutil.copytree(room.dir, elsewhere, ignore=shutil.ignore_patterns("ctl"))
    assert await jobs.adopt(elsewhere, job.id) is False
    await Leftovers().end(elsewhere)
    now = room.look(job)
    assert (now.state, now.process, now.keeper) == (JobState.RUNNING, job.process, job.keeper)
    assert is_alive(job.process)


async def test_an_adopter_that_is_slow_ends_nothing(room, monkeypatch):
    """Its launcher gives up waiting: that is no wish to stop a service which runs."""
    before = await orphaned(room, "sh", "-c", "echo up; exec sleep 60")
    monkeypatch.setattr(jobs, "ACK_S", 0.001)
    assert await jobs.adopt(room.dir, before.id) is False
    monkeypatch.undo()
    assert not (before.folder / "want").exists()
    await room.until(
        lambda: room.look(before).state is JobState.RUNNING or not FileLock.is_held(before.folder / "lock")
    )
    await jobs.adopt(room.dir, before.id)
    after = room.look(before)
    assert (after.state, after.process) == (JobState.RUNNING, before.process)


async def test_an_adopter_never_shows_a_state_that_has_forgotten_the_process(room):
    """From the first write on: whoever looks just then would take a running service for lost."""
    job = await orphaned(room, "sh", "-c", "echo up; exec sleep 60")
    code = (
        "import sys; sys.path.append(sys.argv[1])\n"
        "from keeping import adopter, files\n"
        "files.put = lambda name, state: print(state['process']['pid'], len(state['lives']), state['phase'])\n"
        "adopter.Adopter(files.read('spec.json'), files.read('state.json'), None)\n"
    )
    keeping = str(Path(keeper.__file__).parent)
    told = await anyio.run_process([sys.executable, "-I", "-S", "-c", code, keeping], cwd=job.folder)
    assert told.stdout.decode() == f"{job.process.pid} 1 running\n"
