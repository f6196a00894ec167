"""Recording a slot: what may be claimed of it, what was claimed already, and the end of a run."""

from dataclasses import dataclass
from sqlite3 import Connection

from mcp_e2e.decisions import schedule
from mcp_e2e.errors import Contradiction, UsageError
from mcp_e2e.model.calls import Breaker, BreakerState, Red
from mcp_e2e.model.runs import Checkpoint, CheckpointResult, Run, Slot, Verdict
from mcp_e2e.store import attempts, runs
from mcp_e2e.store import breaker as breakers
from mcp_e2e.usecases.settlement import observed

NO_RUN = "No run is planned."
RESULTS: dict[str, CheckpointResult] = {
    "success": "success",
    "passed": "success",
    "failure": "failure",
    "failed": "failure",
    "timed_out": "failure",
    "errored": "failure",
    "lost": "skipped",
    "cancelled": "skipped",
    "skipped": "skipped",
}


@dataclass(frozen=True)
class Claim:
    """What a caller says of a slot: of the current one, or of the first open slot of ``test``."""

    result: CheckpointResult
    note: str
    test: str | None
    by: str


def recorded(con: Connection, claim: Claim, limit: int, now: float) -> tuple[Checkpoint, Run, bool, Breaker | None]:
    """The checkpoint, the run after it, whether it was there already, and the breaker if a survey's end opened it.

    Raises:
        Contradiction: the claim is not what the server observed.
        UsageError: there is no run, or no open slot to record.
    """
    last = runs.last_checkpoint(con)
    run = runs.active(con) or (runs.get(con, last.run) if last else None)
    if run is None:
        raise UsageError(NO_RUN, remedy="Call plan_run, or run_test with the name of one test.")
    slot = schedule.due(run, claim.test) if run.state == "active" else None
    if last is not None and _repeats(last, run, slot, claim):
        return last, run, True, None
    if slot is None:
        which = f"of test {claim.test!r} " if claim.test else ""
        raise UsageError(f"no slot {which}is open in run {run.id}", remedy="Call report, or plan_run for a new run.")
    point = Checkpoint(run.id, slot.n, claim.result, _allowed(slot, claim.result), claim.note, now, claim.by)
    runs.add_checkpoint(con, point)
    if slot.last is not None:  # whoever records a verdict has heard it
        attempts.deliver(con, slot.last.id, now)
    after = runs.get(con, run.id) or run
    opened = _ended(con, after, limit, now) if after.current is None else None
    return point, after, False, opened


def _ended(con: Connection, run: Run, limit: int, now: float) -> Breaker | None:
    """End the run; a survey then counts as one outcome."""
    runs.end(con, run.id, "finished", now)
    judged = [slot for slot in run.slots if slot.verdict is not None]
    before = breakers.load(con)
    if run.mode != "survey" or not judged or before.state is not BreakerState.CLOSED:
        return None
    reds = [slot for slot in judged if slot.last is not None and slot.last.red]
    red = Red(run.id, f"survey {run.id}", "failed", f"{len(reds)} of {len(judged)} tests red", now, run.by)
    return observed(con, before, Verdict.FAILED if reds else Verdict.PASSED, red, limit, now)


def _repeats(last: Checkpoint, run: Run, slot: Slot | None, claim: Claim) -> bool:
    """Whether a call says the last checkpoint over again, because its reply was lost."""
    same = last.run == run.id and last.result == claim.result and last.note == claim.note
    same = same and (claim.test is None or run.slot(last.slot).test == claim.test)
    untouched = slot is None or (slot.verdict is None and claim.result != "skipped")
    return same and untouched


def _allowed(slot: Slot, result: CheckpointResult) -> Verdict | None:
    """The verdict that is recorded with ``result``.

    Raises:
        Contradiction: ``result`` claims more, or something else, than the server observed.
    """
    attempt = slot.last
    if attempt is not None and attempt.open:
        raise Contradiction(
            f"attempt {attempt.id} of {slot.test} is still {attempt.state.value}",
            remedy="Repeat run_test to wait for its verdict, or end it with job(action='cancel').",
        )
    verdict = slot.verdict
    if verdict is None and result != "skipped":
        raise Contradiction(
            f"slot {slot.n} ({slot.test}) has no verdict: it was not run",
            remedy="Call run_test first, or checkpoint(result='skipped').",
        )
    if result == "success" and verdict is not Verdict.PASSED:
        failure = attempt.failure.message if attempt and attempt.failure else ""
        raise Contradiction(
            f"the server saw {slot.test} as {verdict.value if verdict else 'not run'}: {failure}",
            remedy="Repair the cause and run_test again, or checkpoint(result='failure').",
            verdict=verdict.value if verdict else None,
            evidence=dict(attempt.evidence) if attempt else {},
        )
    if result == "failure" and verdict is Verdict.CANCELLED:
        raise Contradiction(
            f"{slot.test} was cancelled, so nothing is known of it", remedy="Run it again, or record 'skipped'."
        )
    return verdict
