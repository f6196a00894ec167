"""Slots, what is due, and where a run stands."""

from hypothesis import given
from hypothesis import strategies as st

from mcp_e2e.decisions import schedule
from mcp_e2e.model.calls import Breaker, Limits
from mcp_e2e.model.runs import Attempt, AttemptState, Checkpoint, Run, Slot, Verdict

KNOWN = ["portrait", "landscape", "api-smoke"]


def attempt(slot: int, n: int, verdict: Verdict) -> Attempt:
    return Attempt(
        id=f"a-{slot}-{n}",
        run="r-1",
        slot=slot,
        n=n,
        test="portrait",
        work="",
        params={},
        service=None,
        timeout_s=1.0,
        lease="x",
        by="c",
        state=AttemptState.DONE,
        created_at=0.0,
        verdict=verdict,
    )


def run_of(*slots: Slot) -> Run:
    return Run("r-1", "active", "strict", 0.0, "c", slots)


def recorded(n: int, test: str = "portrait") -> Slot:
    return Slot(n, test, (), Checkpoint("r-1", n, "success", Verdict.PASSED, "", 1.0, "c"))


@given(st.lists(st.sampled_from(KNOWN), min_size=1, unique=True), st.integers(1, 200))
def test_count_is_the_number_of_slots_cycling_the_list(tests: list[str], count: int) -> None:
    """``count`` = number of slots; every test gets its share, at most one apart."""
    slots = schedule.slots_for(tests, count)

    assert len(slots) == count
    shares = [slots.count(test) for test in tests]
    assert max(shares) - min(shares) <= 1


def test_globs_choose_in_the_order_they_are_given_and_each_test_once() -> None:
    """A pattern that matches nothing is told, never taken for all."""
    assert schedule.select(KNOWN, ["api-*", "*a*", "nope"]) == (["api-smoke", "portrait", "landscape"], ["nope"])
    assert schedule.select(KNOWN, None) == (KNOWN, [])
    assert schedule.select(KNOWN, []) == ([], [])


def test_the_current_slot_is_the_first_without_a_checkpoint() -> None:
    """And a named test takes its own first open slot, one that was tried already before a fresh one."""
    tried = Slot(4, "portrait", (attempt(4, 1, Verdict.FAILED),))
    run = run_of(recorded(1), Slot(2, "landscape"), Slot(3, "portrait"), tried)

    assert schedule.due(run, None) == run.slot(2)
    assert schedule.due(run, "portrait") == tried
    assert schedule.due(run, "api-smoke") is None


def test_position_counts_what_is_recorded_and_what_is_left() -> None:
    """Every reply inside a run carries these numbers."""
    failing = Slot(2, "portrait", (attempt(2, 1, Verdict.FAILED),))

    found = schedule.position(run_of(recorded(1), failing), Breaker(), Limits())

    assert (found.done, found.total, found.passed, found.failed) == (1, 2, 1, 0)
    assert (found.slot, found.current, found.attempts_left, found.failures_left) == (2, "2/2 portrait", 1, 3)


def test_a_finished_run_has_no_current_slot() -> None:
    """Nothing is due any more."""
    found = schedule.position(run_of(recorded(1)), Breaker(), Limits())

    assert (found.slot, found.current, found.attempts_left) == (None, None, None)
