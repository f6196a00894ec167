"""Faults 36 and 37: files that look like locks, and locks that a child might keep for its dead starter."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from mcp_e2e.errors import LockHeld
from mcp_e2e.model.jobs import JobState
from mcp_e2e.process.identity import identity, is_alive, send_signal
from mcp_e2e.process.locks import FileLock
from mcp_e2e.usecases import boots
from tests.usecases.conftest import Servers

HOLDER = """
import sys, time
from pathlib import Path
from mcp_e2e.process.locks import FileLock
lock = FileLock(Path(sys.argv[1]))
assert lock.try_acquire("cursor (pid 7)")
print("held", flush=True)
time.sleep(60)
"""


async def test_fault_36_files_that_an_old_version_left_hold_nobody_up(server: Servers, project: Path) -> None:
    """A lock file, a pid file and a lease, all of a process that lives: only the kernel's lock on them would count."""
    private = project / ".mcp-e2e" / "private"
    for name in ("locks/session-api.lock", "locks/session-api.pid", "leases/1-old.lease"):
        (private / name).parent.mkdir(parents=True, exist_ok=True)
        (private / name).write_text(f'{{"client": "old", "pid": {os.getpid()}}}')
    async with server() as app:
        with anyio.fail_after(30):
            session = await app.sessions.start(app.caller)
            done = await app.attempts.run(app.caller, test="green", wait_seconds=30)
        status = await app.status.show(app.caller)

    assert (session.state, session.generation, done.verdict) == ("ready", 1, "passed")
    assert "old" not in str(status.also_here)
    assert not (private / "leases/1-old.lease").exists()


async def test_fault_37_no_child_keeps_a_lock_for_its_dead_starter(room):
    """A daemon outlives its service and its keeper, both killed: the job's lock is free, nothing waits for it."""
    code = "setsid env -i $(command -v sleep) 60 & echo $!; exec sleep 60"
    job = await room.service("sh", "-c", code)
    leaked = identity(int(await room.line(job)))
    try:
        for process in (job.keeper, job.process):
            send_signal(process, signal.SIGKILL)
        await room.until(lambda: room.look(job).state is JobState.LOST)
        assert is_alive(leaked)
        assert not FileLock.is_held(job.folder / "lock")
    finally:
        send_signal(leaked, signal.SIGKILL)


def test_fault_37_no_child_of_a_server_keeps_its_lock(tmp_path: Path) -> None:
    """Also one that was started without a thought for descriptors, when its starter leaves without a word."""
    lock = FileLock(tmp_path / "lock")
    assert lock.try_acquire()
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    os.close(lock.detach())
    try:
        assert not FileLock.is_held(lock.path)
    finally:
        child.kill()
        child.wait()


async def test_fault_37_waiting_for_a_held_lock_ends_and_names_its_holder(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has it is told by name; once it is killed the very next call goes through."""
    monkeypatch.setattr(boots, "LOCK_S", 0.2)
    lock = project / ".mcp-e2e/private/locks/session-api.lock"
    async with server() as app:
        await app.status.show(app.caller)
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE, text=True)
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            with anyio.fail_after(20), pytest.raises(LockHeld, match=r"cursor \(pid 7\)") as caught:
                await app.sessions.start(app.caller)
        finally:
            holder.kill()
            holder.communicate()
        assert caught.value.facts == {"holder": "cursor (pid 7)"}
        assert (await app.sessions.start(app.caller)).state == "ready"
