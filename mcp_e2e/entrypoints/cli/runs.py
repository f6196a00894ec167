"""plan, next, checkpoint, report, runs, reset: everything about runs but running them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from mcp_e2e.entrypoints.cli import completion
from mcp_e2e.entrypoints.cli.options import Command, Said
from mcp_e2e.entrypoints.cli.output import Outcome
from mcp_e2e.entrypoints.cli.work import inside

if TYPE_CHECKING:
    from mcp_e2e.bootstrap import App

MOST_SLOTS = 10_000


@click.command(
    cls=Command, changes=True, example='mcp-e2e plan portrait --count 10\nmcp-e2e plan --new --reason "other seeds"'
)
@click.argument("tests", nargs=-1, shell_complete=completion.tests)
@click.option("--count", type=click.IntRange(1, MOST_SLOTS), help="Number of slots, cycling the tests.")
@click.option(
    "--mode", type=click.Choice(["strict", "survey"]), default="strict", help="survey: its reds count as one."
)
@click.option("--new", is_flag=True, help="Drop the unfinished run; needs --reason.")
@click.option("--reason", help="Why the unfinished run is dropped.")
@click.pass_obj
def plan(
    said: Said,
    tests: tuple[str, ...],
    count: int | None,
    mode: Literal["strict", "survey"],
    new: bool,
    reason: str | None,
) -> Outcome:
    """Plan a run, or show the unfinished one.

    TESTS are ids or globs; all tests unless named."""

    async def work(app: App) -> Outcome:
        chosen = list(tests) or None
        answer = await app.runs.plan(app.caller, tests=chosen, count=count, mode=mode, new=new, reason=reason)
        return Outcome(answer.shown())

    return inside(said, work)


@click.command("next", cls=Command, example="mcp-e2e next")
@click.pass_obj
def next_(said: Said) -> Outcome:
    """The slot that is due, why, and how often it was tried."""

    async def work(app: App) -> Outcome:
        return Outcome((await app.runs.next(app.caller)).shown())

    return inside(said, work)


@click.command(cls=Command, changes=True, example='mcp-e2e checkpoint failure --note "the model file is missing"')
@click.argument("result", metavar="success|failure|skipped")
@click.option("--note", help="What is worth knowing about it.")
@click.option(
    "--test", help="The test whose open slot is meant; else the one that is due.", shell_complete=completion.tests
)
@click.pass_obj
def checkpoint(said: Said, result: str, note: str | None, test: str | None) -> Outcome:
    """Record the result of a slot and move on.

    What was observed decides: success over a red test is refused."""

    async def work(app: App) -> Outcome:
        return Outcome((await app.runs.checkpoint(app.caller, result=result, note=note, test=test)).shown())

    return inside(said, work)


@click.command(cls=Command, example="mcp-e2e report\nmcp-e2e report r-1a2b3c4d --format junit > results.xml")
@click.argument("run", required=False, metavar="[RUN|list]", shell_complete=completion.runs)
@click.option("--format", "shape", default="summary", show_default=True, metavar="summary|markdown|json|junit")
@click.pass_obj
def report(said: Said, run: str | None, shape: str) -> Outcome:
    """What happened in a run.

    The unfinished one, else the latest; `list` shows the recent runs. Every format is
    also a file; its path is in the answer.
    """
    return _report(said, run, shape)


@click.command("runs", cls=Command, example="mcp-e2e runs")
@click.pass_obj
def runs(said: Said) -> Outcome:
    """The recent runs, the newest first."""
    return _report(said, "list", "summary")


def _report(said: Said, run: str | None, shape: str) -> Outcome:
    async def work(app: App) -> Outcome:
        answer = await app.reports.show(app.caller, run=run, format=shape)
        document = None if shape == "summary" else (answer.files or {}).get(shape)
        text = Path(document).read_text("utf-8").rstrip("\n") if document and not said.json else None
        return Outcome(answer.shown(), text=text)

    return inside(said, work)


@click.command(cls=Command, changes=True, example='mcp-e2e reset --reason "planned the wrong tests"')
@click.option("--reason", required=True, help="Why; stands in the run's record.")
@click.pass_obj
def reset(said: Said, reason: str) -> Outcome:
    """Drop the unfinished run; its report stays. Clears no count and no breaker."""

    async def work(app: App) -> Outcome:
        return Outcome((await app.runs.drop(app.caller, reason=reason)).shown())

    return inside(said, work)
