"""A service that was ready and falls silent: three misses in a row, none of them soon after the machine woke up."""

import sys
from typing import cast

import pytest

from mcp_e2e.model.jobs import JobState, Readiness, RestartPolicy
from mcp_e2e.process import jobs
from mcp_e2e.process.keeping import limits
from mcp_e2e.process.keeping.liveness import AFTER_WAKE_S, Liveness, Misses
from mcp_e2e.process.keeping.look import Look
from tests.process.conftest import Room

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no keepers there yet")
QUICK = RestartPolicy("on-failure", backoff_first_s=0.05)
UP = "echo up; trap 'exit 0' TERM; while :; do sleep 0.05; done"


def probe(*code: str) -> Readiness:
    return Readiness(exec=("sh", "-c", *code))


def test_three_misses_in_a_row_are_enough_and_an_answer_begins_anew() -> None:
    """Two and then an answer are none."""
    misses = Misses()
    judged = [misses.enough(now, ok=now == 2.0) for now in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)]
    assert judged == [False] * 5 + [True]


def test_misses_soon_after_a_wake_up_do_not_count() -> None:
    """The machine slept for an hour: what stood still with it has half a minute to answer; then it counts again."""
    misses = Misses()
    assert not misses.enough(0.0, ok=False)
    misses.slept(10.0, 3600.0)
    soon = [misses.enough(10.0 + passed, ok=False) for passed in range(int(AFTER_WAKE_S))]
    assert soon == [False] * len(soon)
    misses.slept(10.0 + AFTER_WAKE_S, 3600.0)  # it has not slept again
    assert [misses.enough(10.0 + AFTER_WAKE_S, ok=False), misses.enough(41.0, ok=False)] == [False, True]


class Silent:
    """Stands for a look that never sees anything."""

    under_way = False

    def start(self) -> None:
        self.under_way = True

    def result(self) -> bool:
        self.under_way = False
        return False


class Clock:
    """Stands for ``time``, of a machine that is awake."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def clock_gettime(self, _clock: int) -> float:
        return self.now


def test_a_freeze_is_noticed_and_leaves_half_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything stood still for a minute after the second miss: the third counts half a minute after that."""
    clock = Clock()
    monkeypatch.setattr(limits, "time", clock)
    silent = Liveness(cast("Look", Silent()), 1.0, lambda: True)

    def ended_after() -> int:
        begun = clock.now
        while silent.look(clock.now) is None:
            clock.now += 0.5
        return round(clock.now - begun)

    assert ended_after() == 4  # a second before the first, half of one for each look
    silent = Liveness(cast("Look", Silent()), 1.0, lambda: True)
    for _ in range(6):
        silent.look(clock.now)
        clock.now += 0.5
    clock.now += 60
    assert ended_after() >= AFTER_WAKE_S


async def test_a_life_that_ends_well_when_it_is_told_to_is_followed_by_the_next(room: Room) -> None:
    """It hears TERM and ends with 0, which by itself would be the end of the service."""
    job = await room.service(
        *("sh", "-c", UP), ready=probe("true"), liveness=probe("test -e fine"), liveness_every_s=0.05, restart=QUICK
    )
    first = await room.until(lambda: room.look(job).generation == 2 and room.look(job).lives[0])
    assert (first.exit_code, first.signal, first.cause) == (0, None, "liveness")
    assert first.ready_at is not None
    (room.cwd / "fine").touch()
    ended = await jobs.stop(room.dir, job.id)
    assert ended.exit is not None
    assert ended.exit.reason == "stopped"


async def test_too_many_silent_lives_use_the_restarts_up(room: Room) -> None:
    """They are restarts like any other."""
    rule = RestartPolicy("on-failure", max_restarts=1, backoff_first_s=0.05)
    job = await room.service(
        *("sh", "-c", UP), ready=probe("true"), liveness=probe("false"), liveness_every_s=0.05, restart=rule
    )
    ended = await room.end(job)
    assert ended.exit is not None
    assert (ended.exit.reason, [life.cause for life in ended.lives]) == ("crash_loop", ["liveness"] * 2)


async def test_nothing_is_looked_for_before_it_is_ready(room: Room) -> None:
    """A slow boot answers nothing yet, however long it takes."""
    looked = probe("touch looked; false")
    ready, asked = probe("echo x >> asked; test -e go"), room.cwd / "asked"
    await room.service("sh", "-c", UP, ready=ready, liveness=looked, liveness_every_s=0.01)
    await room.until(lambda: asked.exists() and asked.read_text().count("x") >= 5)
    assert not (room.cwd / "looked").exists()
    (room.cwd / "go").touch()
    await room.until((room.cwd / "looked").exists)


async def test_a_service_that_answers_lives_on(room: Room) -> None:
    """Ten looks and it is the same process."""
    looks = probe("echo x >> looks")
    job = await room.service("sh", "-c", UP, ready=probe("true"), liveness=looks, liveness_every_s=0.01)
    file = room.cwd / "looks"
    await room.until(lambda: file.exists() and file.read_text().count("x") >= 10)
    now = room.look(job)
    assert (now.state, now.generation, now.process) == (JobState.RUNNING, 1, job.process)


async def test_a_stop_while_a_silent_life_is_ended_is_the_end(room: Room) -> None:
    """The service takes its grace to end for its silence; who stops it meanwhile does not get another one."""
    stubborn = "echo up; trap 'touch told' TERM; while :; do sleep 0.05; done"
    job = await room.service(
        *("sh", "-c", stubborn),
        ready=probe("true"),
        liveness=probe("false"),
        liveness_every_s=0.05,
        restart=QUICK,
        stop_grace_s=1,
    )
    await room.until((room.cwd / "told").exists)
    ended = await jobs.stop(room.dir, job.id)
    assert ended.exit is not None
    assert (ended.exit.reason, ended.generation) == ("stopped", 1)
