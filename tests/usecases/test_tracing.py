"""Spans as a collector gets them: one tree for each run, whoever ran it, and nothing where nobody asked."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import anyio
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

from mcp_e2e import bootstrap
from mcp_e2e.adapters.telemetry import Telemetry, opened
from mcp_e2e.model.traces import Span, TraceContext
from mcp_e2e.process import jobs
from mcp_e2e.process.environment import service_environment
from mcp_e2e.usecases import tracing
from tests.entrypoints.wire import MODERN, serving
from tests.usecases.collector import Collector, collecting, facts
from tests.usecases.conftest import Servers

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
UNDER = {"TRACEPARENT": f"00-{TRACE}-{PARENT}-01", "TRACESTATE": "vendor=x"}
TOLD = """
[[tests]]
id = "told"
command = ["sh", "-c", "env > $MCP_E2E_OUTPUT_DIR/env; echo sesame"]
env = { API_KEY = "${API_KEY}" }
"""
OWN = """
[[tests]]
id = "own"
command = ["sh", "-c", "env > own"]
env = { TRACEPARENT = "mine" }
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


def environ(project: Path, collector: Collector | None = None, **more: str) -> dict[str, str]:
    base = {"PATH": os.environ["PATH"], "HOME": str(project.parent), "API_KEY": "sesame-open"}
    sent = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"} if collector else {}
    return base | sent | more


def cli(project: Path, env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "mcp_e2e", *words]
    return subprocess.run(line, env=env, cwd=project, capture_output=True, encoding="utf-8", timeout=50, check=False)


def without_service(project: Path, tests: str = TOLD) -> None:
    """Tests that write down their environment, and nothing to boot."""
    (project / "mcp-e2e.toml").write_text(tests)


def given(project: Path, file: str = ".mcp-e2e/artifacts/*/*/env") -> dict[str, str]:
    """The trace context that a test was given."""
    (found,) = project.glob(file)
    every = dict(line.partition("=")[::2] for line in found.read_text().splitlines())
    return {name: value for name, value in every.items() if name.startswith("TRACE")}


def test_a_run_in_ci_hangs_under_its_job_and_its_tests_under_their_attempts(
    project: Path, collector: Collector
) -> None:
    """TRACEPARENT, run, attempt, the test's own TRACEPARENT: one tree, and no secret or command in it."""
    without_service(project)
    done = cli(project, environ(project, collector, **UNDER), "run", "--all")
    assert (done.returncode, done.stderr.count("traces")) == (0, 0), done.stderr
    run, attempt = collector.one(f"RUN {project.name}"), collector.one("told")
    assert (run.trace_id.hex(), run.parent_span_id.hex()) == (TRACE, PARENT)
    assert (attempt.trace_id.hex(), attempt.parent_span_id) == (TRACE, run.span_id)
    assert given(project) == {"TRACEPARENT": f"00-{TRACE}-{attempt.span_id.hex()}-01", "TRACESTATE": "vendor=x"}
    assert (len(collector.spans), collector.services) == (2, {"mcp-e2e"})
    assert [event.name for event in run.events] == ["mcp_e2e.checkpoint"]
    assert run.start_time_unix_nano <= attempt.start_time_unix_nano < attempt.end_time_unix_nano
    assert attempt.end_time_unix_nano <= run.end_time_unix_nano
    assert b"sesame" not in collector.raw


def test_two_processes_tell_one_run(project: Path, collector: Collector) -> None:
    """One is killed in mid-test: what it began is told by the other, once, under the same run, and so is the boot."""
    env = environ(project, collector)
    line = [sys.executable, "-m", "mcp_e2e", "run", "green", "slow", "red", "-q"]
    with subprocess.Popen(line, env=env, cwd=project, start_new_session=True, stdout=subprocess.DEVNULL) as first:
        try:
            collector.wait(lambda: collector.named("green"))
            begun = project / ".mcp-e2e" / "private" / "jobs"
            collector.wait(lambda: any(job.labels.get("test") == "slow" and job.lives for job in jobs.list_jobs(begun)))
        finally:
            os.killpg(first.pid, signal.SIGKILL)
    assert [span.name for span in collector.spans] == ["boot api", "green"]
    (project / "go").touch()
    done = cli(project, env | {"OTEL_SERVICE_NAME": "second"}, "run", "--stop")
    assert done.returncode == 1, done.stderr
    run = collector.one(f"RUN {project.name}")
    below = {span.name: span for span in collector.spans if span.parent_span_id == run.span_id}
    assert set(below) == {"boot api", "green", "slow", "red"}
    assert sorted(span.name for span in collector.spans) == sorted([run.name, *below])
    assert {span.trace_id for span in collector.spans} == {run.trace_id}
    assert run.parent_span_id == b""
    assert collector.services == {"mcp-e2e", "second"}
    assert facts(below["green"])["mcp_e2e.cold_start"] is True
    assert facts(below["red"])["mcp_e2e.cold_start"] is False
    assert facts(run)["cicd.pipeline.result"] == "failure"


