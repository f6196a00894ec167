"""Which slots a run has, which one is due, and where the run stands."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from mcp_e2e.decisions.breaker import failures_left
from mcp_e2e.model.answers import Position
from mcp_e2e.model.calls import Breaker, Limits
from mcp_e2e.model.runs import Run, Slot, Verdict


def select(known: Sequence[str], wanted: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Test ids that ``wanted`` (ids or globs, in its order) names, and the patterns that match nothing."""
    if wanted is None:
        return list(known), []
    chosen: list[str] = []
    unmatched = []
    for pattern in wanted:
        matches = [test for test in known if fnmatchcase(test, pattern)]
        chosen += [test for test in matches if test not in chosen]
        if not matches:
            unmatched.append(pattern)
    return chosen, unmatched


def slots_for(tests: Sequence[str], count: int | None) -> list[str]:
    """The test of each slot: the list once, or cycled until there are ``count`` slots."""
    if count is None:
        return list(tests)
    return [tests[at % len(tests)] for at in range(count)]


def slot_title(run: Run, slot: Slot) -> str:
    return f"{slot.n}/{len(run.slots)} {slot.test}"


def due(run: Run, test: str | None, number: int | None = None) -> Slot | None:
    """The slot a call is for: the open one of that number, the first open one of ``test``, or the current one.

    Among the open slots of ``test`` one that was tried already comes first: its result is still to be recorded.
    """
    if number is not None:
        return next((slot for slot in run.slots if slot.n == number and slot.checkpoint is None), None)
    if test is None:
        return run.current
    open_slots = [slot for slot in run.slots if slot.test == test and slot.checkpoint is None]
    return next((slot for slot in open_slots if slot.attempts), open_slots[0] if open_slots else None)


def attempts_left(slot: Slot, allowed: int) -> int:
    """Attempts of the slot on the files as they were at the last one, before something has to change."""
    world = slot.last.world if slot.last else ""
    return max(0, allowed - sum(attempt.red and attempt.world == world for attempt in slot.attempts))


def position(run: Run, breaker: Breaker, limits: Limits) -> Position:
    """Where the run stands, as every reply inside it says; ``limits`` are those in force."""
    current = run.current
    recorded = [slot.checkpoint for slot in run.slots if slot.checkpoint is not None]
    return Position(
        run=run.id,
        slot=current.n if current else None,
        done=len(recorded),
        total=len(run.slots),
        passed=sum(point.result == "success" for point in recorded),
        failed=sum(point.result == "failure" for point in recorded),
        consecutive_failures=breaker.consecutive,
        failures_left=failures_left(breaker, limits),
        attempts_left=attempts_left(current, limits.attempts) if current else None,
        breaker=breaker.state.value,
        current=slot_title(run, current) if current else None,
    )


def why_due(slot: Slot) -> str:
    """Why this slot comes next, in a sentence."""
    last = slot.last
    if last is None:
        return "first open slot of the plan" if slot.n > 1 else "first slot of the plan"
    if last.open:
        return f"attempt {last.n} is {last.state.value}"
    if last.verdict is Verdict.PASSED:
        return "passed, not recorded yet"
    return f"attempt {last.n} {last.verdict.value if last.verdict else 'ended'}, not recorded yet"
