"""Time limits are of time in which the job could run: what the machine slept or stood still is not charged."""

import pytest

from mcp_e2e.process.keeping import limits
from mcp_e2e.process.keeping.limits import Limits

SPEC = {"kind": "command", "timeout_s": 10.0, "limits": {"memory_bytes": None, "processes": None}}


class Clock:
    """Stands for ``time``: the monotonic clock, and the one that goes on while the machine sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = 1000.0, 0.0

    def monotonic(self) -> float:
        return self.now

    def clock_gettime(self, _clock: int) -> float:
        return self.now + self.slept


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(limits, "time", clock)
    monkeypatch.setattr(limits, "_BOOTTIME", 7)
    return clock


def run(watched: Limits, clock: Clock, seconds: float) -> str | None:
    """Half a second after half a second, as the keeper looks."""
    for _ in range(int(seconds * 2)):
        clock.now += 0.5
        if reason := watched.exceeded(clock.now):
            return reason
    return None


def test_a_limit_ends_a_job_that_ran_all_the_time(clock: Clock) -> None:
    """Nine seconds of ten are allowed, ten are not."""
    watched = Limits(SPEC, clock.now)
    assert run(watched, clock, 9.5) is None
    assert run(watched, clock, 0.5) == "timeout"
    assert watched.awake.suspended_s == 0


def test_a_freeze_is_not_charged_and_is_told(clock: Clock) -> None:
    """Everything stood still for an hour (SIGSTOP, a paused machine): the nine seconds left are still there."""
    watched = Limits(SPEC, clock.now)
    assert run(watched, clock, 1) is None
    clock.now += 3600
    assert run(watched, clock, 8) is None
    assert 3599 <= watched.awake.suspended_s <= 3600
    assert run(watched, clock, 2) == "timeout"


def test_a_late_look_on_a_busy_machine_is_charged(clock: Clock) -> None:
    """Some seconds late is load, not sleep: a limit cannot be stretched by it."""
    watched = Limits(SPEC, clock.now)
    clock.now += 5
    assert run(watched, clock, 5) == "timeout"


def test_sleep_that_the_clock_does_not_count_is_told(clock: Clock) -> None:
    """A suspended laptop: monotonic time stood still by itself, and the record says how long it slept."""
    watched = Limits(SPEC, clock.now)
    assert run(watched, clock, 2) is None
    clock.slept = 28_800
    assert run(watched, clock, 7) is None
    assert watched.awake.suspended_s == 28_800


def test_a_service_that_is_seldom_looked_at_has_not_slept(clock: Clock) -> None:
    """Its keeper wakes each few seconds only."""
    watched = Limits(SPEC | {"kind": "service", "timeout_s": None}, clock.now)
    for _ in range(20):
        clock.now += 6
        assert watched.exceeded(clock.now) is None
    assert watched.awake.suspended_s == 0
