"""Calls, rulings on them, and the breaker they are judged by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

RulingKind = Literal["allow", "advise", "throttle", "refuse"]


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True)
class Red:
    """One red attempt as the breaker remembers it."""

    attempt: str
    test: str
    verdict: str
    message: str
    at: float
    by: str


@dataclass(frozen=True)
class Breaker:
    """The project's one breaker. ``limit`` is fixed at the first counted red; ``generation`` counts its transitions."""

    state: BreakerState = BreakerState.CLOSED
    generation: int = 0
    limit: int | None = None
    reds: tuple[Red, ...] = ()
    incident: str | None = None
    opened_at: float | None = None
    opened_by: str | None = None
    probe_call: int | None = None  # ledger id of the call that holds the one permit of half_open
    probe_lease: str | None = None
    probe_attempt: str | None = None  # once that call has begun an attempt, the permit is the attempt's

    @property
    def consecutive(self) -> int:
        return len(self.reds)


@dataclass(frozen=True)
class Call:
    """A call before it runs. ``identity`` is what selects its work; labels, waits and time limits are no part of it."""

    tool: str
    identity: str
    args: Mapping[str, Any]
    at: float
    caller: str
    lease: str
    door: Literal["mcp", "cli"] = "mcp"
    joins: bool = False  # it only waits for, or hands over, work that exists already


@dataclass(frozen=True)
class Ruling:
    """What the guard says of a call, and why."""

    kind: RulingKind = "allow"
    rule: str | None = None
    evidence: tuple[str, ...] = ()
    cleared_by: tuple[str, ...] = ()
    retry_after_s: float | None = None
    takes_probe: bool = False


@dataclass(frozen=True)
class PastCall:
    """A row of the ledger. ``outcome`` is None while it runs, or when the process that ran it died."""

    id: int
    at: float
    tool: str
    identity: str
    caller: str
    ruling: RulingKind
    rule: str | None
    outcome: str | None
    incident: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Window:
    """What a rule may look at: the breaker and the latest calls, oldest first."""

    breaker: Breaker
    past: tuple[PastCall, ...] = ()
    probe_alive: bool = False  # the probe's attempt is open, or the process of its call lives
    refusals_in_incident: int = 0
