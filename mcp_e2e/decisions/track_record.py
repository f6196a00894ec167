"""What a test's latest attempts come to."""

from collections.abc import Iterable, Sequence
from statistics import median

from mcp_e2e.model.runs import RED, Verdict
from mcp_e2e.model.track_record import PastAttempt, TrackRecord


def track_records(attempts: Iterable[PastAttempt]) -> list[TrackRecord]:
    """One for each test; whose last attempt ended latest comes first. ``attempts``: oldest first."""
    by_test: dict[str, list[PastAttempt]] = {}
    for attempt in attempts:
        by_test.setdefault(attempt.test, []).append(attempt)
    records = [track_record(test, each) for test, each in by_test.items()]
    return sorted(records, key=lambda record: -record.attempts[-1].at)


def track_record(test: str, attempts: Sequence[PastAttempt]) -> TrackRecord:
    passed = [each for each in attempts if each.verdict is Verdict.PASSED]
    red = [each for each in attempts if each.verdict in RED]
    took = [each.duration_s for each in passed if each.duration_s is not None]
    return TrackRecord(
        test=test,
        attempts=tuple(attempts),
        passed=len(passed),
        judged=len(passed) + len(red),
        median_s=round(median(took), 3) if took else None,
        last_failure=red[-1] if red else None,
    )
