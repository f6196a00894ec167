"""Ending a job for certain: the keeper is asked; where there is none left, each process is told by its identity."""

import contextlib
import errno
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.to_thread

from mcp_e2e.errors import ServiceUnavailable
from mcp_e2e.model.jobs import Job, JobState, ProcessIdentity
from mcp_e2e.process.identity import descendants, identity, is_alive, send_signal
from mcp_e2e.process.keeping import facts, files
from mcp_e2e.process.locks import FileLock
from mcp_e2e.process.records import look, may_have_leftovers, stop_grace_s

if sys.platform == "win32":
    from mcp_e2e.process.keeping.windows.facts import KILL

_AFTER_GRACE_S = 15.0  # for KILL, strays and the exit record on a busy machine
_POLL_S = 0.02
_STRAY_GRACE_S = 1.0  # nobody waits for what they have to say


async def stop(jobs_dir: Path, job_id: str, *, deadline_s: float | None = None) -> Job:
    """Ends the whole tree, verified, and answers the job as it is then; for one that has ended it only verifies.

    ``deadline_s`` defaults to the job's own grace and some seconds. Raises NotFound, and ServiceUnavailable naming the
    pids when something survived or the keeper did not obey in time.
    """
    job = look(jobs_dir, job_id)
    grace = stop_grace_s(job)
    end = time.monotonic() + (grace + _AFTER_GRACE_S if deadline_s is None else deadline_s)
    if job.live:
        ask_to_stop(job.folder)
        job = await _while_kept(jobs_dir, job, end)
    if may_have_leftovers(job):
        await _end_leftovers(job, min(grace, 5.0), end)
        job = look(jobs_dir, job_id)
    survivors = await _found(job)
    while survivors and time.monotonic() < end:
        await anyio.sleep(_POLL_S)
        survivors = await _found(job)
    if job.live or survivors:
        pids = sorted({process.pid for process in survivors} | ({job.keeper.pid} if job.live and job.keeper else set()))
        named = ", ".join(map(str, pids)) or "unknown"
        raise ServiceUnavailable(f"job {job_id} could not be ended in time: pid {named}", job=job_id, pids=pids)
    return job


async def end_strays(jobs_dir: Path, job: Job) -> Job:
    """What is left of a command whose keeper was killed, ended, and its number told; any other job as it is."""
    if job.kind != "command" or job.state is not JobState.LOST or not may_have_leftovers(job):
        return job
    found = await _found(job)
    await _end_leftovers(job, _STRAY_GRACE_S, time.monotonic() + _AFTER_GRACE_S)
    return replace(look(jobs_dir, job.id), strays=len(found))


def ask_to_stop(folder: Path) -> bool:
    """Stores the intent, then wakes the keeper; False when no keeper listens (it reads the intent when it starts)."""
    wish = folder / f".want-{os.getpid()}"
    wish.write_text("down\n", "ascii")
    files.replace(str(wish), str(folder / "want"))
    return _wake(folder)


if sys.platform == "win32":
    # a process of another console can be asked nothing
    _GENTLE: tuple[int, ...] = ()
    _HARD: tuple[int, ...] = (KILL,)

    def _wake(folder: Path) -> bool:
        """The keeper watches the folder itself."""
        return FileLock.is_held(folder / "lock")

else:
    _GENTLE = (signal.SIGTERM, signal.SIGCONT)
    _HARD = (signal.SIGSTOP, signal.SIGKILL)

    def _wake(folder: Path) -> bool:
        try:
            fifo = os.open(folder / "ctl", os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno not in (errno.ENXIO, errno.ENOENT):
                raise
            return False
        try:
            os.write(fifo, b"!")
        except BlockingIOError:
            pass  # full of wake-ups it has not read yet
        finally:
            os.close(fifo)
        return True


def members(job: Job) -> list[ProcessIdentity]:
    """Living processes of the job: the one it started, those below it and, on Linux, whatever bears its marker."""
    found = set()
    if job.process is not None and is_alive(job.process):
        found = {job.process, *descendants(job.process)}
    return sorted(found | _marked(job.id), key=lambda process: process.pid)


def _marked(job_id: str) -> set[ProcessIdentity]:
    """By ``MCP_E2E_JOB`` in their environment; never ourselves, should we run inside the job."""
    seen = {(identity(pid), born.ticks) for pid, born in facts.marked(job_id).items()}
    return {now for now, ticks in seen if now is not None and now.start_ticks == ticks}


async def _found(job: Job) -> list[ProcessIdentity]:
    """``members``, in a thread: every process of the machine is looked at."""
    return await anyio.to_thread.run_sync(members, job)


async def _while_kept(jobs_dir: Path, job: Job, end: float) -> Job:
    """Waits while a keeper is at work on it; returns also when that keeper has died."""
    while job.live and job.state is not JobState.ORPHAN and time.monotonic() < end:
        await anyio.sleep(_POLL_S)
        job = look(jobs_dir, job.id)
    return job


async def _end_leftovers(job: Job, grace_s: float, end: float) -> None:
    """TERM and CONT and the grace, where the system has that, then KILL until nothing is left or the time is up."""
    _tell(await _found(job), *_GENTLE)
    gentle = min(end, time.monotonic() + (grace_s if _GENTLE else 0.0))
    while await _found(job) and time.monotonic() < gentle:
        await anyio.sleep(_POLL_S)
    while (rest := await _found(job)) and time.monotonic() < end:
        _tell(rest, *_HARD)
        await anyio.sleep(_POLL_S)


def _tell(processes: list[ProcessIdentity], *numbers: int) -> None:
    for number in numbers:
        for process in processes:
            with contextlib.suppress(PermissionError):
                send_signal(process, number)
