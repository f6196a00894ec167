"""guard replay: what the rules say of a recorded history, or of this project's own past, without running anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

import click

from mcp_e2e.decisions.replay import Replay
from mcp_e2e.entrypoints.cli.options import Group, Said
from mcp_e2e.entrypoints.cli.output import Outcome, put, talk
from mcp_e2e.entrypoints.cli.work import inside
from mcp_e2e.errors import UsageError

if TYPE_CHECKING:
    from mcp_e2e.bootstrap import App

STEPS = "One trace per line: {id, steps: [{i, t, tool, args, outcome, result, …} or {i, t, ev}]}."


@click.group(cls=Group)
def guard() -> None:
    """The rules that judge every call before it runs."""


@guard.command(example="mcp-e2e guard replay traces.jsonl\nmcp-e2e guard replay --ledger")
@click.argument("file", required=False, type=click.File("r", encoding="utf-8"))
@click.option("--ledger", is_flag=True, help="Judge this project's own past; lines whose live ruling differs say so.")
@click.pass_obj
def replay(said: Said, file: TextIO | None, ledger: bool) -> Outcome:
    """Judge a recorded history by the live rules: one JSON line for each call.

    FILE holds one trace per line as JSON ({id, steps}); - reads standard input. A call that is stopped never shows
    its result to the calls after it.
    """
    if (file is None) == (not ledger):
        raise UsageError("give one of FILE and --ledger", remedy="For example: mcp-e2e guard replay traces.jsonl.")
    lines = list(_of_file(file)) if file is not None else inside(said, _of_ledger)
    if said.json:
        return Outcome({"rulings": lines})
    if lines:
        put("\n".join(json.dumps(line, ensure_ascii=False) for line in lines))
    stopped = sum(line["ruling"] in {"throttle", "refuse"} for line in lines)
    if not said.quiet:
        talk(f"{len(lines)} calls judged, {stopped} stopped\n")
    return Outcome({}, text="")


def _of_file(file: TextIO) -> Iterator[dict[str, Any]]:
    """Every line is read before any is judged, so that a wrong one spoils nothing."""
    traces = [_trace(at, line) for at, line in enumerate(file, 1) if line.strip()]
    for name, steps in traces:
        for line in Replay().judge(steps):
            yield {"id": name, **line}


def _trace(at: int, line: str) -> tuple[Any, list[dict[str, Any]]]:
    try:
        found = json.loads(line.lstrip("\ufeff"))
    except ValueError as error:
        raise UsageError(f"line {at} is no JSON: {error}", remedy=STEPS) from error
    steps = found.get("steps") if isinstance(found, dict) else None
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise UsageError(f"line {at} has no list of steps", remedy=STEPS)
    if wrong := next((step for step in steps if not ("tool" in step or "ev" in step)), None):
        raise UsageError(f"line {at}: step {wrong.get('i')} is neither a call nor an event", remedy=STEPS)
    return found.get("id", at), steps


async def _of_ledger(app: App) -> list[dict[str, Any]]:
    steps, limits = await app.breaker.past()
    live = {step["i"]: step["live"] for step in steps if "live" in step}
    judged = [{"id": "ledger", **line} for line in Replay(limits).judge(steps)]
    return [line | ({} if _same(line, live[line["i"]]) else {"live": live[line["i"]]}) for line in judged]


def _same(line: dict[str, Any], live: dict[str, Any]) -> bool:
    return bool((line["ruling"], line["rule"]) == (live["ruling"], live["rule"]))
