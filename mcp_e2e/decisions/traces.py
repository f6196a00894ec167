"""What of a run is told as spans, and under which ids: any process can say them, from stored facts alone. Pure.

Names of ``cicd.*``, ``test.*`` and ``error.type`` are OpenTelemetry's; ours are ``mcp_e2e.*``. Told are ids, names that
the configuration gives to tests and services, verdicts and times; never messages, params, notes, commands or files.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mcp_e2e.model.runs import RED, Attempt, Run, Verdict
from mcp_e2e.model.traces import Fact, Facts, Moment, Span, TraceContext

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,512}")
_SAMPLED = 1

TASK_RESULTS: Mapping[Verdict, str] = {
    Verdict.PASSED: "success",
    Verdict.FAILED: "failure",
    Verdict.TIMED_OUT: "timeout",
    Verdict.ERRORED: "error",
    Verdict.LOST: "error",
    Verdict.SKIPPED: "skip",
    Verdict.CANCELLED: "cancellation",
}
SUITE_STATES: Mapping[str, str] = {
    "success": "success",
    "failure": "failure",
    "skip": "skipped",
    "error": "aborted",
    "cancellation": "aborted",
}
_TOLD = {  # of an event's body
    "checkpoint": ("slot", "result"),
    "breaker.open": ("incident",),
    "breaker.half_open": ("incident",),
    "breaker.closed": (),
    "session.ready": ("service", "generation"),
    "session.stopped": ("service",),
}


def exporters(environ: Mapping[str, str]) -> list[str]:
    """The exporters that the standard variables ask for; none where they ask for nothing, or forbid it."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    asked = environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if not asked:
        endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        return ["otlp"] if any(environ.get(name) for name in endpoints) else []
    return [name for each in asked.split(",") if (name := each.strip()) not in {"", "none"}]


def parse(traceparent: str | None, tracestate: str | None = None) -> TraceContext | None:
    """What a caller sent; None where it is nothing, or not valid."""
    found = _TRACEPARENT.fullmatch((traceparent or "").strip())
    if found is None or (found[0].startswith("00-") and len(found[0]) != len("00-") + 32 + 1 + 16 + 3):
        return None
    state = (tracestate or "").strip()
    kept = state if _TRACESTATE.fullmatch(state) else ""
    return TraceContext(found[1], found[2], bool(int(found[3], 16) & _SAMPLED), kept)


def traceparent(context: TraceContext) -> str:
    return f"00-{context.trace_id}-{context.span_id}-{_SAMPLED if context.sampled else 0:02x}"


def environment(context: TraceContext) -> dict[str, str]:
    """The variables by which a program below ``context`` finds it."""
    state = {"TRACESTATE": context.state} if context.state else {}
    return {"TRACEPARENT": traceparent(context), **state}


def of_run(run: Run, samples: Callable[[str], bool] = lambda _: True) -> TraceContext:
    """The run's span, under its caller's where it has one. ``samples``: whether a trace of our own is recorded."""
    trace_id = run.caller.trace_id if run.caller else _hashed("trace", f"{run.id} {run.created_at!r}", 32)
    span_id = _hashed("run", f"{run.id} {run.created_at!r}", 16)
    if run.caller is not None:
        return TraceContext(trace_id, span_id, run.caller.sampled, run.caller.state)
    return TraceContext(trace_id, span_id, samples(trace_id))


def below(parent: TraceContext, what: str) -> TraceContext:
    """The span of ``what``, an id that is used once, under ``parent``."""
    return TraceContext(parent.trace_id, _hashed(parent.trace_id, what, 16), parent.sampled, parent.state)


def apart(what: str) -> TraceContext:
    """The span of ``what`` in a trace of its own."""
    return TraceContext(_hashed("trace", what, 32), _hashed("span", what, 16))


def _hashed(kind: str, what: str, digits: int) -> str:
    return hashlib.sha256(f"mcp_e2e {kind} {what}".encode()).hexdigest()[:digits]


