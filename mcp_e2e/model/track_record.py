"""How a test has done lately. Times are UTC seconds, durations seconds."""

from dataclasses import dataclass

from mcp_e2e.model.runs import Failure, Verdict


@dataclass(frozen=True)
class PastAttempt:
    """One that has ended, as far as a look back wants it; ``at`` is its end."""

    id: str
    run: str
    slot: int
    n: int
    test: str
    verdict: Verdict
    at: float
    by: str
    duration_s: float | None = None
    generation: int | None = None
    failure: Failure | None = None


@dataclass(frozen=True)
class TrackRecord:
    """``attempts``: oldest first. ``judged`` are passes and reds: what was lost, skipped or cancelled tells nothing.

    ``median_s``: of the passed ones; ``last_failure``: the latest attempt that was red.
    """

    test: str
    attempts: tuple[PastAttempt, ...]
    passed: int
    judged: int
    median_s: float | None
    last_failure: PastAttempt | None

    @property
    def pass_rate(self) -> float | None:
        return round(self.passed / self.judged, 4) if self.judged else None
