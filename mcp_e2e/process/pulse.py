"""Signs of life of a process, looked at from outside."""

import platform

import psutil

from mcp_e2e.model.jobs import ProcessIdentity
from mcp_e2e.model.work import Pulse
from mcp_e2e.process.identity import is_alive


def pulse(process: ProcessIdentity) -> Pulse | None:
    """Threads and CPU time of exactly this process; None when it is gone or not ours to see.

    Linux only: macOS shows no ids of threads, and Windows retires threads of its own pools.
    """
    if platform.system() != "Linux" or not is_alive(process):
        return None
    try:
        found = psutil.Process(process.pid)
        times = found.cpu_times()
        return Pulse(frozenset(thread.id for thread in found.threads()), times.user + times.system)
    except psutil.Error:
        return None
