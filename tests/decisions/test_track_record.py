"""How a test has done lately: what counts, and what does not."""

import pytest

from mcp_e2e.decisions.track_record import track_record, track_records
from mcp_e2e.formats.history import ago, attempts, data, overview
from mcp_e2e.model.runs import Failure, Verdict
from mcp_e2e.model.track_record import PastAttempt

NOW = 1_000_000.0


def past(*verdicts: Verdict, test: str = "a", took: tuple[float, ...] = ()) -> list[PastAttempt]:
    """One attempt a minute, the last one a minute ago."""
    return [
        PastAttempt(
            id=f"a-{n}",
            run="r-1",
            slot=n + 1,
            n=1,
            test=test,
            verdict=verdict,
            at=NOW - 60 * (len(verdicts) - n),
            by="tester (pid 1)",
            duration_s=took[n] if took else None,
            failure=None if verdict is Verdict.PASSED else Failure("assertion", f"why\n{n}", f"{test}|why"),
        )
        for n, verdict in enumerate(verdicts)
    ]


P, F, T, L, S = Verdict.PASSED, Verdict.FAILED, Verdict.TIMED_OUT, Verdict.LOST, Verdict.SKIPPED


def test_only_what_was_judged_counts() -> None:
    """A lost or skipped attempt is no failure and no pass; the median is that of the passed."""
    record = track_record("a", past(P, F, L, T, P, S, P, took=(1.0, 50.0, 60.0, 70.0, 2.0, 80.0, 9.0)))
    assert (record.passed, record.judged, record.pass_rate) == (3, 5, 0.6)
    assert record.median_s == 2.0
    assert record.last_failure is not None
    assert record.last_failure.id == "a-3"


def test_nothing_judged_has_no_rate() -> None:
    """Neither 0 nor 1, and no median of nothing."""
    record = track_record("a", past(L))
    assert (record.pass_rate, record.median_s, record.last_failure) == (None, None, None)
    assert next(overview([record], now=NOW)) == "a  !  never judged"


def test_the_latest_test_comes_first() -> None:
    """Whatever the order of the first attempts was."""
    early, late = past(P, P, test="early")[:1], past(P, P, test="late")
    assert [record.test for record in track_records([*early, *late])] == ["late", "early"]


def test_a_line_for_each_test() -> None:
    """In columns, one character for each verdict, in ASCII too."""
    records = track_records([*past(P, F, test="b", took=(3.0, 4.0)), *past(P, F, T, L, S, P, test="longer")])
    why = "assertion: why"
    assert list(overview(records, now=NOW)) == [
        f"b           ✓✗  1/2 passed, median 3.0 s, last failure 60 s ago: {why} 1",
        f"longer  ✓✗✗!-✓  2/4 passed, last failure 4 min ago: {why} 2",
    ]
    assert next(overview(records, now=NOW, ascii_only=True)).startswith("b           .x  1/2")


def test_a_line_for_each_attempt() -> None:
    """Latest first, with its ids, and why it is red on the same line."""
    lines = list(attempts(track_record("a", past(P, F, took=(3.0, 61.0)))))
    assert lines == [
        "1970-01-12T13:45:40Z  ✗ failed     1 min 1 s  a-1  r-1/2  assertion: why 1",
        "1970-01-12T13:44:40Z  ✓ passed         3.0 s  a-0  r-1/1",
    ]


def test_as_json_nothing_is_lost_or_made_up() -> None:
    """Attempts only where one test was asked for; absent things are left out."""
    facts = data(track_record("a", past(F, P)))
    assert facts["verdicts"] == ["failed", "passed"]
    assert facts["last_failure"]["signature"] == "a|why"
    assert not {"attempts", "median_s"} & set(facts)
    assert [each["attempt"] for each in data(track_record("a", past(F, P)), whole=True)["attempts"]] == ["a-1", "a-0"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-1, "just now"), (5, "5 s ago"), (119, "119 s ago"), (120, "2 min ago"), (7200, "2 h ago"), (2e5, "2 d ago")],
)
def test_how_long_ago(seconds: float, said: str) -> None:
    """Also where a clock was set back."""
    assert ago(seconds) == said
