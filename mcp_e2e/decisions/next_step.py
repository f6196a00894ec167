"""The one sentence after every answer: what the caller does next."""

from mcp_e2e.decisions.schedule import slot_title
from mcp_e2e.model.calls import Breaker, BreakerState
from mcp_e2e.model.runs import Attempt, AttemptState, Run, Slot, Verdict
from mcp_e2e.model.services import Session, SessionState

STOPPED = "The breaker is open: stop, and tell the user that a person has to look at it (mcp-e2e status)."

FOR_A_PERSON = "Testing is stopped until you have looked: read evidence, repair the cause, then mcp-e2e breaker reset."

BOUND = " It will not outlive this client, whose job object does not let its processes go."

REPORTED = "The run is over: tell the user what it showed. plan_run begins another."


def after_report(run: Run, breaker: Breaker) -> str:
    if breaker.state is BreakerState.OPEN:
        return STOPPED
    return after_plan(run, breaker) if run.state == "active" else REPORTED


def after_session(session: Session, breaker: Breaker) -> str:
    if breaker.state is BreakerState.OPEN:
        return STOPPED
    return _session_step(session.state, session.service) + (BOUND if session.ends_with_client else "")


def _session_step(state: SessionState, service: str) -> str:
    match state:
        case SessionState.READY:
            return "Ready. Call plan_run, or run_test for the test that is due."
        case SessionState.STARTING:
            return f"Still starting, which is normal: call start_session(service='{service}') again to wait on."
        case SessionState.DEGRADED:
            return "It was ready and does not answer now: call start_session again; if it stays so, read log_tail."
        case SessionState.FAILED:
            return "Read cause and log_tail, repair that first, then call start_session again."
        case SessionState.STOPPED:
            return "Stopped. start_session starts it again."


def with_failed_service(service: str) -> str:
    return (
        f"{service} has failed: read its cause and log_tail, repair that, then call start_session(service='{service}')."
    )


def without_run(breaker: Breaker) -> str:
    if breaker.state is BreakerState.HALF_OPEN:
        return f"One test may run to show whether the cause is gone: run_test with its name.{_warning(breaker)}"
    return STOPPED if breaker.state is BreakerState.OPEN else "Call plan_run, or run_test with the name of one test."


def _warning(breaker: Breaker) -> str:
    """Said one red before the breaker opens."""
    limit = breaker.limits.consecutive_failures if breaker.limits else None
    last = limit is not None and limit - breaker.consecutive == 1 and breaker.consecutive > 0
    near = breaker.state is BreakerState.HALF_OPEN or last
    return " One more red test stops all work here until a person has looked." if near else ""


def after_plan(run: Run, breaker: Breaker) -> str:
    if breaker.state is BreakerState.OPEN:
        return STOPPED
    current = run.current
    if current is None:
        return f"Every slot is recorded: call report.{_warning(breaker)}"
    return f"Call run_test for slot {slot_title(run, current)}.{_warning(breaker)}"


def after_attempt(run: Run, slot: Slot, attempt: Attempt, breaker: Breaker) -> str:
    """What follows an attempt: join it, record it, or mend something first."""
    if attempt.open:
        return _still_open(attempt)
    if breaker.state is BreakerState.OPEN:
        return f"{STOPPED} checkpoint(result='failure', note=…) still works."
    if run.state == "service_failed":
        return "The service died twice under this run: read evidence, repair the service, then plan_run again."
    if slot.checkpoint is not None:
        return after_plan(run, breaker)
    if attempt.verdict is Verdict.PASSED:
        return "Call checkpoint(result='success') to record it and move on."
    if attempt.verdict in {Verdict.LOST, Verdict.CANCELLED}:
        return "No verdict on the test: call run_test again, or checkpoint(result='skipped')."
    return (
        "Read failure and evidence, change something, then run_test again; "
        f"or checkpoint(result='failure', note='what you learned') to move on.{_warning(breaker)}"
    )


def _still_open(attempt: Attempt) -> str:
    what = {
        AttemptState.QUEUED: "Waiting for its turn",
        AttemptState.STARTING: "The service is starting",
    }.get(attempt.state, "Still running")
    return f"{what}, which is no failure: repeat the same run_test call; it joins this attempt."


def for_slot(run: Run, slot: Slot, breaker: Breaker) -> str:
    last = slot.last
    if breaker.state is BreakerState.OPEN:
        return STOPPED
    if last is not None and last.open:
        return _still_open(last)
    if last is not None and last.verdict is Verdict.PASSED:
        return "Call checkpoint(result='success')."
    if last is not None and last.red:
        return f"Change something and run_test, or checkpoint(result='failure', note=…).{_warning(breaker)}"
    return f"Call run_test for slot {slot_title(run, slot)}.{_warning(breaker)}"
