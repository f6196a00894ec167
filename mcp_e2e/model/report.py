"""The report on one run: what every format and every door shows. Times are UTC seconds, durations seconds."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from mcp_e2e.model.runs import RED, Attempt, CheckpointResult, Failure, RunMode, RunState, Verdict

Outcome = Literal["passed", "failed", "doubted", "skipped", "pending"]
FAILED: frozenset[Outcome] = frozenset({"failed", "doubted"})
Overall = Literal["passed", "failed", "incomplete", "stopped", "service_failed", "skipped"]


@dataclass(frozen=True)
class ArtifactLine:
    """One collected file; ``path`` absolute, ``bytes`` None when its size was not stored."""

    name: str
    path: str
    uri: str | None = None
    sha256: str | None = None
    bytes: int | None = None

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """From an entry of ``evidence.artifacts``; keys that a report does not show are left aside."""
        known = {key: stored.get(key) for key in ("uri", "sha256", "bytes")}
        return cls(name=str(stored.get("name", "artifact")), path=str(stored.get("path", "")), **known)


@dataclass(frozen=True)
class AttemptLine:
    """One try of a slot. ``verdict`` is None while it runs; ``log_tail`` only where it did not pass.

    ``models``: the files its workflow loads; ``warm``: whether all of them were found loaded, None when not known.
    ``memory``: as in its evidence, MiB.
    """

    id: str
    n: int
    verdict: Verdict | None
    by: str
    duration_s: float | None = None
    generation: int | None = None
    failure: Failure | None = None
    artifacts: tuple[ArtifactLine, ...] = ()
    log: str | None = None
    log_tail: str | None = None
    models: tuple[str, ...] = ()
    warm: bool | None = None
    memory: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, attempt: Attempt) -> Self:
        evidence = attempt.evidence
        return cls(
            id=attempt.id,
            n=attempt.n,
            verdict=attempt.verdict,
            by=attempt.by,
            duration_s=attempt.duration_s,
            generation=attempt.generation,
            failure=attempt.failure,
            artifacts=tuple(ArtifactLine.of(entry) for entry in evidence.get("artifacts") or ()),
            log=evidence.get("log"),
            log_tail=None if attempt.verdict is Verdict.PASSED else evidence.get("log_tail"),
            models=tuple(evidence.get("models") or ()),
            warm=evidence.get("warm"),
            memory=evidence.get("memory"),
        )

    @property
    def out_of_memory(self) -> bool:
        return self.failure is not None and self.failure.kind == "out_of_memory"

    def cause(self, test: str) -> str:
        """Equal for equal causes, whatever the test: its failure's signature without the test's name in front."""
        if self.failure is None:
            return f"{self.verdict}, no message stored"
        return self.failure.signature.removeprefix(f"{test}|")


@dataclass(frozen=True)
class SlotLine:
    """One planned slot. ``verdict`` is what the server saw last, ``recorded`` what a checkpoint said of it.

    ``outcome`` is never better than the verdict: a slot skipped over a red verdict is ``failed``, and one that an
    agent calls a failure although the server saw it pass is ``doubted``. ``standing`` is the ``n`` of the red (else
    lost) attempt that no later pass has answered, also while the slot is still ``pending``.
    """

    slot: int
    test: str
    outcome: Outcome
    verdict: Verdict | None = None
    recorded: CheckpointResult | None = None
    note: str = ""
    flaky: bool = False  # passed after a red attempt
    standing: int | None = None
    attempts: tuple[AttemptLine, ...] = ()

    @property
    def blamed(self) -> AttemptLine | None:
        """The attempt whose failure stands."""
        return next((attempt for attempt in self.attempts if attempt.n == self.standing), None)

    @property
    def judged(self) -> bool:
        """The server's verdict stands for or against it, recorded or not; a skip over no red says nothing."""
        if self.outcome in FAILED:
            return True
        red = self.blamed is not None and self.blamed.verdict in RED
        return self.outcome != "skipped" and (red or self.verdict is Verdict.PASSED)

    @property
    def duration_s(self) -> float | None:
        """Seconds of the last attempt that ended."""
        return self._timed.duration_s if self._timed else None

    @property
    def warm(self) -> bool | None:
        """Whether that attempt found its models loaded."""
        return self._timed.warm if self._timed else None

    @property
    def _timed(self) -> AttemptLine | None:
        return next((attempt for attempt in reversed(self.attempts) if attempt.duration_s is not None), None)


@dataclass(frozen=True)
class Cause:
    """One cause and the slots it stands behind; ``attempts`` counts how often it was seen in them."""

    signature: str
    kind: str
    message: str  # of its latest sight
    tests: tuple[str, ...]
    slots: tuple[int, ...]
    attempts: int


@dataclass(frozen=True)
class ModelUse:
    """One test on one set of model files: slots that use it, and its passed attempts by whether they found it loaded.

    ``cold`` and ``warm`` count attempts, ``cold_s`` and ``warm_s`` are their median seconds. ``saved_s`` is None while
    no cold attempt was measured.
    """

    models: tuple[str, ...]
    test: str
    slots: tuple[int, ...]
    cold: int
    warm: int
    cold_s: float | None = None
    warm_s: float | None = None
    saved_s: float | None = None


@dataclass(frozen=True)
class Counts:
    """Slots: ``total = passed + failed + skipped + pending``; doubted ones count as failed.

    ``flaky`` slots are passed ones as well. ``attempts`` and ``lost`` count attempts.
    """

    total: int
    passed: int
    failed: int
    skipped: int
    pending: int
    attempts: int
    flaky: int
    lost: int

    @classmethod
    def of(cls, tests: Iterable[SlotLine]) -> Self:
        lines = tuple(tests)
        outcomes = Counter(line.outcome for line in lines)
        attempts = [attempt for line in lines for attempt in line.attempts]
        return cls(
            total=len(lines),
            passed=outcomes["passed"],
            failed=outcomes["failed"] + outcomes["doubted"],
            skipped=outcomes["skipped"],
            pending=outcomes["pending"],
            attempts=len(attempts),
            flaky=sum(line.flaky for line in lines),
            lost=sum(attempt.verdict is Verdict.LOST for attempt in attempts),
        )


@dataclass(frozen=True)
class Report:
    """Everything known of a run. ``tests`` holds every slot once: failures, flaky, pending, skipped, passed."""

    run: str
    mode: RunMode
    state: RunState
    by: str
    started: float
    ended: float | None
    written: float
    project: str
    overall: Overall
    success_rate: float | None  # 0 … 1; None: no test has been judged
    counts: Counts
    tests: tuple[SlotLine, ...]
    causes: tuple[Cause, ...]
    restarts: int
    refusals: int
    breaker: str
    environment: Mapping[str, str]
    recommendation: str = ""
    incident: str | None = None
    reason: str | None = None  # why the run was dropped or ended early
    boot_saved_s: float | None = None
    boot_saved_how: str | None = None
    load_saved_s: float | None = None
    load_saved_how: str | None = None
    model_uses: tuple[ModelUse, ...] = ()  # equal sets of models stand together
    memory_peak: str | None = None  # of the attempt that came nearest to its limit, in a sentence

    @property
    def duration_s(self) -> float:
        """Seconds from the plan to its end, or until now."""
        return max(0.0, (self.written if self.ended is None else self.ended) - self.started)
