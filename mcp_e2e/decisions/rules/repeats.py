"""R2, R3 and R7: the same again."""

from collections.abc import Sequence

from mcp_e2e.decisions.history import counted, is_bad, is_news, is_red, is_verdict_news, of_today, patient, since_news
from mcp_e2e.decisions.rules.opening import A_PERSON
from mcp_e2e.decisions.tools import NOTHING_SAID, tool
from mcp_e2e.model.calls import Call, PastCall, Ruling, Window

A_CHANGE = "a changed file"
GREEN_ADVISE, GREEN_REFUSE = 3, 5
COMMAND_FAILURES = 2
"""Equal failures of one command on one world; the next one is refused."""


def repeat(window: Window, call: Call) -> Ruling | None:
    """R2: the same work with the same result on the same world, and nothing new between."""
    test = tool(call.tool).kind == "test"
    if not (test or tool(call.tool).kind == "command") or call.planned or call.free:
        return None
    rows = counted(window, call)
    same = _equal_results(rows, call, test)
    if not same or (test and same[0].fault in {"infra", "misuse"}):  # R5 judges those
        return None
    times = len(same) + 1
    limit, warn = _limits(window, call, same[0], test)
    often = {1: "once", 2: "twice"}.get(len(same), f"{len(same)} times")
    evidence = (f"it ended with {same[0].outcome} {often} in the same way, and no file has changed",)
    if times >= limit + _bought(rows, same[-1]):
        return Ruling("refuse", "R2", evidence, cleared_by=(A_CHANGE, "another result", "a checkpoint with a new note"))
    return Ruling("advise", "R2", evidence) if times == warn else None


def _limits(window: Window, call: Call, last: PastCall, test: bool) -> tuple[int, int]:
    """At which time it is refused, and at which it is advised against."""
    if not is_bad(last) or (not test and patient(call, last)):
        return GREEN_REFUSE, GREEN_ADVISE
    allowed = window.limits.attempts if test else COMMAND_FAILURES
    return allowed + 1, allowed


def _equal_results(rows: Sequence[PastCall], call: Call, test: bool) -> list[PastCall]:
    """Newest first: the latest results of this very work, as long as they are equal and nothing came between.

    The one that the last news followed begins the series.
    """
    same: list[PastCall] = []
    excused = False
    last = next((row for row in reversed(rows) if row.identity == call.identity), None)
    failing = last is not None and is_bad(last)
    for row in reversed(rows):
        if row.world != call.world:
            break
        if row.identity == call.identity:
            if same and row.shown != same[0].shown:
                break
            same.append(row)
            if excused or is_news(row):
                break
        elif _excuses(row, test, failing=failing):
            if not same:
                break
            excused = True
    return same


def _excuses(between: PastCall, test: bool, *, failing: bool) -> bool:
    """News of any kind excuses repeating a command, another test's news one that passes, nothing one that fails."""
    if test:
        return not failing and is_verdict_news(between)
    return is_news(between)


def _bought(rows: Sequence[PastCall], first: PastCall) -> int:
    """One more time for a checkpoint with a new note, once for this work on this world."""
    notes = [row for row in rows if row.tool == "checkpoint" and row.subject]
    known = {row.subject for row in notes if row.id <= first.id}
    return int(any(row.id > first.id and row.world == first.world and row.subject not in known for row in notes))


SAME_FAILURE, SAME_FAILURE_OVER_EDITS = 3, 5


def same_failure(window: Window, call: Call) -> Ruling | None:
    """R3: one test keeps failing in the same way, whatever ran in between or was edited, however long it took.

    Of slots that were planned one for each state of the files counts, and only today's: a nightly plan may go on.
    """
    if call.tool != "run_test" or not call.subject:
        return None
    reds = _reds_since_pass(window.past, call.subject)
    here = sum(row.world == call.world and not row.planned for row in reds)
    over, worlds = 0, set[str]()
    for row in reds:
        over += not row.planned or (row.world not in worlds and of_today(row, call))
        worlds.add(row.world)
    if over < SAME_FAILURE_OVER_EDITS and (here < SAME_FAILURE or call.planned):
        return None
    how = f"{call.subject} failed {len(reds)} times with the same error, on {len(worlds)} states of the files"
    error = str(reds[0].signature).split("|", 2)[-1]
    stuck = over >= SAME_FAILURE_OVER_EDITS
    return Ruling("refuse", "R3", (how, error), cleared_by=(A_PERSON,) if stuck else (A_CHANGE, A_PERSON))


def _reds_since_pass(rows: Sequence[PastCall], test: str) -> list[PastCall]:
    """Newest first: the reds of ``test`` with the cause of its latest one, since it last passed."""
    found: list[PastCall] = []
    for row in reversed(rows):
        if row.tool != "run_test" or row.subject != test or row.shown is None or not row.ran:
            continue
        if row.outcome == "pass":
            break
        if is_red(row) and row.signature is not None and (not found or row.signature == found[0].signature):
            found.append(row)
    return found


STAGNANT_ADVISE, STAGNANT_REFUSE = 5, 9


def stagnation(window: Window, call: Call) -> Ruling | None:
    """R7: ever other commands, always the same answer; a program not tried yet gets one more."""
    if tool(call.tool).kind != "command" or call.free:
        return None
    rows = [row for row in since_news(counted(window, call), call.world) if row.tool == call.tool]
    same = [row for row in rows if row.shown == rows[0].shown]
    if not same or str(same[0].shown).endswith(NOTHING_SAID):
        return None
    times = len(same) + 1
    if times <= STAGNANT_REFUSE and call.subject not in {row.subject for row in same}:
        return None
    evidence = (f"{len(same)} commands gave the same output",)
    if times >= STAGNANT_REFUSE:
        return Ruling("refuse", "R7", evidence, cleared_by=(A_CHANGE, "another program", "a result not seen before"))
    return Ruling("advise", "R7", evidence) if times == STAGNANT_ADVISE else None
