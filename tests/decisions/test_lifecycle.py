from itertools import product

from mcp_e2e.decisions.lifecycle import FIRST, STEPS, diagram, legal, state_of
from mcp_e2e.model.services import SessionState

YES_NO = (True, False)
LOOKS = [
    {
        "job_live": live,
        "job_exit_reason": None if live else reason,
        "wanted": wanted,
        "was_ready": was_ready,
        "answering": answering and live,
        "settled": settled,
    }
    for live, reason, wanted, was_ready, answering, settled in product(
        YES_NO, (None, "exited", "stopped", "crash_loop", "exec_failed"), YES_NO, YES_NO, YES_NO, YES_NO
    )
]


def test_no_state_claims_more_than_the_look_showed():
    """Ready needs a live, wanted, answering service; stopped and failed need that nothing lives."""
    for look in LOOKS:
        state = state_of(**look)
        usable = look["job_live"] and look["wanted"] and look["answering"]
        assert usable or state is not SessionState.READY, look
        assert look["wanted"] or state is not SessionState.FAILED, look
        assert (state in {SessionState.STOPPED, SessionState.FAILED}) == (not look["job_live"]), look


def test_a_service_that_has_not_answered_for_long_enough_is_still_starting():
    """Settling is asked for once: later a single answer is enough to be ready again."""
    facts = {"job_live": True, "job_exit_reason": None, "wanted": True, "answering": True, "settled": False}
    assert state_of(**facts, was_ready=False) is SessionState.STARTING
    assert state_of(**facts, was_ready=True) is SessionState.READY


def test_a_ready_service_that_falls_silent_is_degraded_and_a_new_generation_starts_over():
    """The difference between the two is whether this generation was seen ready."""
    facts = {"job_live": True, "job_exit_reason": None, "wanted": True, "answering": False}
    assert state_of(**facts, was_ready=True) is SessionState.DEGRADED
    assert state_of(**facts, was_ready=False) is SessionState.STARTING


def test_a_death_that_somebody_asked_for_is_no_failure():
    """Whoever stopped the job, its exit record says so even before the wish is stored."""
    facts = {"job_live": False, "was_ready": True, "answering": False}
    assert state_of(**facts, job_exit_reason="stopped", wanted=True) is SessionState.STOPPED
    assert state_of(**facts, job_exit_reason="exited", wanted=False) is SessionState.STOPPED
    assert state_of(**facts, job_exit_reason="exited", wanted=True) is SessionState.FAILED
    assert state_of(**facts, job_exit_reason=None, wanted=True) is SessionState.FAILED


def test_two_looks_at_one_generation_are_a_legal_step():
    """Whatever changes between two looks at one process, short of a new wish for it, the table knows the step."""
    for before, after in product(LOOKS, LOOKS):
        now = state_of(**before)
        known = before["was_ready"] or now is SessionState.READY
        if before["job_live"] and before["wanted"] >= after["wanted"]:
            assert legal(now, state_of(**{**after, "was_ready": known})), (before, after)


def test_every_state_can_be_reached_and_can_be_left_for_stopped_and_for_starting():
    """No state is a trap: a person can always stop, and always start again."""
    assert set(STEPS) == set(SessionState)
    for state in SessionState:
        assert state in _reached(FIRST)
        assert {SessionState.STOPPED, SessionState.STARTING} <= _reached(state)
        assert legal(state, state)


def test_nothing_fails_or_degrades_without_having_started():
    """A stopped service can only begin to live."""
    assert not legal(SessionState.STOPPED, SessionState.FAILED)
    assert not legal(SessionState.STOPPED, SessionState.DEGRADED)
    assert not legal(SessionState.FAILED, SessionState.DEGRADED)


def test_the_diagram_has_one_line_for_each_step_of_the_table():
    """README and table cannot differ."""
    lines = diagram().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> stopped"]
    steps = {tuple(line.strip().split(":")[0].split(" --> ")) for line in lines[2:]}
    assert steps == {(str(before), str(after)) for before, row in STEPS.items() for after in row}
    assert len(lines) - 2 == len(steps)


def _reached(start):
    seen, ahead = {start}, [start]
    while ahead:
        for state in set(STEPS[ahead.pop()]) - seen:
            seen.add(state)
            ahead.append(state)
    return seen
