"""What goes wrong beside the test: broken configuration, a locked database, cancelled calls, racing clients."""

import contextlib
import errno
import os
import sqlite3
from pathlib import Path

import anyio
import psutil
import pytest

from mcp_e2e.bootstrap import App
from mcp_e2e.errors import ConfigError, LaunchError, Refused, ServiceUnavailable, SetupError, StoreError, UsageError
from mcp_e2e.model.answers import AttemptAnswer
from mcp_e2e.process import jobs
from mcp_e2e.process.locks import Lease
from mcp_e2e.store import attempts
from tests.usecases.conftest import Servers


def add_test(project: Path, name: str, script: str, more: str = "") -> None:
    with (project / "mcp-e2e.toml").open("a") as config:
        config.write(f"\n[[tests]]\nid = \"{name}\"\ncommand = [\"sh\", \"-c\", '''{script}''']\n{more}\n")


async def ended(app: App, test: str) -> AttemptAnswer:
    with anyio.fail_after(20):
        while (answer := await app.attempts.run(app.caller, test=test)).state != "done":
            pass
    return answer


async def test_a_verdict_survives_a_configuration_that_broke_meanwhile(server: Servers, project: Path) -> None:
    """The red counts, although the file cannot be read when the test ends."""
    add_test(project, "late", "until [ -e go ]; do sleep 0.02; done; exit 1")
    async with server() as app:
        with anyio.fail_after(20):
            while (await app.attempts.run(app.caller, test="late", wait_seconds=0.1)).state != "running":
                pass
        good = (project / "mcp-e2e.toml").read_text()
        (project / "mcp-e2e.toml").write_text("this is no toml")
        (project / "go").touch()
        with anyio.fail_after(20):
            while await app._place.run(attempts.unfinished):
                await anyio.sleep(0.02)
        (project / "mcp-e2e.toml").write_text(good)
        assert (await ended(app, "late")).verdict == "failed"
        assert (await app.breaker.show()).consecutive_failures == 1


async def test_a_server_without_the_secret_takes_over_all_the_same(server: Servers, project: Path) -> None:
    """Following needs no configuration; only starting does."""
    add_test(project, "secret", "until [ -e go ]; do sleep 0.02; done", 'env = { KEY = "${API_KEY}" }')
    async with server(stops=False, API_KEY="only-the-first-has-it") as app:
        begun = await app.attempts.run(app.caller, test="secret", wait_seconds=1)
        assert begun.state == "running"
    async with server(client="cursor") as app:
        (project / "go").touch()
        done = await ended(app, "secret")
        assert (done.attempt, done.verdict) == (begun.attempt, "passed")


async def test_a_locked_database_delays_a_verdict_and_ends_no_server(server: Servers, project: Path) -> None:
    """The verdict is stored when the lock is gone."""
    async with server() as app:
        await app.attempts.run(app.caller, test="slow", wait_seconds=0.5)
        await app._place.run(lambda con: con.execute("PRAGMA busy_timeout = 100"))
        locker = sqlite3.connect(project / ".mcp-e2e/private/state.db", isolation_level=None)
        locker.execute("BEGIN IMMEDIATE")
        (project / "go").touch()
        await anyio.sleep(1.5)  # longer than a look at the job, so that storing was tried
        locker.execute("ROLLBACK")
        locker.close()
        assert (await ended(app, "slow")).verdict == "passed"


async def test_cancelled_calls_leave_nothing_open_for_ever(server: Servers, project: Path) -> None:
    """At whichever moment a client leaves, its attempt is carried on."""
    async with server() as app:
        await app.sessions.start(app.caller)
        for step in range(40):
            (project / "edited").write_text(str(step))
            with anyio.move_on_after(step * 0.002):
                await app.attempts.run(app.caller, test="green", checkpoint=True)
        with anyio.fail_after(20):
            while await app._place.run(attempts.unfinished):
                await anyio.sleep(0.02)
        assert (await app.breaker.show()).consecutive_failures == 0


async def test_a_dropped_survey_counts_its_reds(server: Servers) -> None:
    """Planning surveys anew again and again is no way around the breaker."""
    async with server() as app:
        for n in range(4):
            await app.runs.plan(app.caller, tests=["red"], count=2, mode="survey", new=n > 0, reason="again")
            if n < 3:
                await app.attempts.run(app.caller, checkpoint=True)
        with pytest.raises(Refused):
            await app.attempts.run(app.caller)


async def test_a_survey_without_a_pass_resets_no_count(server: Servers) -> None:
    """Skipping is not passing."""
    async with server() as app:
        for _ in range(2):
            await app.attempts.run(app.caller, test="red", checkpoint=True)
        await app.runs.plan(app.caller, tests=["green"], mode="survey")
        await app.runs.checkpoint(app.caller, result="skipped")
        assert (await app.breaker.show()).consecutive_failures == 2


