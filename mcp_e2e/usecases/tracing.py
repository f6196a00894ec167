"""Tell what a transaction has recorded as spans, once it is committed.

Each event is recorded by exactly one transaction of one process, so each span is told exactly once, by whoever stored
the fact it stands for; a process that dies between the two tells nothing. A run lasts over many calls and processes:
its span is told when it ends, and those of its attempts name it before.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import Any, Protocol, TypeVar

from mcp_e2e.decisions import traces
from mcp_e2e.model.runs import Attempt, Run
from mcp_e2e.model.traces import Span, TraceContext
from mcp_e2e.store import attempts, events, runs, sessions

T = TypeVar("T")
log = logging.getLogger(__name__)


class Telling(Protocol):
    """Where spans go."""

    def samples(self, trace_id: str) -> bool:
        """Whether a trace with this id that begins here is recorded."""
        ...

    def tell(self, span: Span) -> None: ...

    def link(self, to: TraceContext) -> None:
        """What is being done just now, a call of a client, has led to that span."""
        ...


@dataclass
class Told:
    """What one transaction has given to tell."""

    spans: list[Span] = field(default_factory=list)
    links: list[TraceContext] = field(default_factory=list)


class Tracing:
    """``telling``: None where nobody asked for spans. ``caller``: the trace that this process was started under."""

    def __init__(self, telling: Telling | None = None, caller: TraceContext | None = None) -> None:
        self._telling = telling
        self.caller = caller

    @property
    def wanted(self) -> bool:
        return self._telling is not None

    def observed(self, con: Connection, work: Callable[[Connection], T], project: str) -> tuple[T, Told]:
        """The result of ``work``, and what it has recorded. Inside its transaction, so all new events are its own."""
        before = events.last(con)
        result = work(con)
        told = Told()
        for event in events.after(con, before):
            try:
                self._read(con, event, project, told)
            except Exception:  # no telling is worth a lost verdict
                log.exception("a span could not be made")
        return result, told

    def tell(self, told: Told) -> None:
        if self._telling is None:
            return
        try:
            for span in told.spans:
                self._telling.tell(span)
            for context in told.links:
                self._telling.link(context)
        except Exception:  # what is stored is stored, whatever a sampler or processor of others does
            log.exception("a span could not be told")

    def environment(self, con: Connection, attempt: Attempt) -> dict[str, str]:
        """The variables that put the spans of the attempt's own program into our trace.

        Without spans of ours they name the caller's span, if there is one: one that nobody tells is no parent.
        """
        run = runs.get(con, attempt.run)
        if run is None:
            return {}
        if run.caller is not None and not self.wanted:
            return traces.environment(run.caller)
        return traces.environment(traces.below(self._of_run(run), attempt.id))

    def _of_run(self, run: Run) -> TraceContext:
        return traces.of_run(run, self._telling.samples) if self._telling is not None else traces.of_run(run)

    def _read(self, con: Connection, event: dict[str, Any], project: str, told: Told) -> None:
        match event["kind"]:
            case "session.ready":
                told.spans.append(self._boot(con, event["body"]))
            case "attempt.ended" | "attempt.created":
                attempt, run = attempts.get(con, event["body"]["attempt"]), runs.get(con, event["run"])
                if attempt is None or run is None:
                    return
                span = traces.attempt_span(attempt, self._of_run(run))
                if event["kind"] == "attempt.created":
                    told.links.append(span.context)
                else:
                    told.spans.append(span)
            case "run.started":
                if run := runs.get(con, event["run"]):
                    told.links.append(self._of_run(run))
            case "run.finished" | "run.dropped" | "run.service_failed":
                if run := runs.get(con, event["run"]):
                    during = events.during(con, run.id)
                    told.spans.append(traces.run_span(run, self._of_run(run), project, during))

    def _boot(self, con: Connection, body: dict[str, Any]) -> Span:
        service, generation = body["service"], body["generation"]
        job, began, ready = sessions.boot(con, service, generation)
        run = runs.active(con)
        parent = self._of_run(run) if run is not None and run.created_at <= began else None
        return traces.boot_span(service, job, generation, (began, ready), parent)
