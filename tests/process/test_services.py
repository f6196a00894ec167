"""Services: restarted by their keeper alone, stopped for good when asked."""

import os
import signal
import sys
from pathlib import Path

import pytest

from mcp_e2e.model.jobs import RestartPolicy
from mcp_e2e.process import jobs
from mcp_e2e.process.identity import identity, is_alive, send_signal
from mcp_e2e.process.keeping.backoff import Backoff
from mcp_e2e.process.keeping.capture import CappedLog

QUICK = RestartPolicy("on-failure", max_restarts=3, window_s=60, backoff_first_s=0.05, backoff_max_s=0.2)
UP = "echo up $$; exec sleep 60"


async def test_generations_go_on_counting_where_the_session_was(room):
    """A relaunched session tells the keeper its next number."""
    assert (await room.service("sleep", "60", first_generation=7)).generation == 7


@pytest.mark.parametrize(("code", "reason"), [(0, "exited"), (126, "fatal_exit")])
async def test_an_orderly_end_and_a_fatal_code_are_not_tried_again(room, code, reason):
    """Exit 0 is what the service wanted, a fatal code is what no restart repairs."""
    job = await room.end(await room.service("sh", "-c", f"exit {code}", restart=QUICK))
    assert (job.exit.reason, job.exit.exit_code, len(job.lives)) == (reason, code, 1)


async def test_a_service_that_ignores_term_is_killed_after_its_grace(room):
    """The grace is the service's own; after it KILL ends the whole tree."""
    job = await room.service("sh", "-c", "trap '' TERM; echo on; while :; do sleep 0.1; done", stop_grace_s=0.3)
    await room.line(job)
    ended = await jobs.stop(room.dir, job.id)
    assert (ended.exit.signal, ended.exit.escalated) == (signal.SIGKILL, True)


async def test_the_grace_belongs_to_the_whole_tree(room):
    """A shell that dies at once does not cost the server behind it its orderly end."""
    child = (
        "import signal, sys, time\nsignal.signal(15, lambda *_: (time.sleep(0.5), print('saved'), sys.exit()))\n"
        "print('up')\ntime.sleep(60)"
    )
    job = await room.service("sh", "-c", '"$0" -c "$1"; true', sys.executable, child)
    await room.line(job)
    ended = await jobs.stop(room.dir, job.id)
    assert job.log.read_text() == "up\nsaved\n"
    assert (ended.exit.escalated, ended.exit.strays) == (False, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a subreaper")
async def test_strays_of_one_life_are_gone_before_the_next(room):
    """A worker that outlives its service would hold the port of the next one."""
    job = await room.service("sh", "-c", "setsid sleep 60 & echo $!; kill -9 $$", restart=QUICK)
    first = int(await room.line(job))
    await room.line(job, 1)
    assert identity(first) is None


async def test_term_to_the_keeper_is_a_stop(room):
    """A machine that shuts down tells the keeper; the service ends in order and stays down."""
    job = await room.service("sleep", "60", restart=QUICK)
    send_signal(job.keeper, signal.SIGTERM)
    ended = await room.end(job)
    assert (ended.exit.reason, ended.exit.signal) == ("stopped", signal.SIGTERM)
    assert not is_alive(job.process)


def test_a_full_disk_under_the_log_costs_the_bytes_and_nothing_else():
    """Writes to the log fail; the keeper counts what is lost and goes on."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    log = CappedLog(os.open("/dev/full", os.O_WRONLY))
    log.write(b"x" * 1000)
    assert log.close() == 1000


def test_the_delay_doubles_to_its_limit_and_a_stable_life_begins_anew():
    """The rule of the spec, without clock or processes."""
    rule = {"mode": "on-failure", "max_restarts": 9, "window_s": 600, "backoff_first_s": 0.5, "backoff_max_s": 3}
    backoff = Backoff({**rule, "fatal_codes": [127]})
    assert [backoff.delay(now, 1, 0) for now in range(4)] == [0.5, 1, 2, 3]
    assert backoff.delay(5, 61, 0) == 0.5
    assert backoff.delay(6, 1, 1) == 0.75
    assert backoff.end_reason(127) == "fatal_exit"
    assert backoff.end_reason(None) is None


def test_more_restarts_than_allowed_within_the_window_are_a_crash_loop():
    """Old restarts are forgotten when they leave the window."""
    rule = {"mode": "on-failure", "max_restarts": 2, "window_s": 100, "backoff_first_s": 1, "backoff_max_s": 1}
    backoff = Backoff({**rule, "fatal_codes": []})
    assert [backoff.delay(now, 1, 0) for now in (0, 1, 2)] == [1, 1, None]
    assert backoff.delay(101.5, 1, 0) == 1
