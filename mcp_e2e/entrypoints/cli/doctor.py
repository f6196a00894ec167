"""doctor: what is wrong here, and how it is put right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from mcp_e2e.entrypoints.cli.options import Command, Said
from mcp_e2e.entrypoints.cli.output import Outcome
from mcp_e2e.entrypoints.cli.work import inside
from mcp_e2e.errors import ConfigError

if TYPE_CHECKING:
    from mcp_e2e.bootstrap import App
    from mcp_e2e.usecases.checkup import Group


@click.command(cls=Command, example="mcp-e2e doctor\nmcp-e2e --json doctor")
@click.pass_obj
def doctor(said: Said) -> Outcome:
    """Find what is wrong here, and say how to put it right.

    This program, the machine, the project, its services and tests, the editors' entries. It changes nothing.
    Exit status 8: something does not work.
    """

    async def work(app: App) -> list[Group]:
        return await app.checkup.examine()

    groups = inside(said, work, reads_only="once")
    count = Counter(finding.state.value for group in groups for finding in group.findings)
    data: dict[str, Any] = {
        "problems": count["problem"],
        "warnings": count["warning"],
        "groups": [group.shown() for group in groups],
    }
    text = None if said.json else "\n".join(_lines(groups, count))
    return Outcome(data, _problem(count["problem"]), text=text)


def _problem(number: int) -> ConfigError | None:
    if not number:
        return None
    told = "1 problem was found" if number == 1 else f"{number} problems were found"
    return ConfigError(told, remedy="Each is told with what puts it right; then look again: mcp-e2e doctor")


def _lines(groups: list[Group], count: Counter[str]) -> Iterator[str]:
    for group in groups:
        yield group.title
        for finding in group.findings:
            first, *more = finding.what.splitlines() or [""]
            yield f"  {finding.state.value:<8}{first}"
            yield from (f"{'':10}{line}" for line in more)
            if finding.fix:
                yield from (f"{'':10}fix: {line}" for line in finding.fix.splitlines())
    yield f"problems: {count['problem']}, warnings: {count['warning']}"
