"""Faults 9 and 18 to 21: the process of a job is killed, leaves, leaves something behind, does not listen, or stops."""

import signal
import sys
import time

import pytest

from mcp_e2e.model.jobs import JobState
from mcp_e2e.process import jobs
from mcp_e2e.process.identity import identity, is_alive, send_signal
from tests.faults.dying import kill_tree, launcher, said
from tests.process.conftest import Room

DAEMON = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(60)
    os._exit(0)
os.wait()
time.sleep(0.2)
"""


async def test_fault_09_child_killed(room: Room) -> None:
    """The keeper, whose server is long dead, starts the next life by itself and keeps account of both."""
    spec = room.spec("sh")
    with launcher(room, spec.id, "service", "sh", "-c", "echo up $$; exec sleep 60") as server:
        assert said(server) == "launched"
        kill_tree(server)
    job = jobs.look(room.dir, spec.id)
    first = await room.line(job)
    assert send_signal(job.process, signal.SIGKILL)
    second = await room.line(job, 1)
    now = await room.until(lambda: (seen := room.look(job)).state is JobState.RUNNING and seen)
    assert now.generation == job.generation + 1 == 2
    assert is_alive(now.process)
    assert [life.signal for life in now.lives] == [signal.SIGKILL, None]
    assert [life.log_offset for life in now.lives] == [0, len(first) + 1]
    assert second != first


@pytest.mark.skipif(sys.platform != "linux", reason="needs a subreaper")
async def test_fault_18_child_leaves_its_session(room: Room) -> None:
    """setsid and a double fork lead to the keeper, not to process 1; ignoring TERM does not help."""
    end = (await room.end(await room.python(DAEMON))).exit
    assert (end.exit_code, end.strays) == (0, 1)
    assert identity(int(end.stdout.head)) is None


async def test_fault_19_background_child_holds_the_pipe(room: Room) -> None:
    """It would for a minute; the answer comes at once, and counts it as a stray that was killed."""
    began = time.monotonic()
    job = await room.command("sh", "-c", "sleep 60 & echo $!")
    end = (await room.end(job)).exit
    assert time.monotonic() - began < 5
    assert (end.reason, end.exit_code) == ("exited", 0)
    assert end.strays == 1
    assert identity(int(end.stdout.head)) is None


async def test_fault_20_child_ignores_every_warning(room: Room) -> None:
    """INT, then TERM, then KILL; the record says that the limit ended it and that KILL was needed."""
    job = await room.command("sh", "-c", "trap '' INT TERM; while :; do sleep 0.1; done", timeout_s=0.3)
    end = (await room.end(job)).exit
    assert (end.reason, end.signal, end.escalated) == ("timeout", signal.SIGKILL, True)
    assert 3.2 < end.duration_s < 8


async def test_fault_21_child_stopped(room: Room) -> None:
    """SIGSTOP keeps TERM pending for ever; CONT after it lets the service end without KILL."""
    job = await room.service("sleep", "60")
    send_signal(job.process, signal.SIGSTOP)
    ended = await jobs.stop(room.dir, job.id)
    assert (ended.exit.reason, ended.exit.signal, ended.exit.escalated) == ("stopped", signal.SIGTERM, False)
