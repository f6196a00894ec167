"""Which process is meant: boot id, pid and start ticks together, never a pid alone."""

import functools
import os
import sys

from mcp_e2e.model.jobs import ProcessIdentity
from mcp_e2e.process.keeping import facts

if sys.platform == "win32":
    import psutil

    def _below(pid: int) -> list[int]:
        try:
            return [child.pid for child in psutil.Process(pid).children(recursive=True)]
        except psutil.Error:
            return []

else:

    def _below(pid: int) -> list[int]:
        return list(facts.descendants(pid))


@functools.cache
def boot_id() -> str:
    """Changes with every boot; empty where the system has none (then no identity is ever alive)."""
    return facts.boot_id()


def start_ticks(pid: int) -> int | None:
    """When the process was born, in the kernel's own unit; None when there is none or it is not ours to see."""
    born = facts.birth(pid)
    return born.ticks if born else None


def identity(pid: int) -> ProcessIdentity | None:
    """None when no such process exists or only its zombie is left."""
    born = facts.birth(pid)
    return None if born is None or born.dead else ProcessIdentity(boot_id(), pid, born.ticks, facts.inode(pid))


def own_identity() -> ProcessIdentity:
    return identity(os.getpid()) or ProcessIdentity(boot_id(), os.getpid(), 0)


def is_alive(process: ProcessIdentity) -> bool:
    """Whether exactly this process lives; a zombie, a reused pid and another boot are dead."""
    now = identity(process.pid) if process.boot_id else None
    if now is None or (now.boot_id, now.start_ticks) != (process.boot_id, process.start_ticks):
        return False
    return now.inode == process.inode or not (now.inode and process.inode)


def send_signal(process: ProcessIdentity, number: int) -> bool:
    """Signals exactly this process (pidfd on Linux); False when it is gone. Raises PermissionError."""
    return process.boot_id == boot_id() and facts.send(process.pid, process.start_ticks, number, process.inode)


def descendants(process: ProcessIdentity) -> list[ProcessIdentity]:
    """Living processes below it; those whose parents died are not found this way."""
    below = _below(process.pid) if is_alive(process) else []
    return [found for pid in below if (found := identity(pid))]
