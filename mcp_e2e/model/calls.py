"""Calls, rulings on them, and the breaker they are judged by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

RulingKind = Literal["allow", "advise", "throttle", "refuse"]
Fault = Literal["test", "infra", "misuse", "command"]
"""Whose failure a call ended with: three ledgers that never mix, and commands, which count nowhere else."""


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
class Limits:
    """What a person has configured. ``attempts``: reds of one test on one unchanged world before it is refused."""

    consecutive_failures: int = 3
    attempts: int = 2
    enforce: bool = True
    elicitation: bool = False


@dataclass(frozen=True)
class Breaker:
    """The project's one breaker. ``limits`` are fixed at the first counted red; ``generation`` counts its transitions.

    ``cleared``: ledger id of the latest call before a person's reset; it and what came before count for no rule.
    """

    state: BreakerState = BreakerState.CLOSED
    generation: int = 0
    limits: Limits | None = None
    reds: tuple[Red, ...] = ()
    incident: str | None = None
    opened_at: float | None = None
    opened_by: str | None = None
    evidence: tuple[str, ...] = ()  # of an opening by another rule than R1
    failed_probes: int = 0
    cleared: int = 0
    probe_call: int | None = None  # ledger id of the call that holds the one permit of half_open
    probe_lease: str | None = None
    probe_attempt: str | None = None  # once that call has begun an attempt, the permit is the attempt's

    @property
    def consecutive(self) -> int:
        return len(self.reds)


@dataclass(frozen=True)
class Call:
    """A call before it runs. ``identity`` is what selects its work; labels, waits and time limits are no part of it.

    ``subject``: the test of a run_test, the program of a command, else empty.
    """

    tool: str
    identity: str
    args: Mapping[str, Any]
    at: float
    caller: str
    lease: str
    door: Literal["mcp", "cli"] = "mcp"
    subject: str = ""
    world: str = ""
    joins: bool = False  # it only waits for, or hands over, work that exists already
    live: bool = False  # work is under way that its caller may be waiting for
    free: bool = False  # it joins other work, or waits for live work at a calm pace: no rule counts it
    planned: bool = False  # its verdict will be the first one of a planned slot
    person: bool = False  # typed in a terminal that no agent has marked


@dataclass(frozen=True)
class Ruling:
    """What the guard says of a call, and why. ``opens``: the breaker opens with it."""

    kind: RulingKind = "allow"
    rule: str | None = None
    evidence: tuple[str, ...] = ()
    cleared_by: tuple[str, ...] = ()
    retry_after_s: float | None = None
    takes_probe: bool = False
    opens: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What a call showed, as far as rules compare it.

    ``outcome``: ok pass fail error timeout skip cancelled denied, or ``running`` where work goes on after the reply.
    ``shown``: equal for results that tell the same. ``signature``: equal for equal causes; None without evidence.
    """

    outcome: str
    shown: str
    fault: Fault | None = None
    signature: str | None = None
    free: bool = False  # the work goes on, and asking again joins it

    @property
    def told(self) -> bool:
        """False for what did not run to its end: nobody knows what it would have told."""
        return self.outcome not in {"skip", "cancelled", "denied"}


@dataclass(frozen=True, slots=True)
class PastCall:
    """A row of the ledger. ``outcome`` is None while it runs, or when the process that ran it died."""

    id: int
    at: float
    tool: str
    identity: str
    ruling: RulingKind
    rule: str | None = None
    subject: str = ""
    world: str = ""
    outcome: str | None = None
    ended_at: float | None = None
    shown: str | None = None
    fault: Fault | None = None
    signature: str | None = None
    seen: int = 0  # how often its result had been shown before on the same world
    planned: bool = False
    free: bool = False  # joined other work, or waited for live work at a calm pace

    @property
    def ran(self) -> bool:
        return self.ruling in {"allow", "advise"}


@dataclass(frozen=True)
class RefusedCall:
    """A refused call as an incident lists it."""

    at: float
    tool: str
    caller: str
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Window:
    """What a rule may look at: the breaker and the latest calls, oldest first."""

    breaker: Breaker
    past: tuple[PastCall, ...] = ()
    limits: Limits = Limits()
    probe_alive: bool = False  # the probe's attempt is open, or the process of its call lives
    refusals_in_incident: int = 0

    @cached_property
    def told(self) -> tuple[PastCall, ...]:
        """The calls that ran to their end and were not free; several rules read them for one ruling."""
        return tuple(row for row in self.past if row.shown is not None and not row.free and row.ran)
