"""R8: beginning anew without having learned anything."""

from mcp_e2e.decisions.history import counted, is_bad, is_verdict_news
from mcp_e2e.decisions.rules.repeats import A_CHANGE
from mcp_e2e.model.calls import Call, PastCall, Ruling, Window

ADVISE, REFUSE = 3, 5
PLANS = frozenset({"plan_run"})
STARTS = frozenset({"start_session", "reset_run", "drop_run"})


def churn(window: Window, call: Call) -> Ruling | None:
    """R8: starting, resetting or planning the same once more, with no file changed and nothing learned since."""
    if call.tool not in PLANS | STARTS or call.free:
        return None
    again = _again(counted(window, call), call)
    times = len(again) + 1
    evidence = (f"{len(again)} times before with no file changed and nothing new learned",)
    if times >= REFUSE:
        return Ruling("refuse", "R8", evidence, cleared_by=(A_CHANGE, "a verdict not seen before"))
    return Ruling("advise", "R8", evidence) if times == ADVISE else None


def _again(rows: list[PastCall], call: Call) -> list[PastCall]:
    """The earlier equal calls, back to the one that the last news followed."""
    found: list[PastCall] = []
    learned = False
    for row in reversed(rows):
        if row.world != call.world or (call.tool in STARTS and row.tool == "run_test" and row.outcome == "pass"):
            break
        if row.identity == call.identity and not is_bad(row):  # R5 judges what fails
            found.append(row)
            if learned:
                break
        learned = learned or (is_verdict_news(row) and row.seen == 0)
    return found
