"""Spans from stored facts: their ids, what they tell, and the names that are OpenTelemetry's own."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.semconv._incubating.attributes import cicd_attributes as cicd
from opentelemetry.semconv._incubating.attributes import test_attributes as case
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE

from mcp_e2e.decisions import traces
from mcp_e2e.model.runs import Attempt, AttemptState, Checkpoint, Failure, Run, Slot, Verdict
from mcp_e2e.model.traces import TraceContext

HEX = "0123456789abcdef"
CALLER = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", sampled=True, state="vendor=x")
SECRET = "s3cret /home/me/prompt.txt"


def attempt(verdict: Verdict, kind: str | None = None, **more) -> Attempt:
    failure = Failure(kind, SECRET, SECRET) if kind else None
    return Attempt(
        id="a-1", run="r-1", slot=1, n=2, test="portrait", work=SECRET, params={"prompt": SECRET}, service="comfyui",
        timeout_s=9, lease="l", by="claude (pid 1)", state=AttemptState.DONE, created_at=10.0, started_at=12.5,
        ended_at=20.0, generation=3, joined_running=False, verdict=verdict, failure=failure,
        evidence={"command": SECRET, "log_tail": SECRET, "warm": True, "artifacts": [SECRET]},
        progress={"message": SECRET}, carried={"url": SECRET}, **more,
    )  # fmt: skip


def run(*verdicts: Verdict, state="finished", **more) -> Run:
    point = Checkpoint("r-1", 1, "failure", None, SECRET, 21.0, "claude")
    slots = tuple(Slot(n, "portrait", (attempt(each),), point) for n, each in enumerate(verdicts, 1))
    return Run("r-1", state, "strict", 10.0, "claude", slots, ended_at=22.0, reason=SECRET, **more)


def values(enum) -> set[str]:
    return {each.value for each in enum}


def test_what_looks_standard_is_in_the_conventions() -> None:
    """Every name and value of cicd.*, test.* and error.* that any verdict and any end of a run gives."""
    known = {value for name, value in [*vars(cicd).items(), *vars(case).items()] if name.isupper()} | {ERROR_TYPE}
    enums = {
        cicd.CICD_PIPELINE_RESULT: values(cicd.CicdPipelineResultValues),
        cicd.CICD_PIPELINE_ACTION_NAME: values(cicd.CicdPipelineActionNameValues),
        cicd.CICD_PIPELINE_TASK_TYPE: values(cicd.CicdPipelineTaskTypeValues),
        cicd.CICD_PIPELINE_TASK_RUN_RESULT: values(cicd.CicdPipelineTaskRunResultValues),
        case.TEST_CASE_RESULT_STATUS: values(case.TestCaseResultStatusValues),
        case.TEST_SUITE_RUN_STATUS: values(case.TestSuiteRunStatusValues),
    }
    runs = [run(verdict, state=state) for verdict in Verdict for state in ("finished", "dropped", "service_failed")]
    spans = [traces.run_span(each, traces.of_run(each), "shop", []) for each in runs]
    spans += [traces.attempt_span(attempt(verdict), CALLER) for verdict in Verdict]
    spans += [traces.boot_span("comfyui", "j-1", 2, (1.0, 2.0), None)]
    for span in spans:
        standard = {name: value for name, value in span.facts.items() if not name.startswith("mcp_e2e.")}
        assert set(standard) <= known
        assert {name: value for name, value in standard.items() if value not in enums.get(name, {value})} == {}
    assert set().union(*(span.facts for span in spans)) >= set(enums)


@pytest.mark.parametrize(
    ("verdicts", "state", "told"),
    [
        ([Verdict.PASSED, Verdict.FAILED], "finished", ("failure", "failure", "test_failed")),
        ([Verdict.PASSED, Verdict.TIMED_OUT], "finished", ("failure", "failure", "test_failed")),
        ([Verdict.PASSED, Verdict.SKIPPED], "finished", ("success", "success", None)),
        ([Verdict.SKIPPED], "finished", ("skip", "skipped", None)),
        ([Verdict.FAILED], "dropped", ("cancellation", "aborted", None)),
        ([Verdict.LOST], "service_failed", ("error", "aborted", "service_failed")),
    ],
)
def test_a_runs_result_and_its_status(verdicts, state, told) -> None:
    """A status is an error for a red test and a dead service, in one of two words."""
    span = traces.run_span(run(*verdicts, state=state), CALLER, "shop", [])
    assert (span.facts["cicd.pipeline.result"], span.facts["test.suite.run.status"], span.error) == told
    assert span.facts.get("error.type") == span.error
    assert (span.name, span.kind, span.began, span.ended) == ("RUN shop", "SERVER", 10.0, 22.0)


def test_an_attempts_facts() -> None:
    """Waiting and running apart; the error is the kind of failure, and a lost attempt neither passed nor failed."""
    red = traces.attempt_span(attempt(Verdict.FAILED, "assertion"), CALLER)
    assert (red.error, red.facts["error.type"], red.facts["test.case.result.status"]) == ("assertion",) * 2 + ("fail",)
    assert (red.began, red.ended) == (10.0, 20.0)
    assert (red.facts["mcp_e2e.wait_s"], red.facts["mcp_e2e.duration_s"]) == (2.5, 7.5)
    assert (red.facts["mcp_e2e.cold_start"], red.facts["mcp_e2e.warm"]) == (True, True)
    lost = traces.attempt_span(attempt(Verdict.LOST, "service_died"), CALLER)
    assert (lost.error, "test.case.result.status" in lost.facts) == ("service_died", False)
    green = traces.attempt_span(attempt(Verdict.PASSED), CALLER)
    assert (green.error, green.facts["test.case.result.status"]) == (None, "pass")


def test_no_message_param_command_or_file_is_told() -> None:
    """Whatever a span is made of."""
    events = [{"kind": kind, "at": 11.0, "body": {"slot": 1, "result": "success", "note": SECRET, "generation": 2}}
              for kind in ("checkpoint", "session.ready", "attempt.ended", "breaker.open")]  # fmt: skip
    told = traces.run_span(run(Verdict.FAILED), CALLER, "shop", events)
    assert [moment.name.partition(".")[2] for moment in told.moments] == [
        "checkpoint",
        "session.restarted",
        "breaker.open",
    ]
    assert SECRET not in f"{told}{traces.attempt_span(attempt(Verdict.FAILED, 'assertion'), CALLER)}"


def test_ids_are_the_runs_own_and_the_callers_trace_wins() -> None:
    """Any process finds the same ones, and a run of the same name in another project does not get them."""
    alone, same, other = run(), run(), replace(run(), created_at=10.000001)
    assert traces.of_run(alone) == traces.of_run(same)
    assert traces.of_run(alone).trace_id != traces.of_run(other).trace_id
    under = traces.of_run(run(caller=CALLER))
    assert (under.trace_id, under.state) == (CALLER.trace_id, CALLER.state)
    assert under.span_id not in {CALLER.span_id, traces.below(under, "a-1").span_id}
    assert traces.below(under, "a-1") == traces.below(under, "a-1") != traces.below(under, "a-2")
    assert not traces.of_run(run(caller=replace(CALLER, sampled=False))).sampled
    assert not traces.of_run(run(), samples=lambda _: False).sampled


ids = st.tuples(
    st.text(HEX, min_size=32, max_size=32), st.text(HEX, min_size=16, max_size=16), st.booleans()
).filter(lambda each: set(each[0]) != {"0"} and set(each[1]) != {"0"})  # fmt: skip


@given(ids)
def test_a_context_is_read_as_it_was_written(said) -> None:
    """Through the variables that a program gets."""
    told = traces.environment(TraceContext(*said, state="a=1,b=2"))
    assert traces.parse(told["TRACEPARENT"], told["TRACESTATE"]) == TraceContext(*said, state="a=1,b=2")


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "",
        "yes",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{CALLER.trace_id}-{'0' * 16}-01",
        f"ff-{CALLER.trace_id}-{CALLER.span_id}-01",
        f"00-{CALLER.trace_id.upper()}-{CALLER.span_id}-01",
        f"00-{CALLER.trace_id}-{CALLER.span_id}-01-more",
    ],
)
def test_what_is_no_trace_context_is_as_good_as_none(wrong) -> None:
    """As the W3C has it; a later version may have more behind it."""
    assert traces.parse(wrong, "a=1") is None
    assert traces.parse(f"01-{CALLER.trace_id}-{CALLER.span_id}-03-more", "\n") == replace(CALLER, state="")


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, ["otlp"]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, ["otlp"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, []),
        ({"OTEL_TRACES_EXPORTER": "otlp, console"}, ["otlp", "console"]),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "True"}, []),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c"}, []),
    ],
)
def test_only_the_standard_variables_turn_it_on(environ, names) -> None:
    """No exporter by default, and none that was switched off."""
    assert traces.exporters(environ) == names
