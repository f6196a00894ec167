"""run: tests to their end, one after the other, each recorded as it was observed."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mcp_e2e.decisions import schedule
from mcp_e2e.decisions.next_step import REPORTED
from mcp_e2e.entrypoints.cli import completion
from mcp_e2e.entrypoints.cli.options import Command, Said
from mcp_e2e.entrypoints.cli.output import TEST_FAILED, Interrupted, Outcome, TimedOut
from mcp_e2e.entrypoints.cli.progress import Telling
from mcp_e2e.entrypoints.cli.runs import MOST_SLOTS
from mcp_e2e.entrypoints.cli.wording import in_commands
from mcp_e2e.entrypoints.cli.work import inside
from mcp_e2e.errors import E2EError, NothingSelected, Refused, ServiceUnavailable, UsageError
from mcp_e2e.formats.text import plain
from mcp_e2e.model.runs import RunMode

if TYPE_CHECKING:
    from mcp_e2e.bootstrap import App
    from mcp_e2e.model.answers import AttemptAnswer, ReportAnswer

SLICE_S = 300.0
GOES_ON = "The test goes on by itself: `mcp-e2e run` waits for it and goes on, `mcp-e2e status` shows where it stands."


@dataclass(frozen=True)
class Wish:
    tests: tuple[str, ...]
    everything: bool
    count: int | None

    @property
    def goes_on(self) -> bool:
        return not self.tests and not self.everything


@click.command(
    cls=Command, changes=True, example="mcp-e2e run --all --junit results.xml\nmcp-e2e run portrait --count 3"
)
@click.argument("tests", nargs=-1, shell_complete=completion.tests)
@click.option("--all", "everything", is_flag=True, help="All tests, as a survey: its reds count as one.")
@click.option("--count", type=click.IntRange(1, MOST_SLOTS), help="Number of slots, cycling the tests.")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write JUnit XML there.")
@click.option("--stop", "stops", is_flag=True, help="Stop the services afterwards.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds to wait in all; then status 7.")
@click.pass_obj
def run(
    said: Said,
    tests: tuple[str, ...],
    everything: bool,
    count: int | None,
    junit: Path | None,
    stops: bool,
    timeout: float | None,
) -> Outcome:
    """Run tests to the end and record each.

    TESTS are ids or globs; without them and without --all it goes on with the unfinished run.
    Exit status 1: a test failed. 6: refused. 7: --timeout is over, the work goes on. All others: mcp-e2e --help.
    """
    wish = Wish(tests, everything, count)
    if tests and everything:
        raise UsageError("tests and --all were both given", remedy="Give one of the two.")
    if wish.goes_on and count is not None:
        raise UsageError("--count goes with tests or --all", remedy="For example: mcp-e2e run portrait --count 3.")
    said.goes_on = GOES_ON
    until = time.monotonic() + timeout if timeout is not None else None

    async def work(app: App) -> Outcome:
        with Telling(said) as telling:
            runner = Runner(app, telling, until)
            run_id = await runner.begin(wish)
            problem = await runner.to_the_end(run_id)
            if stops:
                problem = await runner.stop_services() or problem
        report = await app.reports.show(app.caller, run=run_id)
        if junit is not None:
            await _write_junit(app, run_id, junit)
        return _outcome(report, problem)

    return inside(said, work, settles=True)


class Runner:
    """One run, driven to its end by this command line; whatever happens to it, the run can be gone on with."""

    def __init__(self, app: App, telling: Telling, until: float | None) -> None:
        self._app = app
        self._telling = telling
        self._until = until

    async def begin(self, wish: Wish) -> str:
        """The id of the run to work on.

        Raises:
            NothingSelected: nothing is wanted, or there is no such test.
            UsageError: another run is unfinished.
        """
        app = self._app
        if wish.goes_on:
            due = await app.runs.next(app.caller)
            if due.run is None:
                known = ", ".join(test.id for test in app.settings().settings.tests) or "none"
                raise NothingSelected(
                    "no tests were named and no run is unfinished", remedy=f"Name tests or say --all. Known: {known}."
                )
            self._telling.line(f"going on with run {due.run}")
            return due.run
        return await self._planned(wish)

    async def _planned(self, wish: Wish) -> str:
        app, tests = self._app, list(wish.tests) or None
        mode: RunMode = "survey" if wish.everything else "strict"
        plan = await app.runs.plan(app.caller, tests=tests, count=wish.count, mode=mode)
        if not plan.joined:
            return plan.run
        run = await app.views.run(plan.run)
        if [slot["test"] for slot in run["slots"]] == self._wanted(wish):
            self._telling.line(f"going on with run {plan.run} ({plan.mode}), begun by {plan.begun_by}")
            return plan.run
        raise UsageError(
            f"run {plan.run} of {plan.begun_by} is unfinished and has other slots: {', '.join(plan.slots[:6])}",
            remedy="Finish it with `mcp-e2e run`, or drop it with `mcp-e2e reset --reason …` and call again.",
            run=plan.run,
            begun_by=plan.begun_by,
            slots=plan.slots,
        )

    def _wanted(self, wish: Wish) -> list[str]:
        known = [test.id for test in self._app.settings().settings.tests]
        chosen, _ = schedule.select(known, list(wish.tests) or None)
        return schedule.slots_for(chosen, wish.count) if chosen else []

    async def to_the_end(self, run_id: str) -> E2EError | None:
        """What stopped the run before its end; None when every slot is recorded."""
        while True:
            try:
                run = await self._app.views.run(run_id)
                if run["state"] != "active":
                    return _ended_early(run)
                due = next((slot for slot in run["slots"] if "result" not in slot), None)
                if due is None:
                    return None
                self._telling.at(run["done"], run["total"])
                await self._do(run, due)
            except E2EError as error:
                return error

    async def _do(self, run: dict[str, Any], slot: dict[str, Any]) -> None:
        """Bring one slot nearer to its record: wait a slice for its test, then record what was seen."""
        app, title = self._app, f"{slot['slot']}/{run['total']} {slot['test']}"
        if slot["attempts"] and slot["attempts"][-1].get("verdict") == "passed":
            await app.runs.checkpoint(app.caller, result="success", test=slot["test"])
            self._telling.ended(title, "passed", None, "earlier, recorded now")
            return
        answer = await app.attempts.run(
            app.caller, checkpoint=True, wait_seconds=self._wait(), progress=self._telling.tick
        )
        if answer.position is not None and answer.position.run != run["run"]:
            raise UsageError(f"run {run['run']} has ended and {answer.position.run} was planned", remedy="See status.")
        if answer.state != "done":
            self._expect_time_left(answer)
            return
        failure, written = (answer.failure or {}).get("message", ""), (answer.evidence or {}).get("log_tail", "")
        named = title if answer.test == slot["test"] else answer.test
        self._telling.ended(named, answer.verdict or "", answer.duration_s, failure, written if failure else "")
        await self._record_the_rest(answer)

    async def _record_the_rest(self, answer: AttemptAnswer) -> None:
        """What run_test does not record by itself: a cancelled test is skipped, and ends our run of them."""
        app = self._app
        if answer.verdict == "cancelled":
            why = (answer.failure or {}).get("message", "cancelled")
            await app.runs.checkpoint(app.caller, result="skipped", note=why, test=answer.test)
            raise Interrupted(f"{answer.test} was cancelled: {why}", remedy="`mcp-e2e run` goes on with the next one.")
        if answer.checkpointed is not None and answer.checkpointed.startswith("not recorded"):
            raise UsageError(f"{answer.test}: {answer.checkpointed}", remedy="See mcp-e2e next.")

    def _wait(self) -> float:
        left = SLICE_S if self._until is None else self._until - time.monotonic()
        return max(0.0, min(SLICE_S, left))

    def _expect_time_left(self, answer: AttemptAnswer) -> None:
        if self._until is not None and time.monotonic() >= self._until:
            raise TimedOut(f"{answer.test} is still {answer.state}", remedy=GOES_ON, attempt=answer.attempt)

    async def stop_services(self) -> E2EError | None:
        """Stop every configured service; the first problem met."""
        problem = None
        for name in self._app.settings().settings.services:
            try:
                answer = await self._app.sessions.stop(self._app.caller, service=name)
                self._telling.line(f"{name}: {answer.stage}")
            except E2EError as error:
                problem = problem or error
        return problem


def _ended_early(run: dict[str, Any]) -> E2EError | None:
    if run["state"] == "finished":
        return None
    why = run.get("reason") or run["state"]
    if run["state"] == "service_failed":
        return ServiceUnavailable(
            f"run {run['run']} ended: {why}", remedy="Read the service's log, repair it, run again."
        )
    return UsageError(f"run {run['run']} was dropped: {why}", remedy="Run the tests again.")


async def _write_junit(app: App, run_id: str, file: Path) -> None:
    answer = await app.reports.show(app.caller, run=run_id, format="junit")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile((answer.files or {})["junit"], file)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}", remedy="Name another file.") from error


def _outcome(report: ReportAnswer, problem: E2EError | None) -> Outcome:
    """A failed test is the answer even when it was followed by a refusal."""
    failed = bool(report.counts and report.counts["failed"])
    text = plain(_in_short(report))
    if failed and (problem is None or isinstance(problem, Refused)):
        return Outcome(report.shown(), problem, status=TEST_FAILED, text=text)
    if problem is None and report.overall == "skipped":
        problem = NothingSelected("nothing was tested: every slot was skipped", remedy="Plan the tests again.")
    return Outcome(report.shown(), problem, text=text)


def _in_short(report: ReportAnswer) -> dict[str, Any]:
    """What the lines above have not said of a run: its sum, what went wrong, and where all of it stands."""
    told: dict[str, Any] = {"run": report.run, "overall": report.overall}
    told["recommendation"] = in_commands(report.recommendation or "")
    told["counts"] = {name: count for name, count in (report.counts or {}).items() if count}
    told |= {name: value for name in ("boot_saved_s", "restarts", "refusals") if (value := getattr(report, name))}
    told["tests"] = [test for test in report.tests or [] if test["outcome"] != "passed" or test.get("flaky")]
    told["report"] = (report.files or {}).get("markdown")
    step = "`mcp-e2e report --format markdown` shows all of it." if report.next_step == REPORTED else report.next_step
    return told | {"next_step": in_commands(step or "")}
