"""Faults 48 and 49: a wall clock that is set, and everything standing still for a while.

The machine's own clock is not touched: a keeper is started by a few lines that shift what it takes for the time.
"""

import signal
import time
from pathlib import Path

import pytest

from mcp_e2e.model.jobs import JobState, RestartPolicy
from mcp_e2e.process import jobs, keeper
from mcp_e2e.process import stop as stopping
from mcp_e2e.process.identity import is_alive, send_signal
from tests.usecases.conftest import Servers

HOUR = 3600
FREEZE_S = 9.0
QUICK = RestartPolicy("on-failure", backoff_first_s=1.0)
SHIFTED = """
import sys, time
sys.path.append({keeping!r})
real = time.time

def shifted():
    try:
        with open({switch!r}) as file:
            return real() + float(file.read())
    except OSError:
        return real()

time.time = shifted
from keeping.program import main
main(sys.argv)
"""


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file: the seconds by which keepers, from now on, believe the wall clock to be wrong."""
    switch, launcher = tmp_path / "clock", tmp_path / "shifted.py"
    launcher.write_text(SHIFTED.format(keeping=str(Path(keeper.__file__).parent), switch=str(switch)))
    python = jobs.keeper_command()[:-1]
    monkeypatch.setattr(jobs, "keeper_command", lambda: [*python, str(launcher)])
    return switch


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_fault_48_a_wall_clock_set_by_an_hour_moves_no_timer_and_no_identity(room, clock, jump):
    """In the middle of a limit, of a backoff and of an idle time: each ends when it would have, nothing else does."""
    (room.cwd / "leases").mkdir()
    held = await room.command("sh", "-c", "until test -e go; do sleep 0.02; done", timeout_s=40)
    service = await room.service("sleep", "60", restart=QUICK)
    limited = await room.command("sleep", "60", timeout_s=2)
    unused = await room.service("sleep", "60", idle_stop_s=2.0, leases=room.cwd / "leases")
    send_signal(service.process, signal.SIGKILL)
    await room.until(lambda: room.look(service).state is JobState.BACKOFF)
    clock.write_text(str(jump))
    await room.until(lambda: room.look(service).generation == 2 and room.look(service).state is JobState.RUNNING)
    second = room.look(service)
    assert abs(second.lives[-1].started_at - time.time() - jump) < HOUR / 2, "the keeper believes the shifted clock"
    for job, reason in ((limited, "timeout"), (unused, "idle")):
        end = (await room.end(job)).exit
        assert (end.reason, 2 <= end.duration_s < 30) == (reason, True)
    for job in (held, second):
        now = room.look(job)
        assert (now.state, now.process, now.keeper) == (JobState.RUNNING, job.process, job.keeper)
        assert is_alive(now.process)
        assert job.process in stopping.members(now)
    (room.cwd / "go").touch()
    end = (await room.end(held)).exit
    assert (end.reason, end.exit_code, 2 <= end.duration_s < 40) == ("exited", 0, True)
    assert (await jobs.stop(room.dir, service.id)).exit.reason == "stopped"


async def test_fault_49_what_stood_still_goes_on_as_if_no_time_had_passed(room):
    """Keepers and children all stopped, longer than any limit: no timeout, no restart, no end for lack of users."""
    limited = await room.command("sh", "-c", "until test -e go; do sleep 0.02; done", timeout_s=FREEZE_S - 1)
    service = await room.service("sleep", "60", restart=QUICK)
    unused = await room.service("sleep", "60", idle_stop_s=FREEZE_S - 3, leases=room.cwd / "leases")
    (room.cwd / "leases").mkdir()
    woken = await freeze(room, limited, service, unused)
    end = (await room.end(limited)).exit
    assert (end.reason, end.exit_code) == ("exited", 0)
    assert end.suspended_s > FREEZE_S - 1
    now = room.look(service)
    assert (now.state, now.process, now.generation) == (JobState.RUNNING, service.process, 1)
    ended = (await room.end(unused)).exit
    assert ended.reason == "idle"
    assert ended.ended_at > woken + 1, "time in which it stood still was counted"


async def freeze(room, ends, *others):
    """Everything of the jobs stands still for ``FREEZE_S``; when it went on again.

    The first of them ends before its keeper goes on: that sees a dead process as the first thing after the freeze.
    """
    frozen = (ends, *others)
    keepers = [job.keeper for job in frozen]
    members = [each for job in frozen for each in stopping.members(job)]
    begun = time.monotonic()
    for each in (*keepers, *members):
        send_signal(each, signal.SIGSTOP)
    await room.until(lambda: time.monotonic() > begun + FREEZE_S)
    (room.cwd / "go").touch()
    for each in members:
        send_signal(each, signal.SIGCONT)
    await room.until(lambda: not is_alive(ends.process))
    for each in keepers:
        send_signal(each, signal.SIGCONT)
    return time.time()


async def test_fault_49_a_service_that_stood_still_is_asked_again_and_not_restarted(
    server: Servers, project: Path
) -> None:
    """While it is silent it is told so, and no next life begins; once it answers it is ready as before."""
    async with server() as app:
        first = await app.sessions.start(app.caller)
        job = jobs.look(project / ".mcp-e2e/private/jobs", first.job or "")
        assert job.keeper is not None
        everything = [job.keeper, *stopping.members(job)]
        for each in everything:
            send_signal(each, signal.SIGSTOP)
        silent = await app.sessions.start(app.caller, wait_seconds=0)
        for each in everything:
            send_signal(each, signal.SIGCONT)
        again = await app.sessions.start(app.caller)

    assert (silent.state, silent.pid) == ("degraded", first.pid)
    assert (again.state, again.pid, again.generation) == ("ready", first.pid, 1)
