"""What the end of an attempt means, stored in one transaction: verdict, breaker, run, and whether to try again."""

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from mcp_e2e.decisions import breaker as machine
from mcp_e2e.decisions import tools
from mcp_e2e.decisions import verdict as verdicts
from mcp_e2e.errors import E2EError
from mcp_e2e.executors.orders import Outcome
from mcp_e2e.model.calls import Breaker, BreakerState, Limits, Red
from mcp_e2e.model.runs import Attempt, AttemptState, Run, Verdict
from mcp_e2e.process import jobs, locks
from mcp_e2e.store import attempts, ledger, runs, setbacks
from mcp_e2e.store import breaker as breakers
from mcp_e2e.usecases.incidents import new_incident

SERVICE_FAILED = "its service died under the test twice in a row"


def settled(con: Connection, attempt: Attempt, outcome: Outcome, limits: Limits, now: float) -> Attempt | None:
    """Store how ``attempt`` ended, with what that means for the breaker; the attempt to make again if it was lost.

    ``limits``: the configured ones. An attempt that has its verdict already changes nothing.
    """
    stored = attempts.get(con, attempt.id)
    judgement = outcome.judgement
    if stored is not None and stored.cancelled_by and judgement.verdict is not Verdict.PASSED:
        judgement = verdicts.failed(attempt.test, Verdict.CANCELLED, "cancelled", f"ended by {stored.cancelled_by}")
    evidence = {**outcome.evidence, "generation": stored.generation if stored else None, "world": attempt.world}
    if stored is not None and stored.carried.get("reloaded_for"):
        evidence["reloaded_for"] = stored.carried["reloaded_for"]
    spans = {"started_at": outcome.started_at, "ended_at": outcome.ended_at}
    attempts.advance(con, attempt.id, AttemptState.RUNNING, **{k: v for k, v in spans.items() if v is not None})
    if not attempts.finish(con, attempt.id, judgement, evidence, now):
        return None
    run = runs.get(con, attempt.run)
    again = _again(con, attempt, judgement.verdict, run, limits, now)
    if again is None:  # the call that began a lost attempt ends with its rerun
        _end_call(con, attempt, judgement, now)
    _count(con, attempt, judgement, run, limits, now)
    return again


def taken_back(con: Connection, attempt: Attempt, error: E2EError, now: float) -> None:
    """The test could not start: no attempt, and a probe's permit is free again."""
    if setbacks.take_back(con, attempt.id, error, now):
        before = breakers.load(con)
        if before.probe_attempt == attempt.id:
            breakers.save(con, before, machine.release_probe(before), now)
        if attempt.call is not None:
            _tell(con, attempt.call, "error", {"test": attempt.test, "code": error.code, "error": error.message}, now)


OUTCOMES: Mapping[Verdict, str] = {
    Verdict.PASSED: "pass",
    Verdict.FAILED: "fail",
    Verdict.TIMED_OUT: "timeout",
    Verdict.ERRORED: "error",
    Verdict.LOST: "error",
    Verdict.SKIPPED: "skip",
    Verdict.CANCELLED: "cancelled",
}


def _end_call(con: Connection, attempt: Attempt, judgement: verdicts.Judgement, now: float) -> None:
    """The ledger's call that began the attempt has now told its result."""
    if attempt.call is None:
        return
    failure = judgement.failure
    told = {
        "test": attempt.test,
        "status": judgement.verdict.value,
        "error": failure.message[:600] if failure else None,
        "kind": "infra" if judgement.verdict is Verdict.LOST else None,
    }
    _tell(con, attempt.call, OUTCOMES[judgement.verdict], {k: v for k, v in told.items() if v is not None}, now)


def _tell(con: Connection, call: int, outcome: str, told: Mapping[str, Any], now: float) -> None:
    result = tools.result("run_test", ledger.identity_of(con, call) or "", outcome, told)
    ledger.complete(con, call, result, now, breakers.load(con).cleared, told)


def settle_dead_calls(con: Connection, leases: Path, now: float) -> None:
    """End, once, the calls of processes that died between judging and doing; they told nothing and count as nothing."""
    for call, lease in ledger.reserved(con).items():
        if not locks.is_alive(leases, lease):
            ledger.abandon(con, call, "abandoned", now)


def _count(
    con: Connection, attempt: Attempt, judgement: verdicts.Judgement, run: Run | None, limits: Limits, now: float
) -> None:
    """Let the breaker see the verdict. A survey's reds count as one outcome when its run ends."""
    before = breakers.load(con)
    if run is not None and run.mode == "survey" and before.state is BreakerState.CLOSED:
        return
    red = Red(
        attempt=attempt.id,
        test=attempt.test,
        verdict=judgement.verdict.value,
        message=judgement.failure.message[:300] if judgement.failure else "",
        at=now,
        by=attempt.by,
    )
    _observe(con, before, judgement.verdict, red, limits, now)


def _observe(con: Connection, before: Breaker, verdict: Verdict, red: Red, limits: Limits, now: float) -> None:
    after = machine.observe(before, verdict, red, configured=limits, incident=new_incident())
    breakers.save(con, before, after, now)


def survey_outcome(con: Connection, run: Run, limits: Limits, now: float) -> None:
    """What the end of a survey, however it ended, means for the breaker: its reds count as one, a skip as nothing."""
    before = breakers.load(con)
    if run.mode != "survey" or before.state is not BreakerState.CLOSED:
        return
    reds = sum(any(attempt.red for attempt in slot.attempts) for slot in run.slots)
    passes = sum(slot.verdict is Verdict.PASSED for slot in run.slots)
    if not reds and not passes:
        return
    red = Red(run.id, f"survey {run.id}", "failed", f"{reds} of {len(run.slots)} tests red", now, run.by)
    _observe(con, before, Verdict.FAILED if reds else Verdict.PASSED, red, limits, now)


def _again(
    con: Connection, attempt: Attempt, verdict: Verdict, run: Run | None, limits: Limits, now: float
) -> Attempt | None:
    """The rerun of a lost attempt, stored; two lost in a row end the run instead."""
    if verdict is not Verdict.LOST or run is None or run.state != "active":
        return None
    before = breakers.load(con)
    if before.state is BreakerState.OPEN:
        return None
    if attempt.n > 1 and run.slot(attempt.slot).attempts[attempt.n - 2].verdict is Verdict.LOST:
        runs.end(con, run.id, "service_failed", now, SERVICE_FAILED)
        survey_outcome(con, run, limits, now)
        return None
    again = _fresh(replace(attempt, n=attempt.n + 1, state=AttemptState.QUEUED, created_at=now, started_at=None))
    attempts.add(con, again)
    breakers.save(con, before, machine.pass_probe(before, attempt.id, again.id), now)
    return again


def _fresh(attempt: Attempt) -> Attempt:
    """The attempt under a new id, with a new job or prompt id of the kind it has."""
    return replace(
        attempt,
        id="a-" + secrets.token_hex(5),
        job=jobs.new_job_id() if attempt.job else None,
        prompt_id=str(uuid.uuid4()) if attempt.prompt_id else None,
    )
