"""OpenTelemetry: sends spans where the standard ``OTEL_*`` variables say. The only room that knows it.

Imported where they ask for it (0.2 s), else never. Our spans are over and have the ids and times that were stored;
those of MCP messages are the MCP SDK's own and go the same way.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from importlib.metadata import entry_points
from sys import stderr

import anyio
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from mcp_e2e import __version__
from mcp_e2e.model.traces import Span, TraceContext

NAME = "mcp-e2e"
_WANTED: ContextVar[TraceContext | None] = ContextVar("wanted", default=None)
log = logging.getLogger(__name__)


class _Ids(RandomIdGenerator):
    """Gives a span of ours the ids that it is to have, and all others what ``others`` gives."""

    def __init__(self, others: IdGenerator) -> None:
        self._others = others

    def generate_trace_id(self) -> int:
        wanted = _WANTED.get()
        return int(wanted.trace_id, 16) if wanted else self._others.generate_trace_id()

    def generate_span_id(self) -> int:
        wanted = _WANTED.get()
        return int(wanted.span_id, 16) if wanted else self._others.generate_span_id()

    def is_trace_id_random(self) -> bool:
        return self._others.is_trace_id_random()


class Telemetry:
    """``owned``: the provider is ended with us."""

    def __init__(self, provider: TracerProvider, *, owned: bool) -> None:
        self._provider = provider
        self._owned = owned
        if not isinstance(provider.id_generator, _Ids):
            provider.id_generator = _Ids(provider.id_generator)
        self._tracer = provider.get_tracer(NAME, __version__)

    def samples(self, trace_id: str) -> bool:
        found = self._provider.sampler.should_sample(Context(), int(trace_id, 16), "RUN", SpanKind.SERVER)
        return found.decision is Decision.RECORD_AND_SAMPLE

    def tell(self, span: Span) -> None:
        """Hand a span that is over to the exporters; never blocks, and never raises because of them."""
        context = Context()
        if span.parent is not None:
            context = trace.set_span_in_context(NonRecordingSpan(_referred(span.parent)), context)
        token = _WANTED.set(span.context)
        try:
            told = self._tracer.start_span(
                span.name, context, SpanKind[span.kind], span.facts, start_time=_nanoseconds(span.began)
            )
        finally:
            _WANTED.reset(token)
        for moment in span.moments:
            told.add_event(moment.name, moment.facts, _nanoseconds(moment.at))
        if span.error is not None:
            told.set_status(Status(StatusCode.ERROR, span.error))
        told.end(_nanoseconds(span.ended))

    def link(self, to: TraceContext) -> None:
        current = trace.get_current_span()
        if current.is_recording():
            current.add_link(_referred(to))

    async def close(self, within_s: float) -> None:
        """Send what waits; what is not sent in time is lost, however dead the collector is."""
        end = self._provider.shutdown if self._owned else self._provider.force_flush
        sending = threading.Thread(target=end, name="telemetry", daemon=True)
        sending.start()
        with anyio.move_on_after(within_s, shield=True):
            while sending.is_alive():
                await anyio.sleep(0.01)


def opened(names: Sequence[str], environ: Mapping[str, str]) -> Telemetry | None:
    """For the exporters called ``names``; where somebody has set a provider up before us, to that one instead."""
    present = trace.get_tracer_provider()
    if isinstance(present, TracerProvider):
        return Telemetry(present, owned=False)
    found = [exporter for name in names if (exporter := _exporter(name, environ)) is not None]
    if not found:
        return None
    named = Resource.create({"service.name": NAME, "service.version": __version__})
    provider = TracerProvider(resource=named.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    for exporter in found:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return Telemetry(provider, owned=True)


def _exporter(name: str, environ: Mapping[str, str]) -> SpanExporter | None:
    """By its registered name; None, said in the log, where it is not installed or cannot be made."""
    if name == "console":
        return ConsoleSpanExporter(out=stderr)  # stdout has the protocol, or the answer
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if name == "otlp":
        name = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    try:
        for found in entry_points(group="opentelemetry_traces_exporter", name=name):
            exporter: SpanExporter = found.load()()
            return exporter
        log.warning("no traces are sent to %r: no such exporter is installed", name)
    except Exception as error:  # whatever another package does there must not keep us from working
        log.warning("no traces are sent to %r: %s", name, error)
    return None


def _referred(to: TraceContext) -> SpanContext:
    state = TraceState.from_header([to.state]) if to.state else None
    flags = TraceFlags(TraceFlags.SAMPLED if to.sampled else TraceFlags.DEFAULT)
    return SpanContext(int(to.trace_id, 16), int(to.span_id, 16), is_remote=True, trace_flags=flags, trace_state=state)


def _nanoseconds(at: float) -> int:
    return int(at * 1e9)