def run_span(run: Run, context: TraceContext, project: str, events: Iterable[Mapping[str, Any]]) -> Span:
    """An ended run. ``events``: what was recorded while it lasted."""
    result = _result(run)
    error = {"failure": "test_failed", "error": run.state}.get(result)
    facts = {
        "cicd.pipeline.name": project,
        "cicd.pipeline.run.id": run.id,
        "cicd.pipeline.action.name": "RUN",
        "cicd.pipeline.result": result,
        "test.suite.name": project,
        "test.suite.run.status": SUITE_STATES[result],
        "mcp_e2e.run.mode": run.mode,
        "mcp_e2e.run.slots": len(run.slots),
        "mcp_e2e.run.attempts": sum(len(slot.attempts) for slot in run.slots),
        "error.type": error,
    }
    ended = max(run.created_at, run.ended_at or run.created_at)
    moments = tuple(moment for event in events if (moment := _moment(event)))
    return Span(
        f"RUN {project}", context, run.caller, run.created_at, ended, _known(facts), moments, error, kind="SERVER"
    )


def _result(run: Run) -> str:
    if run.state != "finished":
        return "cancellation" if run.state == "dropped" else "error"
    verdicts = {slot.verdict for slot in run.slots}
    if verdicts & RED:
        return "failure"
    return "success" if Verdict.PASSED in verdicts else "skip"


def _moment(event: Mapping[str, Any]) -> Moment | None:
    kind, body = event["kind"], event["body"]
    if kind not in _TOLD:
        return None
    again = kind == "session.ready" and body["generation"] > 1
    facts = {f"mcp_e2e.{name}": body.get(name) for name in _TOLD[kind]}
    return Moment(f"mcp_e2e.{'session.restarted' if again else kind}", event["at"], _known(facts))


def attempt_span(attempt: Attempt, run: TraceContext) -> Span:
    """An ended attempt, with the time it waited for its turn and for the service."""
    verdict = attempt.verdict or Verdict.LOST
    kind = attempt.failure.kind if attempt.failure else None
    began, ended = attempt.created_at, max(attempt.created_at, attempt.ended_at or attempt.created_at)
    started = attempt.started_at
    case = {Verdict.PASSED: "pass"}.get(verdict, "fail" if verdict in RED else None)
    facts = {
        "cicd.pipeline.task.name": attempt.test,
        "cicd.pipeline.task.run.id": attempt.id,
        "cicd.pipeline.task.run.result": TASK_RESULTS[verdict],
        "cicd.pipeline.task.type": "test",
        "test.case.name": attempt.test,
        "test.case.result.status": case,
        "mcp_e2e.run": attempt.run,
        "mcp_e2e.slot": attempt.slot,
        "mcp_e2e.attempt": attempt.id,
        "mcp_e2e.attempt.n": attempt.n,
        "mcp_e2e.verdict": verdict.value,
        "mcp_e2e.failure.kind": kind,
        "mcp_e2e.wait_s": round(max(0.0, started - began), 3) if started is not None else None,
        "mcp_e2e.duration_s": attempt.duration_s,
        "mcp_e2e.service": attempt.service,
        "mcp_e2e.generation": attempt.generation,
        "mcp_e2e.cold_start": None if attempt.joined_running is None else not attempt.joined_running,
        **{f"mcp_e2e.{name}": attempt.evidence.get(name) for name in ("warm", "cached", "service_stale")},
    }
    error = (kind or verdict.value) if verdict in RED or verdict is Verdict.LOST else None
    moments = (Moment("mcp_e2e.attempt.started", started),) if started is not None else ()
    told = _known({**facts, "error.type": error})
    return Span(attempt.test, below(run, attempt.id), run, began, ended, told, moments, error)


def boot_span(service: str, job: str, generation: int, span: tuple[float, float], run: TraceContext | None) -> Span:
    """One life of a service from its start until it was ready (``span``), under the run that waited for it, if any."""
    what = f"{job} {generation}"
    facts: Facts = {
        "mcp_e2e.service": service,
        "mcp_e2e.generation": generation,
        "mcp_e2e.restarted": generation > 1,
    }
    began, ended = span
    context = below(run, what) if run else apart(what)
    return Span(f"boot {service}", context, run, began, max(began, ended), facts)


def _known(facts: Mapping[str, Any]) -> dict[str, Fact]:
    return {name: value for name, value in facts.items() if isinstance(value, (str, int, float, bool))}
