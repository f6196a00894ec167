"""Signs of life of a process, looked at from outside."""

import psutil

from mcp_e2e.model.jobs import ProcessIdentity
from mcp_e2e.model.work import Pulse
from mcp_e2e.process.identity import is_alive


def pulse(process: ProcessIdentity) -> Pulse | None:
    """Threads and CPU time of exactly this process; None when it is gone or not ours to see."""
    if not is_alive(process):
        return None
    try:
        found = psutil.Process(process.pid)
        times = found.cpu_times()
        return Pulse(_threads(found), times.user + times.system)
    except psutil.Error:
        return None


def _threads(process: psutil.Process) -> frozenset[int]:
    try:
        return frozenset(thread.id for thread in process.threads())
    except psutil.AccessDenied:  # macOS shows ids to root only: numbered, fewer of them still shows one missing
        return frozenset(range(process.num_threads()))
