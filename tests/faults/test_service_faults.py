"""Faults 41, 42, 46, 47 and 52: ports that others have, storms of restarts, stops that race, users that are gone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import anyio
import httpx
import psutil
import pytest

from mcp_e2e.errors import PortTaken
from mcp_e2e.model.jobs import JobState, RestartPolicy
from mcp_e2e.process import jobs
from mcp_e2e.process import stop as stopping
from mcp_e2e.process.identity import is_alive, send_signal
from mcp_e2e.process.probes import free_port
from tests.usecases.conftest import SERVICE, Servers

QUICK = RestartPolicy("on-failure", max_restarts=3, window_s=60, backoff_first_s=0.05, backoff_max_s=0.2)
SLOW = RestartPolicy("on-failure", backoff_first_s=30)
ONCE = """
import os, time
if os.path.exists("lived"):
    time.sleep(600)
open("lived", "w").close()
"""
LEASE = """
import sys, time
from pathlib import Path
from mcp_e2e.process.locks import Lease
lease = Lease.take(Path(sys.argv[1]), {"client": "cursor"})
print("held", flush=True)
time.sleep(60)
"""


@contextmanager
def stranger(port: int) -> Iterator[subprocess.Popen[str]]:
    """Another program, answering on the port as the service would."""
    other = subprocess.Popen([sys.executable, "-c", SERVICE, str(port)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "serving\n"
        yield other
    finally:
        other.kill()
        other.communicate()


def on_port(project: Path, port: int) -> None:
    text = (project / "mcp-e2e.toml").read_text()
    (project / "mcp-e2e.toml").write_text(text.replace("port = 0", f"port = {port}"))


async def test_fault_41_a_stranger_on_the_port_is_named_and_left_alone(server: Servers, project: Path) -> None:
    """No start, no kill; the remedy tells the url line to write."""
    port = free_port()
    on_port(project, port)
    with stranger(port) as other:
        named = f"port {port}.*{psutil.Process(other.pid).name()} .pid {other.pid}"
        async with server(stops=False) as app, httpx.AsyncClient() as client:
            with pytest.raises(PortTaken, match=named) as told:
                await app.sessions.start(app.caller)
            assert (await client.get(f"http://127.0.0.1:{port}/")).text == str(other.pid)
    assert f'url = "http://127.0.0.1:{port}"' in told.value.advice
    assert jobs.list_jobs(project / ".mcp-e2e/private/jobs") == []


async def test_fault_42_who_took_the_port_of_a_dead_service_is_not_taken_for_it(server: Servers, project: Path) -> None:
    """While the next life cannot have it the session is not ready; once that is stopped the stranger is named."""
    port = free_port()
    on_port(project, port)
    private = project / ".mcp-e2e/private"
    (project / "service.py").write_text(ONCE + SERVICE)
    async with server() as app:
        first = await app.sessions.start(app.caller)
        assert first.state == "ready"
        os.kill(first.pid or 0, signal.SIGKILL)
        with anyio.fail_after(20):
            while not (now := jobs.look(private / "jobs", first.job or "")).process or now.generation == 1:
                await anyio.sleep(0.02)
        with stranger(port) as other:
            later = await app.sessions.start(app.caller, wait_seconds=1)
            assert (later.state, later.generation) == ("starting", 2)
            assert later.stage == "another program answers on the port"
            await app.sessions.stop(app.caller)
            with pytest.raises(PortTaken, match=f"pid {other.pid}"):
                await app.sessions.start(app.caller)
            assert other.poll() is None


async def test_fault_46_a_storm_of_restarts_slows_down_and_ends(room):
    """The restarts allowed are made, each after a longer pause, then the keeper gives up and says so."""
    job = await room.end(await room.service("sh", "-c", "echo life; exit 9", restart=QUICK))
    assert (job.exit.reason, job.exit.exit_code) == ("crash_loop", 9)
    assert [life.generation for life in job.lives] == [1, 2, 3, 4]
    assert job.log.read_text() == "life\n" * 4
    pauses = [after.started_at - before.ended_at for before, after in pairwise(job.lives)]
    assert [pause >= least for pause, least in zip(pauses, (0.037, 0.075, 0.15), strict=True)] == [True] * 3, pauses


async def test_fault_46_a_stop_during_the_backoff_wins(room):
    """A dead service that waits for its next life is not started after somebody stopped it."""
    job = await room.service("sh", "-c", "exit 1", restart=SLOW)
    waiting = await room.until(lambda: (seen := room.look(job)).state is JobState.BACKOFF and seen)
    assert waiting.retry_at is not None
    assert waiting.process is None
    with anyio.fail_after(5):
        ended = await jobs.stop(room.dir, job.id)
    assert (ended.exit.reason, len(ended.lives)) == ("stopped", 1)


@pytest.mark.parametrize("backoff_s", [0.05, 2.0])
async def test_fault_47_a_stop_in_the_moment_of_a_crash_leaves_nothing(room, backoff_s):
    """Both wait for the keeper when it looks, before the restart was decided and after: it never comes up again."""
    rule = RestartPolicy("on-failure", backoff_first_s=backoff_s)
    job = await room.service("sh", "-c", "echo up; exec sleep 60", restart=rule)
    await room.line(job)
    if backoff_s < 1:
        send_signal(job.keeper, signal.SIGSTOP)
        send_signal(job.process, signal.SIGKILL)
        await room.until(lambda: not is_alive(job.process))
    else:
        send_signal(job.process, signal.SIGKILL)
        due = (await room.until(lambda: (seen := room.look(job)).state is JobState.BACKOFF and seen)).retry_at
        send_signal(job.keeper, signal.SIGSTOP)
        await room.until(lambda: time.time() > due)
    assert stopping.ask_to_stop(job.folder)
    assert (job.folder / "want").read_text() == "down\n"
    send_signal(job.keeper, signal.SIGCONT)
    ended = await room.end(job)
    assert (ended.exit.reason, len(ended.lives)) == ("stopped", 1)
    assert ended.exit.signal == (signal.SIGKILL if backoff_s < 1 else None)
    assert (stopping.members(ended), job.log.read_text()) == ([], "up\n")


async def test_fault_52_a_service_whose_last_server_was_killed_ends_by_itself(room):
    """It stays while one holds its lease, and is stopped, not restarted, once nobody has for a while."""
    leases = room.cwd / "leases"
    user = subprocess.Popen([sys.executable, "-c", LEASE, str(leases)], stdout=subprocess.PIPE, text=True)
    try:
        assert user.stdout.readline() == "held\n"
        used = await room.service("sleep", "60", idle_stop_s=0.4, leases=leases, restart=QUICK)
        never = await room.service("sleep", "60", idle_stop_s=None, leases=leases)
        await room.until(lambda: time.time() > used.lives[0].started_at + 1)
        assert room.look(used).live
    finally:
        user.kill()
        user.communicate()
    ended = await room.end(used)
    assert (ended.exit.reason, ended.exit.signal, len(ended.lives)) == ("idle", signal.SIGTERM, 1)
    assert not is_alive(used.process)
    assert room.look(never).live


async def test_fault_46_a_crash_loop_is_told_with_the_end_of_its_log(server: Servers, project: Path) -> None:
    """The session is failed, its cause says how often and how it died, and what it wrote last stands beside it."""
    (project / "service.py").write_text("print('no model folder', flush=True); raise SystemExit(3)")
    config = project / "mcp-e2e.toml"
    config.write_text(config.read_text().replace("stop_grace_s = 2", "stop_grace_s = 2\nmax_restarts = 1"))
    async with server(stops=False) as app:
        session = await app.sessions.start(app.caller, wait_seconds=30)
        told = await app.status.show(app.caller)

    assert (session.state, session.cause) == ("failed", "it died 2 times, last with exit code 3; restarts are used up")
    assert session.log_tail == "no model folder\n"
    assert told.next_step.startswith(f"{session.service} has failed: read its cause and log_tail, repair that")
