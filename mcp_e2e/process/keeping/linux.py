"""What Linux says about processes."""

# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import os
import sys

assert sys.platform == "linux"

from .birth import Birth
from .quiet import TYPE_CHECKING, quietly

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def birth(pid: int) -> Birth | None:
    """None when no process has this pid."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # the program's name stands in brackets and may itself hold brackets and spaces
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return Birth(int(fields[19]), dead=fields[0] in (b"Z", b"X")) if len(fields) > 19 else None


def children(pid: int) -> list[int]:
    found: list[int] = []
    with quietly(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                found += map(int, file.read().split())
    return found


def marked(job: str) -> dict[int, Birth]:
    """Every living process with ``MCP_E2E_JOB`` of this job in its environment, but never ourselves."""
    found: dict[int, Birth] = {}
    marker = b"\0MCP_E2E_JOB=" + job.encode() + b"\0"
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            before = birth(int(name))
            with quietly(OSError), open(f"/proc/{name}/environ", "rb") as file:
                if marker in b"\0" + file.read() + b"\0" and before is not None and not before.dead:
                    found[int(name)] = before
    return found


def markers() -> set[str]:
    """The jobs of which anything lives, by the marker in its environment."""
    found: set[str] = set()
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with quietly(OSError), open(f"/proc/{name}/environ", "rb") as file:
                words = file.read().split(b"\0")
                found |= {os.fsdecode(word[12:]) for word in words if word.startswith(b"MCP_E2E_JOB=")}
    return found


def inode(pid: int) -> int:
    """Of the process's pidfd, unique within a boot (Linux 6.9); 0 where the kernel has none or the process is gone."""
    with quietly(AttributeError, OSError):
        handle = os.pidfd_open(pid)
        try:
            return os.fstat(handle).st_ino
        finally:
            os.close(handle)
    return 0


def send(pid: int, ticks: int, number: int, inode: int = 0) -> bool:
    """Signals exactly the process born at ``ticks``; False when it is gone, so a reused pid is never hit.

    ``inode``: of its pidfd, where it is known; tells apart what was born in the same tick.
    """
    handle = -1
    with quietly(AttributeError, OSError):
        handle = os.pidfd_open(pid)
    try:
        fact = birth(pid)
        if fact is None or fact.ticks != ticks or fact.dead:
            return False
        if inode and handle >= 0 and os.fstat(handle).st_ino != inode:
            return False
        _signal(pid, handle, number)
    except ProcessLookupError:
        return False
    finally:
        if handle >= 0:
            os.close(handle)
    return True


def _signal(pid: int, handle: int, number: int) -> None:
    if handle >= 0:
        signal.pidfd_send_signal(handle, number)
    else:
        os.kill(pid, number)
