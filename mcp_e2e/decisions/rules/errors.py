"""R5: the same error of one tool, for what is no test's failure: commands, services, misuse."""

from mcp_e2e.decisions.history import is_bad, of_today, patient
from mcp_e2e.decisions.rules.repeats import A_CHANGE
from mcp_e2e.decisions.tools import tool
from mcp_e2e.model.calls import Call, PastCall, Ruling, Window

ADVISE, REFUSE, REFUSE_ALL = 3, 4, 6
"""The last is for another program than those that failed, and for one command repeated after deliberate waits."""
FIRST_WAIT_S, LONGEST_WAIT_S = 300.0, 900.0
"""Longer than an agent sleeps just to get past it. After the wait one call may show whether the cause is gone."""


def same_error(window: Window, call: Call) -> Ruling | None:
    """R5: one tool fails in the same way again and again, whatever its arguments."""
    if tool(call.tool).kind in {"look", "record"} or call.free:
        return None
    errors = _in_a_row(window, call)
    times = len(errors) + 1
    evidence = (f"{len(errors)} times in a row: {str(errors[0].signature).split('|', 2)[-1]}",) if errors else ()
    if times == ADVISE:
        return Ruling("advise", "R5", evidence)
    waited = patient(call, errors[0] if errors else None) and all(row.identity == call.identity for row in errors)
    if times < (
        REFUSE_ALL if (waited and tool(call.tool).kind == "command") or not _same_purpose(call, errors) else REFUSE
    ):
        return None
    wait = min(FIRST_WAIT_S * 2 ** (times - REFUSE), LONGEST_WAIT_S)
    left = (errors[0].ended_at or errors[0].at) + wait - call.at
    if left <= 0:
        return None
    cleared = (A_CHANGE, "a success of this tool", "waiting")
    return Ruling("refuse", "R5", evidence, cleared_by=cleared, retry_after_s=round(left, 1))


_INTERPRETERS = frozenset({"python", "node", "bash", "sh", "zsh", "perl", "ruby", "npx", "uv", "pip", "npm", "git"})


def _same_purpose(call: Call, errors: list[PastCall]) -> bool:
    """Another program after three failed ones may be the repair; the failed one started by another is not."""
    if tool(call.tool).kind != "command":
        return True
    programs = {row.subject for row in errors}
    told = str(call.args.get("command") or call.args.get("argv") or "")
    return call.subject in programs or any(name in told for name in programs - _INTERPRETERS if len(name) > 2)


def _in_a_row(window: Window, call: Call) -> list[PastCall]:
    """Newest first: the latest errors of the tool with one cause, on this world, without a success between."""
    found: list[PastCall] = []
    for row in reversed(window.past):
        if row.tool != call.tool or row.free or not row.ran or row.outcome in {None, "skip", "cancelled", "abandoned"}:
            continue
        if not of_today(row, call):
            break
        stale = row.world != call.world or not is_bad(row) or row.fault == "test" or row.signature is None
        if stale or (found and row.signature != found[0].signature):
            break
        found.append(row)
    return found
