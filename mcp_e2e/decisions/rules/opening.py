"""R1 and R9: what stops all work."""

from mcp_e2e.decisions.history import counted, is_news
from mcp_e2e.decisions.tools import tool
from mcp_e2e.model.calls import BreakerState, Call, PastCall, Ruling, Window

A_PERSON = "a person, in a terminal"
DROUGHT_ADVISE, DROUGHT_OPEN = 20, 30


def three_reds(window: Window, call: Call) -> Ruling | None:
    """R1: refuse work while the breaker is open; while half-open let one probe at a time through."""
    breaker = window.breaker
    if breaker.state is BreakerState.OPEN:
        reds = tuple(f"{red.test} {red.verdict}: {red.message}" for red in breaker.reds[-5:])
        return Ruling("refuse", breaker.opened_by or "R1", breaker.evidence or reds, cleared_by=(A_PERSON,))
    if breaker.state is BreakerState.HALF_OPEN and call.tool == "run_test":
        if breaker.probe_call is not None and window.probe_alive:
            return Ruling("refuse", "R1", ("the one probe after the reset is running",), cleared_by=("its verdict",))
        return Ruling(takes_probe=True)
    return None


def drought(window: Window, call: Call) -> Ruling | None:
    """R9: thirty calls in a row that told nothing new, whichever they were."""
    if tool(call.tool).kind in {"look", "record"} or call.planned or call.free:
        return None
    since = _since(counted(window, call), call.world)
    round_again = len({row.identity for row in since}) < len(since)
    dry = 1 + sum(_stale(row, round_again=round_again) for row in since)
    evidence = (f"{dry} calls in a row told nothing new, and no file changed",)
    if dry >= DROUGHT_OPEN:
        return Ruling("refuse", "R9", evidence, cleared_by=(A_PERSON,), opens=True)
    return Ruling("advise", "R9", evidence) if dry == DROUGHT_ADVISE else None


def _since(rows: list[PastCall], world: str) -> list[PastCall]:
    """The calls after the last news."""
    last = next((at for at in range(len(rows) - 1, -1, -1) if is_news(rows[at]) or rows[at].world != world), -1)
    return rows[last + 1 :]


def _stale(row: PastCall, *, round_again: bool) -> bool:
    """A second pass over all tests tells that they are stable, a record nothing; of anything else once is enough."""
    if tool(row.tool).kind == "test" and not round_again:
        return row.seen > 1
    return row.seen > 0 or tool(row.tool).kind == "record"
