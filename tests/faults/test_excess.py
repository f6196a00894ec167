"""Faults 23 to 25: a command multiplies, kills whatever it can, or eats the memory."""

import ctypes
import os
import sys
from pathlib import Path

import pytest

from mcp_e2e.model.answers import SessionAnswer
from mcp_e2e.model.jobs import ProcessIdentity
from mcp_e2e.process import jobs
from mcp_e2e.process.identity import identity, is_alive
from mcp_e2e.process.keeping import facts
from tests.usecases.conftest import Servers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="trees and layers are Linux's")

BOMB = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(6):
    if os.fork() == 0:
        os.setsid()
    time.sleep(0.05)
time.sleep(60)
"""
KILLS_EACH = 'for pid in "$@"; do kill -9 $pid && echo hit; done\nsleep 60 & kill $! && echo own'
KILLS_ALL = "import os\nos.kill(-1, 9)"


def limited(project: Path, line: str) -> None:
    config = project / "mcp-e2e.toml"
    config.write_text(config.read_text() + f"\n[exec]\n{line}\n")


def unharmed(project: Path, session: SessionAnswer) -> bool:
    """Whether the session's process lives and its keeper keeps it."""
    job = jobs.look(project / ".mcp-e2e/private/jobs", session.job or "")
    return (
        job.state == "running" and job.process is not None and is_alive(job.process) and job.process.pid == session.pid
    )


async def test_fault_23_fork_bomb(server: Servers, project: Path) -> None:
    """Each of its processes leaves its session, ignores TERM and doubles: beyond the number allowed all are ended."""
    (project / "bomb.py").write_text(BOMB)
    limited(project, "processes = 20")
    async with server() as app:
        session = await app.sessions.start(app.caller)
        bomb = await app.execs.run(app.caller, argv=[sys.executable, "bomb.py"], timeout_s=30)
        assert (bomb.state, bomb.reason, facts.marked(bomb.job)) == ("exited", "processes", {})
        assert unharmed(project, session)


def needs_scoped_signals() -> None:
    if ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1) < 6:
        pytest.skip("this kernel cannot scope signals")


async def test_fault_24_command_kills_whatever_it_can(server: Servers, project: Path) -> None:
    """Session, keeper and server by their pids, then all at once: EPERM, all live on. Its own children it may end."""
    needs_scoped_signals()
    (project / "rage.sh").write_text(KILLS_EACH)
    (project / "all.py").write_text(KILLS_ALL)
    async with server() as app:
        session = await app.sessions.start(app.caller)
        there = targets(project, session)
        done = await app.execs.run(app.caller, argv=["sh", "rage.sh", *(str(each.pid) for each in there)])
        assert (done.stdout, (done.stderr or "").count("not permitted")) == ("own\n", 3)  # else -1 would be unsafe
        assert "landlock" in (done.sandbox or {})["level"]
        await app.execs.run(app.caller, argv=[sys.executable, "all.py"])
        assert [is_alive(each) for each in there] == [True, True, True]


def targets(project: Path, session: SessionAnswer) -> list[ProcessIdentity]:
    """The session's process, its keeper and this server."""
    job = jobs.look(project / ".mcp-e2e/private/jobs", session.job or "")
    found = [each for each in (job.process, job.keeper, identity(os.getpid())) if each is not None]
    assert len(found) == 3
    return found


async def test_fault_25_memory_hog(server: Servers, project: Path) -> None:
    """Ended at its MiB and told so; the keeper that ended it has recorded it, and the session goes on."""
    (project / "hog.py").write_text("import time\nx = bytearray(200 << 20)\ntime.sleep(60)")
    limited(project, "memory_mb = 100")
    async with server() as app:
        session = await app.sessions.start(app.caller)
        hog = await app.execs.run(app.caller, argv=[sys.executable, "hog.py"], timeout_s=30)
        assert (hog.state, hog.reason, facts.marked(hog.job)) == ("exited", "memory", {})
        assert "memory_mb" in hog.next_step
        assert unharmed(project, session)
