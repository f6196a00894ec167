"""The breaker's laws, over any history of verdicts."""

from hypothesis import given
from hypothesis import strategies as st

from mcp_e2e.decisions.breaker import (
    PERSON,
    bind_probe,
    failures_left,
    observe,
    open_by,
    pass_probe,
    release_probe,
    reset,
    take_probe,
)
from mcp_e2e.model.calls import Breaker, BreakerState, Limits, Red
from mcp_e2e.model.runs import RED, Verdict

VERDICTS = st.lists(st.sampled_from(list(Verdict)), max_size=30)
LIMIT = 3


def red(at: float = 1.0) -> Red:
    return Red("a-1", "portrait", "failed", "exit code 1", at, "claude (pid 7)")


def after(verdicts: list[Verdict], breaker: Breaker | None = None, limit: int = LIMIT) -> Breaker:
    breaker = breaker or Breaker()
    for at, verdict in enumerate(verdicts):
        breaker = observe(breaker, verdict, red(at), configured=Limits(limit), incident=f"i-{at}")
    return breaker


def opens(verdicts: list[Verdict]) -> bool:
    count = 0
    for verdict in verdicts:
        count = 0 if verdict is Verdict.PASSED else count + (verdict in RED)
        if count == LIMIT:
            return True
    return False


@given(VERDICTS)
def test_it_is_open_exactly_when_three_reds_came_without_a_pass_between(verdicts: list[Verdict]) -> None:
    """Skipped, cancelled and lost attempts neither count nor reset; only a pass does."""
    assert (after(verdicts).state is BreakerState.OPEN) == opens(verdicts)


@given(VERDICTS)
def test_no_verdict_closes_an_open_breaker(verdicts: list[Verdict]) -> None:
    """Not even a pass of a test that was running when it opened."""
    opened = after([Verdict.FAILED] * LIMIT)

    assert after(verdicts, opened).state is BreakerState.OPEN
    assert after(verdicts, opened).incident == opened.incident


@given(st.integers(1, 10), st.integers(1, 10))
def test_the_limit_is_the_one_stored_at_the_first_red(first: int, later: int) -> None:
    """Loosening or tightening the configuration while reds are counted changes nothing."""
    counted = after([Verdict.FAILED], limit=first)

    assert failures_left(counted, Limits(later)) == (0 if first == 1 else first - 1)


def test_a_red_probe_opens_again_and_a_green_one_closes() -> None:
    """After a person's reset one red is enough, and one pass clears all."""
    cleared = take_probe(reset(after([Verdict.FAILED] * LIMIT), cleared=9), 12, "lease")

    assert after([Verdict.TIMED_OUT], cleared).state is BreakerState.OPEN
    closed = after([Verdict.PASSED], cleared)
    assert (closed.state, closed.consecutive, closed.incident) == (BreakerState.CLOSED, 0, None)


@given(st.sampled_from([Verdict.LOST, Verdict.SKIPPED, Verdict.CANCELLED]), st.booleans())
def test_a_probe_without_a_verdict_gives_its_own_permit_back(verdict: Verdict, probe: bool) -> None:
    """The next run_test may probe again; another attempt's end frees nothing."""
    taken = take_probe(reset(after([Verdict.FAILED] * LIMIT), cleared=9), 12, "lease")
    probing = bind_probe(taken, 12, "a-1" if probe else "a-other")

    assert after([verdict], probing) == (release_probe(probing) if probe else probing)


def test_a_lost_probe_is_made_again_under_its_permit() -> None:
    """No second probe comes in between."""
    probing = bind_probe(take_probe(reset(after([Verdict.FAILED] * LIMIT), cleared=9), 12, "lease"), 12, "a-1")

    assert after([Verdict.LOST], pass_probe(probing, "a-1", "a-2")).probe_attempt == "a-2"


@given(VERDICTS)
def test_the_generation_counts_every_change_of_state(verdicts: list[Verdict]) -> None:
    """So that a late result of an old state can be told apart."""
    breaker, changes = Breaker(), 0
    for verdict in verdicts:
        before, breaker = breaker, after([verdict], breaker)
        changes += before.state is not breaker.state

    assert breaker.generation >= changes


@given(VERDICTS)
def test_another_opening_closes_only_by_a_person_too(verdicts: list[Verdict]) -> None:
    """R9, R10 and a person's lock are openings like any other, with the limits of that moment."""
    opened = open_by(Breaker(), PERSON, 5.0, ["GPU in repair"], configured=Limits(4), incident="i-9")
    later = after(verdicts, opened)

    assert (later.state, later.incident, later.opened_by) == (BreakerState.OPEN, "i-9", PERSON)
    assert later.limits == Limits(4)
    assert open_by(later, "R9", 6.0, [], configured=Limits(), incident="i-10") == later


def test_a_reset_of_a_closed_breaker_forgets_and_probes_nothing() -> None:
    """What rules have refused without an opening is cleared as well."""
    counted = after([Verdict.FAILED])

    assert reset(counted, cleared=7) == Breaker(generation=1, cleared=7)


def test_failed_probes_are_counted_until_one_passes() -> None:
    """From the second on a person is asked for a reason."""
    breaker = after([Verdict.FAILED] * LIMIT)
    for count in (1, 2):
        breaker = after([Verdict.FAILED], reset(breaker, cleared=count))
        assert (breaker.state, breaker.failed_probes) == (BreakerState.OPEN, count)

    assert after([Verdict.PASSED], reset(breaker, cleared=3)).failed_probes == 0
