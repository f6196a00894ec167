"""R4: going round."""

from collections.abc import Sequence

from mcp_e2e.decisions.history import counted, is_bad, patient
from mcp_e2e.decisions.rules.repeats import A_CHANGE
from mcp_e2e.decisions.tools import tool
from mcp_e2e.model.calls import Call, PastCall, Ruling, Window

LONGEST = 5
ADVISE, REFUSE, REFUSE_PATIENT = 2, 3, 5
"""Rounds. The third is not completed where something fails in it; without a failure the fourth is not begun."""


def cycle(window: Window, call: Call) -> Ruling | None:
    """R4: two to five calls go round with the same results on the same world."""
    if tool(call.tool).kind in {"look", "record"} or call.planned or call.free:
        return None
    rows = counted(window, call)
    spoken = (_rounds(rows, call, period) for period in range(2, LONGEST + 1))
    return next((ruling for ruling in spoken if ruling is not None), None)


def _rounds(rows: Sequence[PastCall], call: Call, period: int) -> Ruling | None:
    around = rows[-period:]
    if len(around) < period or around[0].identity != call.identity or around[0].world != call.world:
        return None
    if len({row.identity for row in around}) < 2:
        return None
    alike = 1
    for at in range(len(rows) - 1, period - 1, -1):
        if not _alike(rows[at], rows[at - period]):
            break
        alike += 1
    calls = alike + period
    rounds = REFUSE_PATIENT if patient(call, rows[-1]) else REFUSE
    limit = rounds * period + (not any(map(is_bad, around)))
    evidence = (f"{calls // period} rounds of {', '.join(row.tool for row in around)} with the same results",)
    if calls >= limit:
        return Ruling("refuse", "R4", evidence, cleared_by=(A_CHANGE, "a result not seen before"))
    return Ruling("advise", "R4", evidence) if calls == ADVISE * period else None


def _alike(one: PastCall, before: PastCall) -> bool:
    same = one.identity == before.identity and one.shown == before.shown and one.world == before.world
    return same and not one.planned
