"""Whoever kills a keeper does not leave its job's children running for ever."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from mcp_e2e.bootstrap import Options, open_app
from mcp_e2e.model.jobs import Job, JobState
from mcp_e2e.process import jobs
from mcp_e2e.process.identity import descendants, identity, is_alive, send_signal
from mcp_e2e.process.leftovers import Leftovers
from tests.usecases.conftest import Servers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children of a dead job are found by /proc only")

STRAY = """
if [ -e stray ]; then
  if grep -q "^State:.[^Z]" /proc/$(cat stray)/status; then echo AssertionError: met it; exit 1; fi
  exit 0
fi
sleep 300 &
echo $! > stray.tmp
mv stray.tmp stray
wait
"""


async def until(fact: Callable[[], Any], deadline_s: float = 20) -> Any:
    """The first true value of a fact, or failure at the deadline."""
    with anyio.fail_after(deadline_s):
        while not (value := fact()):
            await anyio.sleep(0.02)
    return value


def killed(job: Job, *, whole: bool = False) -> None:
    """The keeper by kill -9; ``whole``: and what it had started, so that nobody can adopt it."""
    assert job.keeper is not None
    assert job.process is not None
    send_signal(job.keeper, signal.SIGKILL)
    if whole:
        send_signal(job.process, signal.SIGKILL)


async def test_a_server_ends_what_a_lost_command_left(server: Servers, project: Path) -> None:
    """Without any call: the command died with its keeper, the child in its background did not."""
    async with server() as app:
        begun = await app.execs.run(app.caller, command="sleep 300 & echo $! > child; wait", wait_seconds=0)
        pid = int(await until(lambda: (project / "child").exists() and (project / "child").read_text().strip()))
        child = identity(pid)
        assert child is not None
        folder = app.state_dir / "private" / "jobs"
        killed(jobs.look(folder, begun.job))
        await until(lambda: not is_alive(child))
        assert jobs.look(folder, begun.job).state is JobState.LOST


async def test_the_rerun_of_a_lost_test_does_not_meet_what_it_left(project: Path) -> None:
    """It would meet taken ports and a full card, and be red for that."""
    (project / "stray.sh").write_text(STRAY)
    with (project / "mcp-e2e.toml").open("a") as config:
        config.write('\n[[tests]]\nid = "stray"\ncommand = ["sh", "stray.sh"]\n')
    base = {"PATH": os.environ["PATH"], "HOME": str(project.parent)}
    async with open_app(Options(project=project), base, settles=False) as app:
        begun = await app.attempts.run(app.caller, test="stray", wait_seconds=0)
        await until((project / "stray").exists)
        folder = app.state_dir / "private" / "jobs"
        killed(next(job for job in jobs.list_jobs(folder) if job.labels.get("attempt") == begun.attempt))
        done = await app.attempts.run(app.caller, test="stray")
        assert (done.verdict, done.rerun_of) == ("passed", begun.attempt)
        await app.sessions.stop(app.caller)


async def test_a_service_is_not_started_beside_what_the_last_one_left(project: Path) -> None:
    """Keeper and service were killed together: the workers of the dead one go before the next one comes."""
    worker = "import subprocess\nsubprocess.Popen(['sleep', '300'])\n"
    (project / "service.py").write_text(worker + (project / "service.py").read_text())
    base = {"PATH": os.environ["PATH"], "HOME": str(project.parent)}
    async with open_app(Options(project=project), base, settles=False) as app:
        first = await app.sessions.start(app.caller)
        folder = app.state_dir / "private" / "jobs"
        job = jobs.look(folder, str(first.job))
        assert job.process is not None
        left = descendants(job.process)
        assert len(left) == 1
        killed(job, whole=True)
        await until(lambda: jobs.look(folder, job.id).state is JobState.LOST)
        second = await app.sessions.start(app.caller)
        assert (second.state, is_alive(left[0])) == ("ready", False)
        await app.sessions.stop(app.caller)


async def test_a_job_that_is_over_is_looked_at_once(server: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long past costs a server nothing each time it settles."""
    looked: list[str] = []
    original = jobs.look

    def look(folder: Path, job: str) -> Job:
        looked.append(job)
        return original(folder, job)

    async with server() as app:
        done = await app.execs.run(app.caller, command="true")
        monkeypatch.setattr("mcp_e2e.process.leftovers.look", look)
        leftovers = Leftovers()
        for _ in range(3):
            await leftovers.end(app.state_dir / "private" / "jobs")
        assert looked.count(done.job) == 1


async def test_a_server_that_looks_dead_for_a_moment_takes_over_nothing_from_itself(
    server: Servers, project: Path
) -> None:
    """Its lease file is removed while a test runs: the attempt goes on once, under the lease that is made anew."""
    async with server() as app:
        begun = await app.attempts.run(app.caller, test="slow", wait_seconds=0.5)
        for file in (project / ".mcp-e2e/private/leases").glob("*.lease"):
            file.unlink()
        claimed = await app._place.run(app._execution._claim_from_the_dead)
        assert claimed == []
        (project / "go").touch()
        done = await app.attempts.run(app.caller, test="slow", wait_seconds=30)
        assert (done.attempt, done.verdict) == (begun.attempt, "passed")


async def test_a_keeper_that_could_not_be_followed_is_left_alone_not_its_service(
    server: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else was quicker this time; when his keeper is killed too, the service gets its next one."""
    async with server() as app:
        session = await app.sessions.start(app.caller)
        folder = app.state_dir / "private" / "jobs"
        job = jobs.look(folder, session.job or "")
        assert job.keeper is not None
        adopt, quicker = jobs.adopt, 0

        async def by_another(jobs_dir: Path, job_id: str) -> bool:
            nonlocal quicker
            quicker += 1
            await adopt(jobs_dir, job_id)
            return False

        monkeypatch.setattr(jobs, "adopt", by_another)
        send_signal(job.keeper, signal.SIGKILL)
        second = await until(lambda: (now := jobs.look(folder, job.id)).keeper != job.keeper and now)
        send_signal(second.keeper, signal.SIGKILL)
        third = await until(lambda: (now := jobs.look(folder, job.id)).keeper != second.keeper and now)
        assert (third.process, quicker) == (job.process, 2)
