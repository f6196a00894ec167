"""What rules read of the past: which calls count, what was news, and how long nothing has been.

A result is news when nothing has shown the same on the same world before. What ended longer than ``HORIZON_S`` ago
counts for R1 and R3 only: work of another day is no loop.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mcp_e2e.decisions.tools import BAD, RED, tool
from mcp_e2e.model.calls import Call, PastCall, Result, Window

WINDOW = 240
"""How many of the latest calls rules look at, and results are compared with."""
HORIZON_S = 12 * 3600.0
CALM_S = 10.0
"""Seconds between two looks at live work that nobody minds."""
PATIENT_S = 30.0
"""Seconds between the end of a command and its repetition that show somebody waits for something outside."""


def placed(call: Call, past: Sequence[PastCall]) -> Call:
    """``call`` with what the past says of it: whether it is free. A test of its own waits for nothing."""
    waits = call.live and tool(call.tool).kind != "test" and calm(call, past)
    return replace(call, free=call.joins or in_flight(call, past) or waits)


def in_flight(call: Call, past: Sequence[PastCall]) -> bool:
    """An equal call runs at this moment: the two are one."""
    return any(row.outcome is None and row.ran and row.identity == call.identity for row in past[-50:])


def calm(call: Call, past: Sequence[PastCall]) -> bool:
    last = next((row for row in reversed(past) if row.identity == call.identity and row.ran), None)
    return last is None or call.at - last.at >= CALM_S


def settled(row: PastCall, result: Result, at: float, past: Sequence[PastCall]) -> PastCall:
    """``row`` with what its call told. ``past`` may hold the row itself."""
    same = sum(
        other.shown == result.shown and other.world == row.world and other.id != row.id and other.ran for other in past
    )
    if not result.told:
        return replace(row, outcome=result.outcome, ended_at=at, signature=result.signature, fault=result.fault)
    return replace(
        row,
        outcome=result.outcome,
        ended_at=at,
        shown=result.shown,
        fault=result.fault,
        signature=result.signature,
        seen=same,
        free=row.free or result.free,
    )


def counted(window: Window, call: Call) -> list[PastCall]:
    """The calls that rules count: they ran to their end, were not free, and are of today."""
    since = call.at - HORIZON_S
    return [row for row in window.told if row.at >= since]


def of_today(row: PastCall, call: Call) -> bool:
    return row.at >= call.at - HORIZON_S


def is_news(row: PastCall) -> bool:
    """A result not seen before, of a call that works, or the first verdict of a planned slot; looks tell no news."""
    return row.planned or (row.seen == 0 and tool(row.tool).kind not in {"record", "look"})


def is_verdict_news(row: PastCall) -> bool:
    return tool(row.tool).kind == "test" and is_news(row) and row.fault in {None, "test"}


def since_news(rows: Sequence[PastCall], world: str) -> Iterator[PastCall]:
    """Newest first: the calls after the last news, and the one that brought it, all on ``world``."""
    for row in reversed(rows):
        if row.world != world:
            return
        yield row
        if is_news(row):
            return


def is_red(row: PastCall) -> bool:
    return row.fault == "test" and row.outcome in RED


def is_bad(row: PastCall) -> bool:
    return row.outcome in BAD


def patient(call: Call, last: PastCall | None) -> bool:
    """A repetition after a deliberate wait."""
    return last is not None and call.at - (last.ended_at or last.at) >= PATIENT_S
