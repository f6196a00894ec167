"""Track records as JSON values and as text: a line for each test, or for each attempt of one."""

from collections.abc import Iterator, Sequence
from typing import Any

from mcp_e2e.formats.clean import one_line, span, utc
from mcp_e2e.model.runs import RED, Verdict
from mcp_e2e.model.track_record import PastAttempt, TrackRecord

_MESSAGE = 300


def data(record: TrackRecord, *, whole: bool = False) -> dict[str, Any]:
    """``whole``: with every attempt, latest first; absent things are left out."""
    facts = {
        "test": record.test,
        "verdicts": [each.verdict.value for each in record.attempts],
        "passed": record.passed,
        "judged": record.judged,
        "pass_rate": record.pass_rate,
        "median_s": record.median_s,
        "last_failure": _attempt(record.last_failure) if record.last_failure else None,
        "last_at": utc(record.attempts[-1].at),
        "attempts": [_attempt(each) for each in reversed(record.attempts)] if whole else None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _attempt(attempt: PastAttempt) -> dict[str, Any]:
    failure = attempt.failure
    facts = {
        "attempt": attempt.id,
        "run": attempt.run,
        "slot": attempt.slot,
        "n": attempt.n,
        "verdict": attempt.verdict.value,
        "at": utc(attempt.at),
        "duration_s": attempt.duration_s,
        "kind": failure.kind if failure else None,
        "message": failure.message[:_MESSAGE] if failure else None,
        "signature": failure.signature if failure else None,
        "generation": attempt.generation,
        "by": attempt.by,
    }
    return {name: value for name, value in facts.items() if value is not None}


def overview(records: Sequence[TrackRecord], *, now: float, ascii_only: bool = False) -> Iterator[str]:
    """A line for each test: latest verdicts, oldest first, how many passed, how long, and why it failed last."""
    width = max((len(one_line(each.test)) for each in records), default=0)
    ticked = max((len(each.attempts) for each in records), default=0)
    for each in records:
        ticks = "".join(tick(attempt.verdict, ascii_only=ascii_only) for attempt in each.attempts)
        yield f"{one_line(each.test):{width}}  {ticks:>{ticked}}  {summary(each, now)}"


def summary(record: TrackRecord, now: float) -> str:
    facts = ["never judged"]
    if record.judged:
        facts = [f"{record.passed}/{record.judged} passed"]
    if record.median_s is not None:
        facts.append(f"median {span(record.median_s)}")
    if (last := record.last_failure) is not None:
        facts.append(f"last failure {ago(now - last.at)}: {_why(last)}")
    return ", ".join(facts)


def attempts(record: TrackRecord, *, ascii_only: bool = False) -> Iterator[str]:
    """A line for each attempt, latest first."""
    for each in reversed(record.attempts):
        mark = tick(each.verdict, ascii_only=ascii_only)
        why = f"  {_why(each)}" if each.failure else ""
        where = f"{each.id}  {each.run}/{each.slot}"
        yield f"{utc(each.at)}  {mark} {each.verdict.value:9}  {span(each.duration_s):>9}  {where}{why}"


def tick(verdict: Verdict, *, ascii_only: bool) -> str:
    """One character: passed, red, lost, or neither."""
    if verdict is Verdict.PASSED:
        return "." if ascii_only else "✓"
    if verdict in RED:
        return "x" if ascii_only else "✗"
    return "!" if verdict is Verdict.LOST else "-"


def ago(seconds: float) -> str:
    """Roughly, in the largest unit that fits."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return "just now" if seconds < 5 else f"{seconds:.0f} s ago"


def _why(attempt: PastAttempt) -> str:
    if attempt.failure is None:
        return attempt.verdict.value
    return f"{attempt.failure.kind}: {one_line(attempt.failure.message)[:_MESSAGE]}"
