"""history: how the tests have done lately."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mcp_e2e.entrypoints.cli import completion, screen
from mcp_e2e.entrypoints.cli.options import Command, Said
from mcp_e2e.entrypoints.cli.output import Outcome
from mcp_e2e.entrypoints.cli.spans import Span
from mcp_e2e.entrypoints.cli.work import inside
from mcp_e2e.formats import history as formats

if TYPE_CHECKING:
    from mcp_e2e.bootstrap import App

LAST = 20
MOST = 1000


@click.command(cls=Command, example="mcp-e2e history\nmcp-e2e history portrait --since 24h")
@click.argument("test", required=False, shell_complete=completion.tests)
@click.option("--since", type=Span(), metavar="SPAN", help="Only what ended within 30m, 24h, 7d.")
@click.option(
    "-n", "--last", type=click.IntRange(1, MOST), default=LAST, show_default=True, help="Attempts of each test."
)
@click.pass_obj
def history(said: Said, test: str | None, since: float | None, last: int) -> Outcome:
    """How the tests have done lately, or each attempt of TEST.

    The last verdicts, oldest first, how many of those that were judged passed, how long a pass takes, and why it
    failed last.
    """

    async def work(app: App) -> Outcome:
        now, records = await app.histories.show(test=test, last=last, lately_s=since)
        data = {"tests": [formats.data(each, whole=test is not None) for each in records]}
        ascii_only = not screen.speaks_utf8()
        lines = list(formats.overview(records, now=now, ascii_only=ascii_only))
        if test is not None:
            lines += [line for each in records for line in formats.attempts(each, ascii_only=ascii_only)]
        return Outcome(data, text=screen.fitted(lines or [_nothing(since)]))

    return inside(said, work)


def _nothing(since: float | None) -> str:
    return "No test has run yet." if since is None else "No test has ended since then. Try a longer --since."
