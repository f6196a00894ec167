"""Commands whose keeper was killed: what can be told of their end, and that nothing of them lives on."""

import signal
import sys
from pathlib import Path

import anyio
import pytest

from mcp_e2e.bootstrap import App
from mcp_e2e.model.jobs import Job
from mcp_e2e.process import jobs
from mcp_e2e.process import stop as stopping
from mcp_e2e.process.identity import send_signal
from tests.usecases.conftest import Servers
from tests.usecases.test_survival import write_test

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a parent death signal and /proc")
LEAVES_ONE = "setsid sleep 300 & echo up; wait"


async def lose_keeper(app: App, job_id: str) -> Job:
    """kill -9, once the command has said that it is up."""
    log = jobs.look(app._place.layout.jobs, job_id).log
    with anyio.fail_after(20):
        while not log.exists() or "up" not in log.read_text():
            await anyio.sleep(0.02)
    job = jobs.look(app._place.layout.jobs, job_id)
    assert job.keeper is not None
    assert len(stopping.members(job)) == 2
    send_signal(job.keeper, signal.SIGKILL)
    return job


async def test_a_command_whose_keeper_was_killed_says_so_and_leaves_nothing(server: Servers) -> None:
    """It died with its keeper; what had left its process group did not, and is ended and counted."""
    async with server() as app:
        begun = await app.execs.run(app.caller, command=LEAVES_ONE, wait_seconds=0)
        job = await lose_keeper(app, begun.job)
        told = await app.execs.job(app.caller, action="wait", id=begun.job, wait_seconds=20)
        assert (told.state, told.reason, told.exit_code) == ("lost", "keeper_killed", None)
        assert "(its keeper) was killed from outside" in (told.next_step or "")
        assert "1 of its processes that lived on were ended" in (told.next_step or "")
        assert stopping.members(job) == []
        assert [line.state for line in (await app.execs.job(app.caller)).jobs or ()] == ["lost"]


async def test_after_a_restart_of_the_machine_that_is_what_is_said(server: Servers) -> None:
    """The files are of another boot: nobody killed anything."""
    async with server() as app:
        begun = await app.execs.run(app.caller, command="echo up; sleep 60", wait_seconds=0)
        job = jobs.look(app._place.layout.jobs, begun.job)
        assert job.keeper is not None
        send_signal(job.keeper, signal.SIGKILL)
        await jobs.wait(app._place.layout.jobs, job.id, 20)
        file = job.folder / "state.json"
        file.write_text(file.read_text().replace(job.keeper.boot_id, "another boot"))
        told = await app.execs.job(app.caller, action="output", id=begun.job)
    assert (told.state, told.reason) == ("lost", "reboot")
    assert (told.next_step or "").startswith("The machine restarted while it ran")


async def test_a_test_whose_keeper_was_killed_is_lost_and_says_why(project: Path, server: Servers) -> None:
    """It is run once more by itself; the lost try tells what happened and how much of it was left."""
    write_test(project, "killed", f"test -e again && exit 0; touch again; {LEAVES_ONE}")
    async with server() as app:
        await app.sessions.start(app.caller)
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: app.attempts.run(app.caller, test="killed", wait_seconds=50))
            with anyio.fail_after(20):
                while not (found := [job for job in jobs.list_jobs(app._place.layout.jobs) if job.kind == "command"]):
                    await anyio.sleep(0.02)
            job = await lose_keeper(app, found[0].id)
        last = await app.attempts.run(app.caller, test="killed", wait_seconds=50)
        assert stopping.members(job) == []
        lost = await app._place.run(lambda con: con.execute("SELECT * FROM attempts WHERE verdict = 'lost'").fetchall())
    assert last.verdict == "passed"
    assert len(lost) == 1
    assert "(its keeper) was killed from outside" in str(dict(lost[0]))
    assert '"strays_killed": 1' in str(dict(lost[0])).replace("'", '"')