async def test_what_waited_while_the_breaker_opened_does_not_begin(server: Servers, project: Path) -> None:
    """Tests let in before the third red and queued behind it end as cancelled."""
    add_test(project, "late", "until [ -e go ]; do sleep 0.02; done; echo x >> ran; exit 1")
    async with server() as app:
        for _ in range(2):
            await app.attempts.run(app.caller, test="red", checkpoint=True)
        await app.runs.plan(app.caller, tests=["late", "green"])
        await app.attempts.run(app.caller, test="late", wait_seconds=0.5)
        queued = await app.attempts.run(app.caller, test="green", wait_seconds=0)
        assert queued.state == "queued"
        (project / "go").touch()
        assert (await ended(app, "late")).verdict == "failed"
        assert (await ended(app, "green")).verdict == "cancelled"
        assert (await app.breaker.show()).consecutive_failures == 3


async def test_equal_calls_at_once_join_each_other(server: Servers) -> None:
    """One attempt, however many ask for it in the same moment."""
    async with server() as one, server(client="cursor", stops=False) as two:
        seen: set[str] = set()

        async def ask(app: App) -> None:
            seen.add((await app.attempts.run(app.caller, test="slow", wait_seconds=0)).attempt)

        async with anyio.create_task_group() as tasks:
            for app in (one, two) * 4:
                tasks.start_soon(ask, app)
        for each in seen:
            await one.execs.job(one.caller, action="cancel", id=each)

    assert len(seen) == 1


async def test_why_a_test_could_not_start_is_told_to_whoever_asks_next(server: Servers, project: Path) -> None:
    """A boot that fails after the call has returned is not started over and over."""
    fails = "import time; time.sleep(0.5); raise SystemExit('no model folder')"
    (project / "service.py").write_text(fails)
    config = (project / "mcp-e2e.toml").read_text()
    (project / "mcp-e2e.toml").write_text(config.replace("stop_grace_s = 2", 'stop_grace_s = 2\nrestart = "never"'))
    async with server(stops=False) as app:
        starting = await app.attempts.run(app.caller, test="green", wait_seconds=0)
        assert starting.state in {"queued", "starting"}
        with anyio.fail_after(20):
            while await app._place.run(attempts.unfinished):
                await anyio.sleep(0.02)
    async with server(client="cursor") as app:
        with pytest.raises(ServiceUnavailable) as caught:
            await app.attempts.run(app.caller, test="green", wait_seconds=0)
        assert "no model folder" in caught.value.facts["log_tail"]


async def test_a_cancelled_start_answers_at_once(server: Servers, project: Path) -> None:
    """While the service boots nothing has to be waited for."""
    (project / "service.py").write_text("import time; time.sleep(600)")
    async with server() as app:
        begun = await app.attempts.run(app.caller, test="green", wait_seconds=0.3)
        assert begun.state == "starting"
        with anyio.fail_after(10):
            answer = await app.execs.job(app.caller, action="cancel", id=begun.attempt)
        assert answer.attempt is not None
        assert answer.attempt["verdict"] == "cancelled"


async def test_a_missing_folder_of_a_test_is_setup_and_never_red(server: Servers, project: Path) -> None:
    """Neither plan_run nor run_test begins it."""
    add_test(project, "lost", "true", 'cwd = "no-such-folder"')
    async with server() as app:
        for call in (app.runs.plan(app.caller, tests=["lost"]), app.attempts.run(app.caller, test="lost")):
            with pytest.raises(SetupError, match="no-such-folder"):
                await call
        assert (await app.breaker.show()).consecutive_failures == 0


async def test_a_service_taken_out_of_the_configuration_can_still_be_stopped(server: Servers, project: Path) -> None:
    """The session knows what runs, not the file."""
    async with server(stops=False) as app:
        session = await app.sessions.start(app.caller)
        config = (project / "mcp-e2e.toml").read_text().replace("[services.api]", "[services.other]")
        (project / "mcp-e2e.toml").write_text(config)
        assert (await app.sessions.stop(app.caller, service="api")).state == "stopped"

    with pytest.raises(ProcessLookupError):
        os.kill(session.pid or 0, 0)


async def test_secrets_that_a_test_prints_are_blanked(server: Servers, project: Path) -> None:
    """In verdict, evidence, database and reports; the program's own raw log is its own."""
    add_test(project, "talks", "echo Error: bad key $KEY; exit 1", 'env = { KEY = "${API_KEY}" }')
    async with server(API_KEY="xyzzy-very-secret") as app:
        answer = await app.attempts.run(app.caller, test="talks", checkpoint=True)
        assert answer.failure is not None
        assert answer.failure["message"] == "exit code 1: Error: bad key ***"
        await app.reports.show(app.caller)
        output = await app.execs.job(app.caller, action="output", id=answer.evidence["job"])  # type: ignore[index]
        assert output.output == "Error: bad key ***\n"
    state = project / ".mcp-e2e"
    outside = [path for path in state.rglob("*") if path.is_file() and "/jobs/" not in str(path)]
    assert [path for path in outside if b"xyzzy" in path.read_bytes()] == []


