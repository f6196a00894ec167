"""Runs: planned slots, attempts at them, verdicts the server observed, checkpoints that move on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from mcp_e2e.model.traces import TraceContext


@dataclass(frozen=True)
class Caller:
    """Who asks: the client's name, the pid that serves it, and the id of that process's lease in ``private/leases``."""

    name: str
    pid: int
    lease: str
    door: Literal["mcp", "cli"] = "mcp"
    person: bool = False  # in a terminal that no agent has marked

    @property
    def shown(self) -> str:
        return f"{self.name} (pid {self.pid})"


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    ERRORED = "errored"
    LOST = "lost"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


RED = frozenset({Verdict.FAILED, Verdict.TIMED_OUT, Verdict.ERRORED})

FailureKind = Literal[
    "assertion",
    "execution_error",
    "no_output",
    "cached",
    "timeout",
    "out_of_memory",
    "service_died",
    "suspended",
    "cancelled",
]


@dataclass(frozen=True)
class Failure:
    """Why an attempt is not a pass. ``signature`` is equal for equal causes: numbers, paths and ids are taken out."""

    kind: FailureKind
    message: str
    signature: str


class AttemptState(StrEnum):
    QUEUED = "queued"  # another attempt holds the service
    STARTING = "starting"  # the service is not ready yet
    RUNNING = "running"
    DONE = "done"


@dataclass(frozen=True)
class Attempt:
    """One try of one slot. ``job`` or ``prompt_id`` is chosen and stored before the work starts."""

    id: str
    run: str
    slot: int
    n: int  # 1 = first try of this slot
    test: str
    work: str  # identity of what is run: test and the params that select it
    params: Mapping[str, Any]
    service: str | None
    timeout_s: float
    lease: str
    by: str
    state: AttemptState
    created_at: float
    job: str | None = None
    prompt_id: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    generation: int | None = None
    joined_running: bool | None = None  # an earlier attempt ran on this generation: one boot saved
    verdict: Verdict | None = None
    failure: Failure | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    progress: Mapping[str, Any] = field(default_factory=dict)
    carried: Mapping[str, Any] = field(default_factory=dict)  # what any process needs to go on with it
    delivered_at: float | None = None
    cancelled_by: str | None = None
    call: int | None = None  # the ledger's call that began it and ends with its verdict
    world: str = ""  # how the files stood when it was judged

    @property
    def open(self) -> bool:
        return self.state is not AttemptState.DONE

    @property
    def red(self) -> bool:
        return self.verdict in RED

    @property
    def duration_s(self) -> float | None:
        """Seconds of the test itself: neither boot nor queueing."""
        if self.started_at is None or self.ended_at is None:
            return None
        return round(self.ended_at - self.started_at, 3)


CheckpointResult = Literal["success", "failure", "skipped"]


@dataclass(frozen=True)
class Checkpoint:
    run: str
    slot: int
    result: CheckpointResult
    verdict: Verdict | None
    note: str
    at: float
    by: str


@dataclass(frozen=True)
class Slot:
    n: int
    test: str
    attempts: tuple[Attempt, ...] = ()
    checkpoint: Checkpoint | None = None

    @property
    def last(self) -> Attempt | None:
        return self.attempts[-1] if self.attempts else None

    @property
    def verdict(self) -> Verdict | None:
        """The verdict of the last finished attempt."""
        done = [attempt.verdict for attempt in self.attempts if not attempt.open]
        return done[-1] if done else None


RunState = Literal["active", "finished", "dropped", "service_failed"]
RunMode = Literal["strict", "survey"]


@dataclass(frozen=True)
class Run:
    id: str
    state: RunState
    mode: RunMode
    created_at: float
    by: str
    slots: tuple[Slot, ...]
    ended_at: float | None = None
    reason: str | None = None  # why it was dropped or ended early
    caller: TraceContext | None = None  # the span that it was planned under

    @property
    def current(self) -> Slot | None:
        """The first slot without a checkpoint."""
        return next((slot for slot in self.slots if slot.checkpoint is None), None)

    def slot(self, n: int) -> Slot:
        return self.slots[n - 1]
