"""R6: looking again at what has not changed. Such a call is never refused, only answered from the last result."""

from mcp_e2e.decisions.history import CALM_S, is_news
from mcp_e2e.decisions.tools import tool
from mcp_e2e.model.calls import Call, PastCall, Ruling, Window

ADVISE, IDLE, LIVE = 6, 10, 12
IDLE_WAIT_S, LONGEST_WAIT_S = 300.0, 900.0


def idle_look(window: Window, call: Call) -> Ruling | None:
    """R6: looks at an unchanged state; at live work calm ones are free, at an idle project a few are."""
    if tool(call.tool).kind not in {"look", "record"} or call.free or _ends_work(call):
        return None
    looks = _unchanged(window, call)
    if not looks:
        return None
    times = len(looks) + 1
    evidence = (f"{len(looks)} equal answers",)
    left = looks[0].at + _wait(call, times) - call.at
    if times >= (LIVE if call.live else IDLE) and left > 0:
        return Ruling("throttle", "R6", evidence, cleared_by=("another answer",), retry_after_s=round(left, 1))
    return Ruling("advise", "R6", evidence) if times == ADVISE else None


def _ends_work(call: Call) -> bool:
    return call.tool == "stop_session" or call.args.get("action") == "cancel"


def _wait(call: Call, times: int) -> float:
    return CALM_S if call.live else min(IDLE_WAIT_S * 2.0 ** max(0, times - IDLE), LONGEST_WAIT_S)


def _unchanged(window: Window, call: Call) -> list[PastCall]:
    """Newest first: the equal answers to this look since anything else told news, without calm ones but the first."""
    record = tool(call.tool).kind == "record"
    found: list[PastCall] = []
    for row in reversed(window.past):
        if row.ran and row.identity == call.identity and row.shown is not None:
            if found and row.shown != found[0].shown:
                break
            found.append(row)
        elif row.ran and (is_news(row) or (record and tool(row.tool).kind not in {"look", "record"})):
            break
    return [row for row in found[:-1] if not row.free] + found[-1:]
