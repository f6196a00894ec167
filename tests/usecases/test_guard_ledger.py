"""What the ledger says of calls afterwards: three kinds of failure kept apart, and what a watching guard would do."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from mcp_e2e.bootstrap import App
from mcp_e2e.errors import Contradiction, E2EError, Refused, SetupError, UsageError
from mcp_e2e.model.calls import Breaker
from mcp_e2e.usecases.recent import Recent
from tests.usecases.conftest import Servers
from tests.usecases.test_survival import kill_group, victim, write_test


def add(project: Path, toml: str) -> None:
    with (project / "mcp-e2e.toml").open("a") as config:
        config.write(f"\n{toml}")


async def ledger(app: App, tool: str) -> list[dict[str, Any]]:
    """The rows of a tool, oldest first."""
    rows = await app._place.run(
        lambda con: con.execute("SELECT * FROM ledger WHERE tool = ? ORDER BY id", (tool,)).fetchall()
    )
    return [dict(row) for row in rows]


async def test_calls_of_a_lost_database_are_forgotten(server: Servers, project: Path) -> None:
    """What a process remembers of the latest calls is of the database that it asks."""
    recent = Recent()
    async with server() as app:
        await app.execs.run(app.caller, command="true")
        assert len(await app._place.run(lambda con: recent.read(con, Breaker()))) == 1
        (project / ".mcp-e2e/private/state.db").unlink()
        assert await app._place.run(lambda con: recent.read(con, Breaker())) == ()


async def test_a_watching_guard_refuses_nothing_but_the_open_breaker(server: Servers, project: Path) -> None:
    """A command that fails a fourth time still runs, and the ledger says what it would have been."""
    add(project, '[guard]\nmode = "observe"\n')
    async with server() as app:
        for _ in range(4):
            assert (await app.execs.run(app.caller, command="echo no; exit 3")).exit_code == 3
        seen = [(row["ruling"], row["would"], row["outcome"]) for row in await ledger(app, "safe_exec")]
        assert seen[0] == ("allow", None, "error")
        assert seen[1][0] == "advise"
        assert seen[2:] == [("allow", "refuse", "error")] * 2
        for _ in range(12):
            assert (await app.status.show(app.caller)).look_again_after_s is None
        assert [row["would"] for row in await ledger(app, "status")][9:] == ["throttle"] * 3
        for _ in range(3):
            assert (await app.attempts.run(app.caller, test="red")).verdict == "failed"
        assert (await app.breaker.show()).state == "open"
        with pytest.raises(Refused) as caught:
            await app.attempts.run(app.caller, test="green")
        assert caught.value.facts["rule"] == "R1"


async def test_what_is_loosened_while_reds_are_counted_waits(server: Servers, project: Path) -> None:
    """Switching to observe and allowing more repetitions changes nothing before the next reset."""
    add(project, "[breaker]\nconsecutive_failures = 10\n")
    async with server() as app:
        await app.attempts.run(app.caller, test="red")
        add(project, '[guard]\nmode = "observe"\n[run]\nmax_attempts_without_checkpoint = 50\n')
        assert app.settings().settings.guard.mode == "observe"
        for _ in range(2):
            await app.attempts.run(app.caller, test="red")
        with pytest.raises(Refused) as caught:
            await app.attempts.run(app.caller, test="red")
        assert caught.value.facts["rule"] == "R2"
        await app.runs.checkpoint(app.caller, result="failure")
        await app.attempts.run(app.caller, test="green")
        for _ in range(4):  # the pass has emptied the count, and what is configured holds
            await app.attempts.run(app.caller, test="green")
        assert (await ledger(app, "run_test"))[-1]["would"] == "refuse"


async def test_misuse_is_never_red_and_never_hammering(server: Servers, project: Path) -> None:
    """Wrong names, missing programs and contradicted checkpoints have a limit of their own: R5 on that tool."""
    add(project, '[[tests]]\nid = "gone"\ncommand = ["no-such-program"]\n')
    async with server() as app:
        wrong: list[E2EError] = []
        for test in ("rde", "gone", "reed", "gone", "ret"):
            with pytest.raises((UsageError, SetupError)) as caught:
                await app.attempts.run(app.caller, test=test)
            wrong.append(caught.value)
        assert {each.code for each in wrong} == {"usage", "setup"}
        for _ in range(3):
            with pytest.raises(UsageError, match="needs a reason"):
                await app.runs.plan(app.caller, new=True)
        with pytest.raises(Refused) as refused:
            await app.runs.plan(app.caller, new=True)
        assert (refused.value.facts["rule"], refused.value.facts["state"]) == ("R5", "closed")
        add(project, "# a change\n")
        await app.runs.plan(app.caller, tests=["red", "green"])
        await app.attempts.run(app.caller, test="red")
        for _ in range(5):
            with pytest.raises(Contradiction):
                await app.runs.checkpoint(app.caller, result="success")
        shown = await app.breaker.show()
        assert (shown.state, shown.consecutive_failures) == ("closed", 1)
        faults = [row["fault"] for row in await ledger(app, "run_test")]
        assert faults == ["misuse"] * 5 + ["test"]
        assert {row["fault"] for row in await ledger(app, "plan_run")} == {"misuse", None}
        assert (await app.attempts.run(app.caller, test="green")).verdict == "passed"


async def test_a_lost_test_is_the_infrastructures_failure(server: Servers, project: Path) -> None:
    """Its call ends as an error of kind infra, told apart from a failed test, and counts for no breaker."""
    write_test(project, "killer", 'kill -9 "$(cat pid)"; sleep 0.3; exit 1')
    source = (project / "service.py").read_text()
    (project / "service.py").write_text("import os; open('.mcp-e2e/pid', 'w').write(str(os.getpid()))\n" + source)
    (project / "killer.sh").write_text('kill -9 "$(cat .mcp-e2e/pid)"; sleep 0.3; exit 1')
    async with server() as app:
        assert (await app.attempts.run(app.caller, test="killer", wait_seconds=50)).verdict == "lost"
        (row,) = await ledger(app, "run_test")
        assert (row["outcome"], row["fault"], json.loads(row["result"])["kind"]) == ("error", "infra", "infra")
        shown = await app.breaker.show()
        assert (shown.state, shown.consecutive_failures) == ("closed", 0)


async def test_a_call_ends_with_the_verdict_of_the_rerun(server: Servers, project: Path) -> None:
    """The call that began a lost attempt is told by the one that took its place, also where nobody waited."""
    script = 'if [ ! -e .mcp-e2e/died ]; then touch .mcp-e2e/died; kill -9 "$(cat .mcp-e2e/pid)"; sleep 0.3; fi; exit 1'
    write_test(project, "killer", script)
    async with server() as app:
        session = await app.sessions.start(app.caller)
        (project / ".mcp-e2e" / "pid").write_text(str(session.pid))
        begun = await app.attempts.run(app.caller, test="killer", wait_seconds=0)
        (row,) = await ledger(app, "run_test")
        assert row["outcome"] is None
        done = await app.attempts.run(app.caller, wait_seconds=50)
        assert (done.verdict, done.rerun_of) == ("failed", begun.attempt)
        first = (await ledger(app, "run_test"))[0]
        assert (first["id"], first["outcome"], first["fault"]) == (row["id"], "fail", "test")
        assert first["ended_at"] > first["at"]
        verdicts = await app._place.run(lambda con: con.execute("SELECT verdict FROM attempts ORDER BY n").fetchall())
        assert [each["verdict"] for each in verdicts] == ["lost", "failed"]


@pytest.mark.parametrize("kills", [False, True], ids=["waits not", "is killed"])
async def test_a_call_that_did_not_wait_ends_with_its_verdict(server: Servers, project: Path, kills: bool) -> None:
    """Its row stays open as long as the test runs, whoever carries it, and joining adds no second verdict."""
    async with server() as app:
        if kills:
            process, attempt = victim(project, "slow")
            kill_group(process)
        else:
            attempt = (await app.attempts.run(app.caller, test="slow", wait_seconds=0)).attempt
        joined = await app.attempts.run(app.caller, test="slow", wait_seconds=0)
        assert joined.attempt == attempt
        first = (await ledger(app, "run_test"))[0]
        assert (first["outcome"], first["joins"]) == (None, 0)
        (project / "go").touch()
        assert (await app.attempts.run(app.caller, test="slow")).verdict == "passed"
        rows = await ledger(app, "run_test")
        assert (rows[0]["id"], rows[0]["outcome"]) == (first["id"], "pass")
        assert {row["joins"] for row in rows[1:]} == {1}
        assert [row["outcome"] for row in rows].count("pass") == 1


SECRET = "sk-live-0123456789"


@pytest.fixture
async def told(server: Servers, project: Path) -> dict[str, str]:
    """What each table holds after tests and calls full of a secret."""
    script = "echo AssertionError: $API_KEY is not accepted; exit 1"
    add(project, f'[[tests]]\nid = "tells"\ncommand = ["sh", "-c", "{script}"]\nenv = {{ API_KEY = "${{API_KEY}}" }}\n')
    async with server(API_KEY=SECRET) as app:
        with pytest.raises(UsageError):
            await app.attempts.run(app.caller, test=SECRET)
        for n in (1, 2):
            await app.runs.plan(app.caller, tests=["tells"], new=True, reason=f"{n}: key {SECRET}")
        await app.attempts.run(app.caller)
        await app.runs.next(app.caller)
        await app.runs.checkpoint(app.caller, result="failure", note=f"{SECRET} is wrong")
        command = f"echo {SECRET}; exit 1"
        await app.execs.run(app.caller, command=command)
        await app.execs.run(app.caller, argv=["sh", "-c", command], env={"KEY": SECRET})
        await app.status.show(app.caller)
    con = sqlite3.connect(project / ".mcp-e2e" / "private" / "state.db")
    try:
        tables = [name for (name,) in con.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: str(con.execute(f"SELECT * FROM {table}").fetchall()) for table in tables}
    finally:
        con.close()


async def test_no_secret_is_in_the_ledger(told: dict[str, str]) -> None:
    """What ``${NAME}`` stands for is blanked in arguments, identities, results and signatures."""
    assert "echo ***" in told["ledger"]
    assert "*** is not accepted" in told["ledger"]
    assert SECRET not in told["ledger"]


async def test_no_secret_is_anywhere_in_the_database(told: dict[str, str]) -> None:
    """Nor in what the breaker, runs, checkpoints, jobs and events remember."""
    assert [table for table, rows in told.items() if SECRET in rows] == []
