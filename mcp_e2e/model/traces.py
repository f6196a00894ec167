"""Traces: where a span stands among others, and what it tells. Ids are lower-case hex, times UTC seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Fact = str | int | float | bool
Facts = Mapping[str, Fact]


@dataclass(frozen=True)
class TraceContext:
    """One span as others refer to it (W3C Trace Context). ``state``: the tracestate that came with it."""

    trace_id: str
    span_id: str
    sampled: bool = True
    state: str = ""


@dataclass(frozen=True)
class Moment:
    """Something that happened while a span lasted."""

    name: str
    at: float
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class Span:
    """What is over and stored, ready to be told. ``error``: one of few words; None where nothing went wrong."""

    name: str
    context: TraceContext
    parent: TraceContext | None
    began: float
    ended: float
    facts: Facts
    moments: tuple[Moment, ...] = ()
    error: str | None = None
    kind: Literal["SERVER", "INTERNAL"] = "INTERNAL"
