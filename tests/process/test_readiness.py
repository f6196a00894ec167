"""Services whose log or whose own program says when they are ready: seen by the keeper, whoever else lives."""

import sys

import pytest

from mcp_e2e.model.jobs import Readiness, RestartPolicy
from mcp_e2e.process import jobs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no keepers there yet")
UP = 'echo booting; until test -e go; do sleep 0.02; done; echo "Listening on port 7"; exec sleep 60'


def ready_at(room, job):
    lives = room.look(job).lives
    return lives[-1].ready_at if lives else None


async def test_a_line_of_the_log_makes_a_service_ready_and_nothing_before(room):
    """The pattern is looked for in whole lines of this life; until it stands there the service is not ready."""
    job = await room.service("sh", "-c", UP, ready=Readiness(log=r"^Listening on port \d+$"))
    await room.line(job)
    assert ready_at(room, job) is None
    (room.cwd / "go").touch()
    assert await room.until(lambda: ready_at(room, job)) >= job.lives[-1].started_at


async def test_a_program_makes_a_service_ready_when_it_ends_with_zero(room):
    """It runs in the service's folder and environment, and what hangs or fails only means: not yet."""
    rule = Readiness(exec=("sh", "-c", 'test -e go && test "$NAME" = api'))
    job = await room.service("sh", "-c", UP, ready=rule, env={"NAME": "api"})
    await room.line(job)
    assert ready_at(room, job) is None
    (room.cwd / "go").touch()
    await room.until(lambda: ready_at(room, job))


async def test_each_life_has_to_become_ready_anew(room):
    """The line of the life before does not count for the next one."""
    code = "if test -e first; then sleep 1; echo up; exec sleep 60; fi; touch first; echo up; sleep 1; exit 1"
    again = RestartPolicy("on-failure", backoff_first_s=0.05)
    job = await room.service("sh", "-c", code, ready=Readiness(log="^up$"), restart=again)
    await room.until(lambda: ready_at(room, job))
    await room.until(lambda: room.look(job).generation == 2 and ready_at(room, job))
    first, second = room.look(job).lives
    assert first.ready_at < second.started_at
    assert second.ready_at - second.started_at >= 1


async def test_looks_are_no_strays_and_do_not_hold_up_a_stop(room):
    """A probe that hangs ends with the service and is not counted as one of its processes."""
    probe = Readiness(exec=("sh", "-c", "touch looking; exec sleep 60"))
    job = await room.service("sleep", "60", ready=probe, stop_grace_s=1)
    await room.until((room.cwd / "looking").exists)
    ended = await jobs.stop(room.dir, job.id)
    assert (ended.exit.reason, ended.exit.strays, ended.exit.escalated) == ("stopped", 0, False)