async def test_one_client_skips_no_slot_of_another(server: Servers) -> None:
    """A test is never stored under another test's slot, however the run moves on meanwhile."""
    async with server() as one, server(client="cursor", stops=False) as two:
        await one.runs.plan(one.caller, tests=["green", "red"], count=6)

        async def work(app: App) -> None:
            for _ in range(3):
                with contextlib.suppress(Refused):
                    await app.attempts.run(app.caller, checkpoint=True)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work, one)
            tasks.start_soon(work, two)
        rows = await one._place.run(
            lambda con: con.execute(
                "SELECT a.test AS tried, s.test AS planned FROM attempts a JOIN slots s ON s.n = a.slot"
            ).fetchall()
        )

    assert all(row["tried"] == row["planned"] for row in rows)


async def test_a_verdict_is_recorded_in_its_own_run_only(server: Servers) -> None:
    """Another client has ended that run and planned a shorter one between the verdict and its checkpoint."""
    async with server() as app:
        first = await app.runs.plan(app.caller, tests=["green"], count=3)
        second = await app.runs.plan(app.caller, tests=["green"], count=1, new=True, reason="shorter")
        assert first.run != second.run
        for slot in (1, 3):
            with pytest.raises(UsageError, match="has ended meanwhile"):
                await app.runs.checkpoint(app.caller, result="skipped", slot=slot, run=first.run)
        with pytest.raises(UsageError, match="no slot is open"):
            await app.runs.checkpoint(app.caller, result="skipped", slot=3)
        assert (await app.runs.next(app.caller)).slot == 1


async def test_a_run_is_not_dropped_under_a_running_attempt(server: Servers, project: Path) -> None:
    """Its verdict would reach nobody, and its work would be begun a second time."""
    async with server() as app:
        await app.runs.plan(app.caller, tests=["slow"])
        begun = await app.attempts.run(app.caller, test="slow", wait_seconds=0.5)
        with pytest.raises(UsageError, match=begun.attempt):
            await app.runs.plan(app.caller, tests=["green"], new=True, reason="other")
        with pytest.raises(UsageError, match=begun.attempt):
            await app.runs.drop(app.caller, reason="other")
        (project / "go").touch()
        assert (await ended(app, "slow")).attempt == begun.attempt


async def test_a_new_server_sees_and_stops_what_runs_under_a_broken_file(server: Servers, project: Path) -> None:
    """status, report, job, checkpoint and stop_session need no configuration."""
    async with server(stops=False) as app:
        session = await app.sessions.start(app.caller)
        await app.runs.plan(app.caller, tests=["green"])
        await app.attempts.run(app.caller)
    with (project / "mcp-e2e.toml").open("a") as config:
        config.write("\n[oops\n")
    async with server(client="cursor", stops=False) as app:
        status = await app.status.show(app.caller)
        assert status.config_error is not None
        assert status.breaker is not None
        assert [line.state for line in status.jobs] == ["running"]
        assert (await app.runs.checkpoint(app.caller, result="success")).result == "success"
        assert (await app.reports.show(app.caller)).overall == "passed"
        with pytest.raises(ConfigError):
            await app.attempts.run(app.caller, test="green")
        stopped = await app.sessions.stop(app.caller)
        assert (stopped.service, stopped.state) == ("api", "stopped")

    with pytest.raises(ProcessLookupError):
        os.kill(session.pid or 0, 0)


async def test_a_try_to_open_that_fails_leaves_nothing_open(server: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers try again every two seconds: neither threads nor files of the tries before may pile up."""

    def full(*_: object, **__: object) -> Lease:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Lease, "take", full)
    async with server(stops=False) as app:
        with pytest.raises(StoreError, match="No space left"):
            await app.breaker.show()
        before = psutil.Process().num_threads()
        for _ in range(10):
            with pytest.raises(StoreError):
                await app.breaker.show()
        assert psutil.Process().num_threads() < before + 10  # the server's own try may be under way just now


async def test_a_machine_out_of_processes_is_a_launch_error_and_setup(
    server: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a defect of ours nor a test that is lost."""

    def full(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    async with server() as app:
        await app.sessions.start(app.caller)
        app._place.spare.close()
        monkeypatch.setattr(jobs.subprocess, "Popen", full)
        with pytest.raises(LaunchError, match="Resource temporarily unavailable"):
            await app.execs.run(app.caller, command="true")
        with pytest.raises(SetupError, match="Resource temporarily unavailable"):
            await app.attempts.run(app.caller, test="green", wait_seconds=20)
        monkeypatch.undo()
        assert (await app.breaker.show()).consecutive_failures == 0