async def test_a_clients_calls_are_linked_to_what_they_led_to(project: Path, collector: Collector) -> None:
    """The span of each MCP call hangs under the client's; run and attempt are a trace of their own. All is sent when
    the client leaves, before the process ends."""
    without_service(project)
    client = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    env = environ(project, collector, OTEL_BSP_SCHEDULE_DELAY="60000", TRACEPARENT=f"00-{'1' * 32}-{'2' * 16}-01")
    async with serving(env, project) as wire:
        for name, arguments in [("plan_run", {}), ("run_test", {"checkpoint": True})]:
            call = {"name": name, "arguments": arguments, "_meta": MODERN | client}
            answer = (await wire.ask("tools/call", call))["result"]["structuredContent"]
        assert answer["checkpointed"] == "success"
        await wire.process.stdin.aclose()
        code, _ = await wire.ended()
    assert code == 0
    run, attempt = collector.one(f"RUN {project.name}"), collector.one("told")
    assert (run.parent_span_id, run.trace_id.hex() in {TRACE, "1" * 32}) == (b"", False)
    calls = [collector.one("tools/call plan_run"), collector.one("tools/call run_test")]
    assert {(call.trace_id.hex(), call.parent_span_id.hex()) for call in calls} == {(TRACE, PARENT)}
    assert [[link.span_id for link in call.links] for call in calls] == [[run.span_id], [attempt.span_id]]
    assert attempt.parent_span_id == run.span_id


LOADED = """
import sys
from mcp_e2e.entrypoints.cli import run
code = run(sys.argv[1:])
print("loaded:", [name for name in sys.modules if name.startswith("opentelemetry")])
sys.exit(code)
"""


