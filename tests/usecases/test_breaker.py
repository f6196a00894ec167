"""The breaker over all servers of a project: opened by three reds, cleared by a person, probed once."""

import json
from pathlib import Path

import anyio
import pytest

from mcp_e2e.bootstrap import App
from mcp_e2e.errors import Refused, UsageError
from mcp_e2e.process import jobs
from mcp_e2e.store import breaker as breakers
from tests.usecases.conftest import Servers


async def three_reds(app: App) -> None:
    await app.runs.plan(app.caller, tests=["red"], count=3)
    for _ in range(3):
        await app.attempts.run(app.caller, test="red", checkpoint=True)


async def count_of(app: App, table: str) -> int:
    found: int = await app._place.run(lambda con: con.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    return found


async def test_a_refused_call_runs_nothing_whichever_server_is_asked(server: Servers, project: Path) -> None:
    """No job, no process, no attempt row: only the refusal itself is written."""
    async with server(stops=False) as first:
        await three_reds(first)
    async with server(client="cursor") as second:
        before = await count_of(second, "attempts"), len(jobs.list_jobs(project / ".mcp-e2e/private/jobs"))
        refused = []
        for tool in (
            second.attempts.run(second.caller, test="green"),
            second.runs.plan(second.caller),
            second.sessions.start(second.caller),
            second.execs.run(second.caller, command="true"),
        ):
            with pytest.raises(Refused) as caught:
                await tool
            refused.append(caught.value)
        after = await count_of(second, "attempts"), len(jobs.list_jobs(project / ".mcp-e2e/private/jobs"))
        status = await second.status.show(second.caller)
        report = await second.reports.show(second.caller)

    assert before == after
    assert [each.facts["refusals_in_incident"] for each in refused] == [1, 2, 3, 4]
    said = [each.text.replace(tool, "") for each, tool in zip(refused, TOOLS, strict=True)]
    assert (said[0], said[2]) == (said[1], said[3])
    assert len(said[2]) < len(said[0])
    assert f"--project {project}" in refused[0].text
    assert status.breaker is not None
    assert (status.breaker.state, status.breaker.refusals, status.breaker.reset) == ("open", 4, None)
    assert report.overall == "failed"


TOOLS = ("run_test", "plan_run", "start_session", "safe_exec")


async def test_what_ends_and_records_works_while_it_is_open(server: Servers) -> None:
    """checkpoint, next_test, report, job, status and stop_session keep their use."""
    async with server() as app:
        await app.runs.plan(app.caller, tests=["red"], count=3)
        for _ in range(2):
            await app.attempts.run(app.caller, test="red", checkpoint=True)
        await app.attempts.run(app.caller, test="red")
        assert (await app.runs.next(app.caller)).slot == 3
        await app.runs.checkpoint(app.caller, result="failure", note="the API lost its key")
        assert (await app.execs.job(app.caller)).jobs
        assert (await app.reports.show(app.caller)).run
        assert (await app.sessions.stop(app.caller)).state == "stopped"


async def test_after_a_reset_a_red_probe_opens_again_and_a_green_one_closes(server: Servers) -> None:
    """One probe decides; the incident of the second opening is a new one."""
    async with server() as app:
        await three_reds(app)
        first = await app.breaker.show()
        await app.breaker.reset(app.caller, actor={"tty": "pts/1"})
        assert (await app.breaker.show()).state == "half_open"
        await app.attempts.run(app.caller, test="red", checkpoint=True)
        second = await app.breaker.show()
        assert (second.state, second.incident == first.incident) == ("open", False)
        await app.breaker.reset(app.caller, actor={"tty": "pts/1"})
        await app.attempts.run(app.caller, test="green", checkpoint=True)
        closed = await app.breaker.show()
        assert (closed.state, closed.consecutive_failures, closed.incident) == ("closed", 0, None)
        with pytest.raises(UsageError, match="not open"):
            await app.breaker.reset(app.caller, actor={})


async def test_only_one_probe_runs_at_a_time(server: Servers, project: Path) -> None:
    """The second run_test is refused until the first has its verdict; a join is no second probe."""
    async with server() as app, server(client="cursor", stops=False) as other:
        await three_reds(app)
        await app.breaker.reset(app.caller, actor={})
        probing = await app.attempts.run(app.caller, test="slow", wait_seconds=0)
        assert probing.state in {"queued", "starting", "running"}
        with pytest.raises(Refused, match="run_test was not run"):
            await other.attempts.run(other.caller, test="green")
        joined = await other.attempts.run(other.caller, wait_seconds=0)
        assert joined.attempt == probing.attempt
        (project / "go").touch()
        done = await app.attempts.run(app.caller)
        assert (done.verdict, done.position and done.position.breaker) == ("passed", "closed")


async def test_a_probe_that_cannot_start_gives_its_permit_back(server: Servers) -> None:
    """A setup error is no verdict: the next run_test may probe."""
    async with server() as app:
        await three_reds(app)
        await app.breaker.reset(app.caller, actor={})
        with pytest.raises(UsageError):
            await app.attempts.run(app.caller, test="no-such-test")
        assert (await app.attempts.run(app.caller, test="green")).verdict == "passed"


async def test_the_opening_leaves_an_incident_file_that_outlives_the_database(server: Servers, project: Path) -> None:
    """Whoever deletes the database finds the breaker open: by that incident, and when it is cleared by the loss."""
    async with server() as app:
        await three_reds(app)
        incident = (await app.breaker.show()).incident
    private = project / ".mcp-e2e" / "private"
    facts = json.loads((private / "incidents" / f"{incident}.json").read_text())
    assert [red["test"] for red in facts["reds"]] == ["red"] * 3
    for file in private.glob("state.db*"):
        file.unlink()
    async with server() as app:
        with pytest.raises(Refused):
            await app.attempts.run(app.caller, test="green")
        await app.breaker.reset(app.caller, actor={})
    for file in private.glob("state.db*"):
        file.unlink()
    async with server() as app:
        assert breakers.LOST in (await app.breaker.show()).evidence


async def test_loosening_the_limit_while_reds_are_counted_has_no_effect(server: Servers, project: Path) -> None:
    """An agent cannot buy more tries by editing mcp-e2e.toml."""
    async with server() as app:
        await app.runs.plan(app.caller, tests=["red"], count=3)
        await app.attempts.run(app.caller, test="red", checkpoint=True)
        with (project / "mcp-e2e.toml").open("a") as config:
            config.write("\n[breaker]\nconsecutive_failures = 10\n")
        await app.attempts.run(app.caller, test="red", checkpoint=True)
        last = await app.attempts.run(app.caller, test="red", checkpoint=True)
        assert last.position is not None
        assert last.position.breaker == "open"


async def test_racing_reds_of_two_servers_open_it_once(server: Servers) -> None:
    """Verdicts of several servers at the same time make one incident."""
    async with server() as one, server(client="b", stops=False) as two:
        await one.runs.plan(one.caller, tests=["red"], count=8)

        async def fail(app: App) -> None:
            for _ in range(4):
                try:
                    await app.attempts.run(app.caller, test="red", checkpoint=True)
                except (Refused, UsageError):
                    return

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fail, one)
            tasks.start_soon(fail, two)
        opened = await one._place.run(
            lambda con: con.execute("SELECT count(*) FROM events WHERE kind = 'breaker.open'").fetchone()[0]
        )

    assert opened == 1
