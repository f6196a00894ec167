"""One look at a project for whoever watches it. Times are UTC seconds, durations seconds."""

from dataclasses import dataclass

from mcp_e2e.model.answers import Position


@dataclass(frozen=True)
class ServiceLine:
    """``since``: ready since then, or starting since then."""

    service: str
    state: str
    stage: str
    generation: int = 0
    since: float | None = None
    slow: bool = False
    url: str | None = None
    cause: str | None = None


@dataclass(frozen=True)
class RunningLine:
    """An attempt that has not ended; ``usual_s``: the median of the test's latest passes."""

    attempt: str
    test: str
    state: str
    since: float
    by: str
    message: str = ""
    usual_s: float | None = None


@dataclass(frozen=True)
class BreakerState:
    state: str = "closed"
    consecutive_failures: int = 0
    failures_left: int = 0
    incident: str | None = None
    opened_by: str | None = None


@dataclass(frozen=True)
class Event:
    """``subject``: the test, service or run that it is of; ``detail``: how it ended."""

    seq: int
    at: float
    kind: str
    subject: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Stored:
    """What the database tells of it."""

    position: Position | None = None
    running: tuple[RunningLine, ...] = ()
    breaker: BreakerState | None = None
    events: tuple[Event, ...] = ()  # the latest ones, oldest first


@dataclass(frozen=True)
class Board:
    """``problem``: why there is nothing, or not everything, to be seen."""

    at: float
    project: str
    stored: Stored = Stored()
    services: tuple[ServiceLine, ...] = ()
    problem: str | None = None
