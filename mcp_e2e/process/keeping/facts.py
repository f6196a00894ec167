"""What the kernel says about processes, without psutil: the keeper has only the standard library.

The server reads the same functions through ``process.identity``, so both sides always mean the same process.
"""

from __future__ import annotations

import ctypes
import os
import sys

from .quiet import TYPE_CHECKING, quietly

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal


class Birth:
    """``ticks``: start time in the kernel's own unit since boot (Linux) or 1/100 s of wall clock at birth (macOS)."""

    def __init__(self, state: str, ticks: int) -> None:
        self.dead = state in "ZX"
        self.ticks = ticks


if sys.platform == "linux":

    def boot_id() -> str:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123
            return file.read().strip()

    def birth(pid: int) -> Birth | None:
        """None when no process has this pid."""
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
                # the program's name stands in brackets and may itself hold brackets and spaces
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            return None
        return Birth(fields[0].decode(), int(fields[19])) if len(fields) > 19 else None

    def children(pid: int) -> list[int]:
        found: list[int] = []
        with quietly(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
                with open(f"/proc/{pid}/task/{task}/children", "rb") as file:  # noqa: PTH123
                    found += map(int, file.read().split())
        return found

    def marked(job: str) -> dict[int, Birth]:
        """Every living process with ``MCP_E2E_JOB`` of this job in its environment, but never ourselves."""
        found: dict[int, Birth] = {}
        marker = b"\0MCP_E2E_JOB=" + job.encode() + b"\0"
        for name in os.listdir("/proc"):  # noqa: PTH208
            if name.isdigit() and int(name) != os.getpid():
                before = birth(int(name))
                with quietly(OSError), open(f"/proc/{name}/environ", "rb") as file:  # noqa: PTH123
                    if marker in b"\0" + file.read() + b"\0" and before is not None and not before.dead:
                        found[int(name)] = before
        return found

    def markers() -> set[str]:
        """The jobs of which anything lives, by the marker in its environment."""
        found: set[str] = set()
        for name in os.listdir("/proc"):  # noqa: PTH208
            if name.isdigit() and int(name) != os.getpid():
                with quietly(OSError), open(f"/proc/{name}/environ", "rb") as file:  # noqa: PTH123
                    words = file.read().split(b"\0")
                    found |= {os.fsdecode(word[12:]) for word in words if word.startswith(b"MCP_E2E_JOB=")}
        return found

elif sys.platform == "darwin":
    _BSDINFO_BYTES, _PIDTBSDINFO, _ZOMBIE = 136, 3, 5

    def boot_id() -> str:
        size = ctypes.c_size_t(64)
        text = ctypes.create_string_buffer(64)
        ctypes.CDLL(None).sysctlbyname(b"kern.bootsessionuuid", text, ctypes.byref(size), None, 0)
        return text.value.decode("ascii", "replace")

    def birth(pid: int) -> Birth | None:
        """None when no process has this pid or it is another user's."""
        buffer = ctypes.create_string_buffer(_BSDINFO_BYTES)
        ask = ctypes.CDLL("/usr/lib/libproc.dylib").proc_pidinfo
        ask.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_int]
        if ask(pid, _PIDTBSDINFO, 0, buffer, _BSDINFO_BYTES) != _BSDINFO_BYTES:
            return None
        number = lambda at, width: int.from_bytes(buffer.raw[at : at + width], "little")  # noqa: E731
        seconds, micros = number(120, 8), number(128, 8)
        return Birth("Z" if number(4, 4) == _ZOMBIE else "R", seconds * 100 + micros // 10_000)

    def children(_pid: int) -> list[int]:
        return []

    def marked(_job: str) -> dict[int, Birth]:
        return {}

    def markers() -> set[str]:
        return set()

else:

    def boot_id() -> str:
        return ""

    def birth(_pid: int) -> Birth | None:
        return None

    def children(_pid: int) -> list[int]:
        return []

    def marked(_job: str) -> dict[int, Birth]:
        return {}

    def markers() -> set[str]:
        return set()


def inode(pid: int) -> int:
    """Of the process's pidfd, unique within a boot (Linux 6.9); 0 where the system has none or the process is gone."""
    with quietly(AttributeError, OSError):
        handle = os.pidfd_open(pid)
        try:
            return os.fstat(handle).st_ino
        finally:
            os.close(handle)
    return 0


def descendants(root: int) -> dict[int, Birth]:
    """Every living process below ``root``, itself excluded; empty where the kernel keeps no lists of children."""
    found: dict[int, Birth] = {}
    queue = children(root)
    while queue:
        pid = queue.pop()
        fact = birth(pid)
        if pid not in found and fact is not None:
            found[pid] = fact
            queue += children(pid)
    return {pid: fact for pid, fact in found.items() if not fact.dead}


def send(pid: int, ticks: int, number: int) -> bool:
    """Signals exactly the process born at ``ticks``; False when it is gone, so a reused pid is never hit (Linux)."""
    handle = -1
    with quietly(AttributeError, OSError):
        handle = os.pidfd_open(pid)
    try:
        fact = birth(pid)
        if fact is None or fact.ticks != ticks or fact.dead:
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
