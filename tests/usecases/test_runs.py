"""Plan, run, checkpoint, report: the loop an agent walks, and every way of getting it wrong."""

from pathlib import Path

import pytest

from mcp_e2e.errors import Contradiction, NothingSelected, SetupError, UsageError
from tests.usecases.conftest import Servers


async def test_a_run_is_planned_run_recorded_and_reported(server: Servers) -> None:
    """Three slots of two tests, each with the server's own verdict, in one session."""
    async with server() as app:
        plan = await app.runs.plan(app.caller, tests=["green", "red"], count=3)
        assert plan.slots == ["1/3 green", "2/3 red", "3/3 green"]
        seen = []
        while (due := await app.runs.next(app.caller)).slot is not None:
            attempt = await app.attempts.run(app.caller)
            assert attempt.test == due.test
            assert attempt.evidence is not None
            assert attempt.evidence["generation"] == 1
            seen.append(attempt.verdict)
            await app.runs.checkpoint(app.caller, result=str(attempt.verdict), note="seen")

        report = await app.reports.show(app.caller)

    assert seen == ["passed", "failed", "passed"]
    assert (report.overall, report.counts["passed"], report.counts["failed"]) == ("failed", 2, 1)  # type: ignore[index]
    assert report.files is not None
    assert all(Path(file).stat().st_size for file in report.files.values())


async def test_thirty_green_slots_draw_no_refusal(server: Servers) -> None:
    """count=30 of one test on an unchanged tree is honest work."""
    async with server() as app:
        await app.runs.plan(app.caller, tests=["green"], count=30)
        for _ in range(30):
            assert (await app.attempts.run(app.caller, checkpoint=True)).verdict == "passed"
        report = await app.reports.show(app.caller)

    assert (report.overall, report.refusals, report.success_rate) == ("passed", 0, 1.0)


async def test_an_unfinished_run_is_joined_by_whoever_plans_next(server: Servers) -> None:
    """Resumed with its place, unless new=true says why it is dropped."""
    async with server(stops=False) as first:
        begun = await first.runs.plan(first.caller, tests=["green"], count=4)
        await first.attempts.run(first.caller, checkpoint=True)
    async with server(client="cursor") as second:
        joined = await second.runs.plan(second.caller)
        assert (joined.run, joined.joined) == (begun.run, True)
        assert joined.begun_by.startswith("claude")
        assert joined.position is not None
        assert joined.position.current == "2/4 green"
        with pytest.raises(UsageError, match="reason"):
            await second.runs.plan(second.caller, new=True)
        fresh = await second.runs.plan(second.caller, tests=["red"], new=True, reason="other tests")

    assert fresh.dropped == begun.run
    assert fresh.run != begun.run


async def test_a_new_plan_clears_no_count(server: Servers) -> None:
    """Reds are counted over runs, plans and servers."""
    async with server() as app:
        for n in range(2):
            await app.attempts.run(app.caller, test="red", checkpoint=True)
            plan = await app.runs.plan(app.caller, tests=["green"], new=True, reason=f"again {n}")
            assert plan.position is not None
            assert plan.position.consecutive_failures == n + 1
            await app.runs.checkpoint(app.caller, result="skipped")


async def test_success_over_a_failing_verdict_is_a_contradiction(server: Servers) -> None:
    """With the evidence; the slot stays open and nothing is counted as a refusal."""
    async with server() as app:
        await app.runs.plan(app.caller, tests=["red"])
        with pytest.raises(Contradiction, match="has no verdict"):
            await app.runs.checkpoint(app.caller, result="success")
        await app.attempts.run(app.caller)
        with pytest.raises(Contradiction, match="failed") as caught:
            await app.runs.checkpoint(app.caller, result="success")
        assert caught.value.facts["evidence"]["exit_code"] == 1
        status = await app.status.show(app.caller)
        assert status.position is not None
        assert (status.position.done, status.breaker.refusals) == (0, 0)  # type: ignore[union-attr]
        doubted = await app.runs.checkpoint(app.caller, result="failure", note="known")
        assert doubted.result == "failure"


async def test_a_passed_slot_may_be_doubted_but_not_by_the_breaker(server: Servers) -> None:
    """failure over a pass is the agent's doubt: kept as such, counted as no red."""
    async with server() as app:
        await app.attempts.run(app.caller, test="green")
        await app.runs.checkpoint(app.caller, result="failure", note="the picture looks wrong")
        report = await app.reports.show(app.caller)

    assert report.tests is not None
    assert report.tests[0]["outcome"] == "doubted"
    assert report.position is not None
    assert report.position.consecutive_failures == 0


