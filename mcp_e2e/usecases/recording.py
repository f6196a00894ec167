"""Recording a slot: what may be claimed of it, what was claimed already, and the end of a run."""

from dataclasses import dataclass
from sqlite3 import Connection

from mcp_e2e.decisions import schedule
from mcp_e2e.errors import Contradiction, UsageError
from mcp_e2e.model.calls import Limits
from mcp_e2e.model.runs import Checkpoint, CheckpointResult, Run, Slot, Verdict
from mcp_e2e.store import attempts, runs
from mcp_e2e.usecases.settlement import survey_outcome

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
    """What a caller says of a slot: of number ``slot``, of the first open one of ``test``, or of the current one.

    ``run``: the only one that is meant; another client may have planned the next meanwhile.
    """

    result: CheckpointResult
    note: str
    test: str | None
    by: str
    slot: int | None = None
    run: str | None = None


def recorded(con: Connection, claim: Claim, limits: Limits, now: float) -> tuple[Checkpoint, Run, bool]:
    """The checkpoint, the run after it, and whether it was there already.

    Raises:
        Contradiction: the claim is not what the server observed.
        UsageError: there is no run, or no open slot to record.
    """
    last = runs.last_checkpoint(con)
    run = runs.active(con) or (runs.get(con, last.run) if last else None)
    if run is None:
        raise UsageError(NO_RUN, remedy="Call plan_run, or run_test with the name of one test.")
    if claim.run not in (None, run.id):
        raise UsageError(
            f"run {claim.run} has ended meanwhile", remedy=f"Run {run.id} is the present one: call status."
        )
    slot = schedule.due(run, claim.test, claim.slot) if run.state == "active" else None
    if last is not None and _repeats(last, run, slot, claim):
        return last, run, True
    if slot is None:
        which = f"of test {claim.test!r} " if claim.test else ""
        raise UsageError(f"no slot {which}is open in run {run.id}", remedy="Call report, or plan_run for a new run.")
    point = Checkpoint(run.id, slot.n, claim.result, _allowed(slot, claim.result), claim.note, now, claim.by)
    runs.add_checkpoint(con, point)
    if slot.last is not None:  # whoever records a verdict has heard it
        attempts.deliver(con, slot.last.id, now)
    after = runs.get(con, run.id) or run
    if after.current is None:
        runs.end(con, run.id, "finished", now)
        survey_outcome(con, after, limits, now)
    return point, after, False


def _repeats(last: Checkpoint, run: Run, slot: Slot | None, claim: Claim) -> bool:
    """Whether a call says the last checkpoint over again, because its reply was lost."""
    same = last.run == run.id and last.result == claim.result and last.note == claim.note
    same = same and (claim.test is None or run.slot(last.slot).test == claim.test)
    said_fully = claim.result != "skipped" or bool(claim.note) or claim.test is not None
    untouched = slot is None or (slot.verdict is None and said_fully)
    return same and untouched and claim.slot is None


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
