"""Work outlives whoever began it: servers that end or die, services that die, and clients that stop waiting."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from mcp_e2e.errors import Contradiction, ServiceInUse, ServiceUnavailable
from mcp_e2e.model.answers import AttemptAnswer
from tests.usecases.conftest import Servers

SERVER = """
import os, sys
from pathlib import Path
import anyio
from mcp_e2e.bootstrap import Options, open_app
from mcp_e2e.process import jobs

async def main():
    async with open_app(Options(project=Path(sys.argv[1])), os.environ, client_name="victim") as app:
        begun = await app.attempts.run(app.caller, test=sys.argv[2], wait_seconds=0)
        while begun.state != "running":
            begun = await app.attempts.run(app.caller, test=sys.argv[2], wait_seconds=0.05)
        folder = app.state_dir / "private" / "jobs"
        while not any(job.labels.get("attempt") == begun.attempt and job.lives for job in jobs.list_jobs(folder)):
            await anyio.sleep(0.01)
        print(begun.attempt, flush=True)
        await anyio.sleep(600)

anyio.run(main)
"""


def victim(project: Path, test: str) -> tuple[subprocess.Popen[str], str]:
    """A server in the middle of ``test``, in its own process group; its attempt is running when this returns."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(project), test],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={"PATH": os.environ["PATH"], "HOME": str(project.parent)},
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def kill_group(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


async def settled(server: Servers, **how: str) -> AttemptAnswer:
    async with server(stops=False) as app:
        return await app.attempts.run(app.caller, test=how.get("test"), wait_seconds=30)


async def test_a_killed_server_loses_neither_service_nor_place_nor_verdict(server: Servers, project: Path) -> None:
    """Three kill -9 in mid-test: same pid and generation, one verdict each, handed over once, no breaker."""
    async with server(stops=False) as app:
        session = await app.sessions.start(app.caller)
        await app.runs.plan(app.caller, tests=["slow"], count=3)
    for n in range(1, 4):
        process, attempt_id = victim(project, "slow")
        kill_group(process)
        (project / "go").touch()
        handed = await settled(server, test="slow")
        (project / "go").unlink()
        assert (handed.attempt, handed.verdict, handed.joined) == (attempt_id, "passed", True)
        async with server(stops=False) as app:
            now = await app.sessions.start(app.caller)
            assert (now.pid, now.generation) == (session.pid, session.generation)
            point = await app.runs.checkpoint(app.caller, result="success")
            assert (point.slot, point.position and point.position.breaker) == (n, "closed")
    async with server() as app:
        report = await app.reports.show(app.caller)
        assert (report.overall, report.counts and report.counts["attempts"]) == ("passed", 3)


async def test_a_second_server_takes_over_while_the_test_still_runs(server: Servers, project: Path) -> None:
    """It joins the job of the dead one instead of starting it again."""
    process, attempt_id = victim(project, "slow")
    kill_group(process)
    async with server() as app:
        joined = await app.attempts.run(app.caller, test="slow", wait_seconds=0.3)
        assert (joined.attempt, joined.state) == (attempt_id, "running")
        (project / "go").touch()
        done = await app.attempts.run(app.caller, test="slow")
        assert (done.attempt, done.verdict) == (attempt_id, "passed")


async def test_a_client_that_stops_waiting_stops_no_work(server: Servers, project: Path) -> None:
    """Cancelling the call leaves the attempt; the same call joins it."""
    async with server() as app:
        with anyio.move_on_after(0.5):
            await app.attempts.run(app.caller, test="slow")
        joined = await app.attempts.run(app.caller, test="slow", wait_seconds=0)
        assert joined.joined
        (project / "go").touch()
        assert (await app.attempts.run(app.caller)).verdict == "passed"


async def test_a_running_slot_cannot_be_recorded(server: Servers, project: Path) -> None:
    """There is no verdict yet, whatever the agent believes."""
    async with server() as app:
        await app.attempts.run(app.caller, test="slow", wait_seconds=0.2)
        with pytest.raises(Contradiction, match="still"):
            await app.runs.checkpoint(app.caller, result="success")
        (project / "go").touch()
        await app.attempts.run(app.caller)


async def test_a_cancelled_attempt_is_no_red(server: Servers) -> None:
    """job(cancel) ends its tree; nothing is known of the test."""
    async with server() as app:
        begun = await app.attempts.run(app.caller, test="slow", wait_seconds=0.5)
        ended = await app.execs.job(app.caller, action="cancel", id=begun.attempt)
        assert ended.attempt is not None
        assert ended.attempt["verdict"] == "cancelled"
        assert (await app.breaker.show()).consecutive_failures == 0


async def test_stop_session_respects_another_clients_attempt(server: Servers, project: Path) -> None:
    """It is refused for the other, and ends one's own attempt before the service."""
    async with server() as app, server(client="cursor", stops=False) as other:
        await app.attempts.run(app.caller, test="slow", wait_seconds=0.5)
        with pytest.raises(ServiceInUse, match="claude"):
            await other.sessions.stop(other.caller)
        stopped = await app.sessions.stop(app.caller)
        assert stopped.state == "stopped"
        assert (await app.attempts.run(app.caller, test="slow")).verdict == "cancelled"


async def test_a_red_test_whose_service_died_is_lost_and_run_once_more(server: Servers, project: Path) -> None:
    """lost is no red; the rerun is on a new generation and its verdict counts."""
    script = 'if [ ! -e died ]; then touch died; kill -9 "$(cat pid)"; sleep 0.3; exit 1; fi'
    write_test(project, "killer", script)
    async with server() as app:
        session = await app.sessions.start(app.caller)
        (project / "pid").write_text(str(session.pid))
        attempt = await app.attempts.run(app.caller, test="killer", wait_seconds=60)
        assert attempt.verdict == "passed"
        assert attempt.rerun_of is not None
        assert attempt.evidence is not None
        assert attempt.evidence["generation"] == session.generation + 1
        assert (await app.breaker.show()).consecutive_failures == 0


async def test_two_lost_in_a_row_end_the_run(server: Servers, project: Path) -> None:
    """The service is the problem: the run ends as service_failed, the breaker stays closed."""
    write_test(project, "killer", 'kill -9 "$(cat pid)"; sleep 0.3; exit 1')
    (project / "service.py").write_text(
        "import os; open('pid', 'w').write(str(os.getpid()))\n" + (project / "service.py").read_text()
    )
    async with server() as app:
        attempt = await app.attempts.run(app.caller, test="killer", wait_seconds=60)
        assert attempt.verdict == "lost"
        report = await app.reports.show(app.caller)
        assert report.overall == "service_failed"
        assert (await app.breaker.show()).consecutive_failures == 0


async def test_a_service_that_cannot_start_is_no_attempt(server: Servers, project: Path) -> None:
    """The cause and the log come with the error; nothing is counted."""
    (project / "service.py").write_text("raise SystemExit('no model folder')")
    config = (project / "mcp-e2e.toml").read_text()
    (project / "mcp-e2e.toml").write_text(config.replace("stop_grace_s = 2", 'stop_grace_s = 2\nrestart = "never"'))
    async with server() as app:
        with pytest.raises(ServiceUnavailable) as caught:
            await app.attempts.run(app.caller, test="green", wait_seconds=30)
        assert "no model folder" in caught.value.facts["log_tail"]
        session = await app.sessions.start(app.caller)
        assert session.state == "failed"
        assert (await app.breaker.show()).consecutive_failures == 0


def write_test(project: Path, name: str, script: str) -> None:
    """A test that may end the service, which the sandbox would not let it."""
    (project / f"{name}.sh").write_text(script)
    with (project / "mcp-e2e.toml").open("a") as config:
        config.write(f'\n[[tests]]\nid = "{name}"\ncommand = ["sh", "{name}.sh"]\nmay_signal_service = true\n')