def test_without_an_exporter_the_callers_context_is_handed_on(project: Path) -> None:
    """A span that nobody tells is no parent. What the test's own env says wins, and nothing of OpenTelemetry is
    loaded."""
    without_service(project, TOLD + OWN)
    line = [sys.executable, "-c", LOADED, "run", "--all", "-q"]
    env = environ(project, **UNDER, OTEL_SDK_DISABLED="true", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    done = subprocess.run(line, env=env, cwd=project, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "loaded: []"), done.stderr
    assert (given(project), given(project, "own")) == (UNDER, {"TRACEPARENT": "mine"})


def test_a_service_outlives_the_trace_that_started_it() -> None:
    """It is told of none."""
    assert not service_environment(UNDER | {"BAGGAGE": "a=1"}, {}, "j-1").keys() & {*UNDER, "BAGGAGE"}


class InProcess:
    """Apps of this process tell their spans here, at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, provider: TracerProvider) -> None:
        self.exporter = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        monkeypatch.setattr(bootstrap, "telemetry", lambda _: Telemetry(provider, owned=False))

    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans() if span.name == name]


async def test_restarts_and_an_open_breaker_stand_in_the_run(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As events at their times; a boot that no run waited for is a trace of its own."""
    told = InProcess(monkeypatch, TracerProvider())
    async with server() as app:
        await app.sessions.start(app.caller)
        await app.runs.plan(app.caller, tests=["red"], count=3)
        await app.attempts.run(app.caller, wait_seconds=30, checkpoint=True)
        await app.sessions.stop(app.caller)
        for _ in range(2):
            await app.attempts.run(app.caller, wait_seconds=30, checkpoint=True)
    (run,) = told.named(f"RUN {project.name}")
    boots = told.named("boot api")
    assert [boot.attributes["mcp_e2e.restarted"] for boot in boots] == [False, True]
    assert [boot.parent and boot.parent.span_id for boot in boots] == [None, run.context.span_id]
    assert [red.parent.span_id for red in told.named("red")] == [run.context.span_id] * 3
    assert [event.name.removeprefix("mcp_e2e.") for event in run.events] == [
        "checkpoint",
        "session.stopped",
        "session.restarted",
        "checkpoint",
        "breaker.open",
        "checkpoint",
    ]
    assert [event.timestamp for event in run.events] == sorted(event.timestamp for event in run.events)
    assert (run.attributes["cicd.pipeline.result"], run.attributes["mcp_e2e.run.attempts"]) == ("failure", 3)


async def test_a_run_that_is_not_sampled_is_not_told_and_its_tests_hear_so(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sampler decides once, for the whole tree."""
    without_service(project)
    told = InProcess(monkeypatch, TracerProvider(sampler=ParentBased(ALWAYS_OFF)))
    async with server(stops=False, API_KEY="sesame-open") as app:
        answer = await app.attempts.run(app.caller, test="told", wait_seconds=30, checkpoint=True)
    assert (answer.verdict, answer.checkpointed, told.spans()) == ("passed", "success", ())
    assert given(project)["TRACEPARENT"].endswith("-00")


async def test_what_cannot_be_told_costs_no_verdict(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect while a span is made is logged; what it would have told is stored all the same. What was not stored is
    not told."""
    without_service(project)
    told = InProcess(monkeypatch, TracerProvider())
    async with server(stops=False, API_KEY="sesame-open") as app:
        with monkeypatch.context() as broken:
            broken.setattr(tracing.traces, "attempt_span", lambda *_: 1 / 0)
            answer = await app.attempts.run(app.caller, test="told", wait_seconds=30)
            assert (answer.verdict, told.spans()) == ("passed", ())

        def half(con) -> None:
            con.execute("INSERT INTO events (at, kind, run, body) SELECT at, kind, run, body FROM events")
            raise ValueError("rolled back")

        with pytest.raises(ValueError, match="rolled back"):
            await app._place.run(half)
        assert told.spans() == ()


class Stuck(SpanExporter):
    """A collector that does not answer."""

    def __init__(self) -> None:
        self.asked, self.let_go, self.over = threading.Event(), threading.Event(), threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.asked.set()
        self.let_go.wait(10)
        self.over.set()
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self.export(())


async def test_a_dead_collector_holds_no_process_up() -> None:
    """The end waits for it as long as it may, also when it is cancelled meanwhile."""
    waited = False
    stuck, provider = Stuck(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(stuck))
    with anyio.fail_after(20), anyio.CancelScope() as cancelled:
        cancelled.cancel()
        await Telemetry(provider, owned=True).close(0.05)
        waited = True
    assert waited
    assert stuck.asked.wait(20)
    assert not stuck.over.is_set()
    stuck.let_go.set()


async def test_a_provider_that_is_there_already_is_used_and_left_to_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under opentelemetry-instrument: our spans get their ids there too, and it lives on when we end."""
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    for span_id in (PARENT, "c7ad6b7169203331"):
        ours = opened([], {})
        assert ours is not None
        ours.tell(Span("ours", TraceContext(TRACE, span_id), None, 1.0, 2.0, {}))
        await ours.close(5)
    with provider.get_tracer("theirs").start_as_current_span("theirs"):
        pass
    *told, theirs = exporter.get_finished_spans()
    assert [f"{each.context.span_id:016x}" for each in told] == [PARENT, "c7ad6b7169203331"]
    assert {f"{each.context.trace_id:032x}" for each in told} == {TRACE} != {f"{theirs.context.trace_id:032x}"}


def test_an_exporter_that_is_not_there_is_said_and_nothing_else_happens(caplog: pytest.LogCaptureFixture) -> None:
    """Traces are no reason to fail."""
    assert opened(["jaeger"], {}) is None
    assert "no traces are sent to 'jaeger': no such exporter is installed" in caplog.text


@pytest.mark.parametrize("name", ["OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"])
def test_what_the_sdk_does_not_take_keeps_nobody_from_working(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said in the log; servers start, and commands answer."""
    monkeypatch.setattr(trace, "get_tracer_provider", trace.ProxyTracerProvider)
    monkeypatch.setenv(name, "-1")
    assert bootstrap.telemetry({"OTEL_TRACES_EXPORTER": "console"}) is None
    assert name in caplog.text or "max_queue_size" in caplog.text


def test_a_processor_that_breaks_costs_no_verdict(caplog: pytest.LogCaptureFixture) -> None:
    """What is to be told is committed by then."""

    class Breaking(Telemetry):
        def tell(self, span: Span) -> None:
            raise RuntimeError(f"cannot tell {span.name}")

    told = tracing.Told([Span("t", TraceContext("1" * 32, "2" * 16), None, 1.0, 2.0, {})])
    tracing.Tracing(Breaking(TracerProvider(shutdown_on_exit=False), owned=True)).tell(told)
    assert "cannot tell t" in caplog.text