async def test_a_repeated_checkpoint_returns_the_first(server: Servers) -> None:
    """Its reply may have been lost; the next slot is not touched."""
    async with server() as app:
        await app.runs.plan(app.caller, tests=["green"], count=2)
        await app.attempts.run(app.caller)
        first = await app.runs.checkpoint(app.caller, result="success", note="ok")
        again = await app.runs.checkpoint(app.caller, result="success", note="ok")

    assert (again.slot, again.repeated) == (first.slot, True)
    assert again.position == first.position


async def test_run_test_without_a_plan_is_a_run_of_one(server: Servers) -> None:
    """Naming a test is enough; naming none is not."""
    async with server() as app:
        with pytest.raises(UsageError, match="no run is planned"):
            await app.attempts.run(app.caller)
        alone = await app.attempts.run(app.caller, test="green", checkpoint=True)

    assert alone.position is not None
    assert (alone.position.done, alone.position.total) == (1, 1)


async def test_all_problems_of_a_plan_come_at_once_and_are_no_attempt(server: Servers, project: Path) -> None:
    """Missing file, UI-format workflow, missing program and unset variable, before anything runs."""
    (project / "ui.json").write_text('{"nodes": [], "links": []}')
    with (project / "mcp-e2e.toml").open("a") as config:
        config.write(
            '\n[services.comfyui]\nkind = "comfyui"\nurl = "http://127.0.0.1:9"\n'
            '[[tests]]\nid = "gone"\nworkflow = "gone.json"\nservice = "comfyui"\n'
            '[[tests]]\nid = "ui"\nworkflow = "ui.json"\nservice = "comfyui"\n'
            '[[tests]]\nid = "nope"\ncommand = ["no-such-program-here"]\n'
            '[[tests]]\nid = "unset"\ncommand = ["true"]\nenv = { KEY = "${NOT_SET_ANYWHERE}" }\n'
        )
    async with server() as app:
        with pytest.raises(SetupError) as caught:
            await app.runs.plan(app.caller)
        assert [problem.split(":")[0] for problem in caught.value.facts["problems"]] == ["gone", "ui", "nope", "unset"]
        with pytest.raises(SetupError, match="UI format"):
            await app.attempts.run(app.caller, test="ui")
        status = await app.status.show(app.caller)

    assert status.run is None
    assert status.breaker is not None
    assert status.breaker.consecutive_failures == 0


async def test_a_selection_that_matches_nothing_is_never_all(server: Servers) -> None:
    """And a misspelt test is answered with the nearest."""
    async with server() as app:
        with pytest.raises(NothingSelected, match="nope"):
            await app.runs.plan(app.caller, tests=["nope*"])
        with pytest.raises(UsageError) as caught:
            await app.attempts.run(app.caller, test="gren")

    assert "'green'" in caught.value.advice


async def test_what_a_test_waited_for_is_not_told_once_it_runs(server: Servers, project: Path) -> None:
    """The service's last stage is its booting's."""
    waits = "import os, time\nwhile not os.path.exists('up'): time.sleep(0.02)\n"
    (project / "service.py").write_text(waits + (project / "service.py").read_text())
    said = []

    async def progress(_done: float, _total: float | None, message: str) -> None:
        said.append(message)
        if message.startswith("slow: starting, api"):
            (project / "up").touch()
        if message.startswith("slow: running"):
            (project / "go").touch()

    async with server() as app:
        answer = await app.attempts.run(app.caller, test="slow", progress=progress)

    assert answer.verdict == "passed"
    assert [message for message in said if message.startswith("slow: running, api")] == []


async def test_params_reach_a_command_and_select_its_work(server: Servers, project: Path) -> None:
    """They arrive as MCP_E2E_PARAM_…; other params are other work."""
    with (project / "mcp-e2e.toml").open("a") as config:
        config.write('\n[[tests]]\nid = "echo"\ncommand = ["sh", "-c", "echo seed=$MCP_E2E_PARAM_SEED; exit 1"]\n')
    async with server() as app:
        attempt = await app.attempts.run(app.caller, test="echo", params={"seed": 7})

    assert attempt.evidence is not None
    assert "seed=7" in attempt.evidence["log_tail"]


async def test_a_survey_counts_as_one_outcome(server: Servers) -> None:
    """Five reds in a survey leave one red counted, and the breaker closed."""
    async with server() as app:
        await app.runs.plan(app.caller, tests=["red"], count=5, mode="survey")
        for n in range(5):
            attempt = await app.attempts.run(app.caller, checkpoint=True)
            assert attempt.position is not None
            assert attempt.position.consecutive_failures == (1 if n == 4 else 0)

    assert attempt.position is not None
    assert attempt.position.breaker == "closed"
