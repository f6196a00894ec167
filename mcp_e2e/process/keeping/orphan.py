"""A service whose keeper was killed, watched on by a new one: it is nobody's child, so all goes by its identity.

Its exit code is told by a handle opened while it lives (Linux 6.15), or by its zombie; else nobody knows it.
"""

# ruff: noqa: PTH123

from __future__ import annotations

import ctypes
import os
import select
import sys
import time

assert sys.platform == "linux"  # elsewhere nobody can take over a process that is not his child

from . import facts
from .quiet import TYPE_CHECKING, quietly
from .tree import GIVE_UP_S, UNKNOWN, Tree

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping, Sequence
    from typing import Any
else:
    import _signal as signal

_PIDFD_GET_INFO = (3 << 30) | (64 << 16) | (0xFF << 8) | 11
_EXIT_KNOWN = 8
_EXIT_CODE_FIELD = 49  # of /proc/pid/stat, counted from the one after the name


class Orphan(Tree):
    """As ``Tree``; its members are what stands below the main process or bears the job's marker."""

    def __init__(self, process: Mapping[str, Any], job: str) -> None:
        super().__init__(process["pid"])
        self._ticks, self._job = process["start_ticks"], job
        with quietly(OSError):
            self.fds = [os.pidfd_open(self.main)]
        if not self._alive():  # asked once the handle is there: from now on it means this process
            self.status = UNKNOWN
            for handle in self.fds:
                os.close(handle)
            self.fds = []

    def _alive(self) -> bool:
        born = facts.birth(self.main)
        return born is not None and not born.dead and born.ticks == self._ticks

    def reap(self) -> None:
        super().reap()
        if self.status is None and select.select(self.fds, [], [], 0)[0]:
            self.status = _status(self.fds[0], self.main, self._ticks)
            os.close(self.fds.pop())

    @property
    def gone(self) -> bool:
        return self.status is not None and not self._members()

    def _members(self) -> dict[int, facts.Birth]:
        below = facts.descendants(self.main) if self._alive() else {}
        return {**below, **facts.marked(self._job)}

    def signal(self, *numbers: int) -> None:
        for number in numbers:
            for pid, born in self._members().items():
                facts.send(pid, born.ticks, number)

    def kill_rest(self) -> tuple[int, list[int]]:
        killed: set[int] = set()
        end = time.monotonic() + GIVE_UP_S
        while (rest := self._members()) and time.monotonic() < end:
            killed |= set(rest) - {self.main}
            self.signal(signal.SIGSTOP, signal.SIGKILL)
            time.sleep(0.002)
            self.reap()
        return len(killed), sorted(rest)


def environment(pid: int, names: Sequence[str]) -> dict[str, str] | None:
    """What the process was started with, from the kernel; None when a name of the spec is missing."""
    with quietly(OSError), open(f"/proc/{pid}/environ", "rb") as file:
        lines = os.fsdecode(file.read()).split("\0")
        found = dict(line.split("=", 1) for line in lines if "=" in line)
        # a shell before it may have added names of its own; those are not the job's
        return {name: found[name] for name in names} if set(names) <= set(found) else None
    return None


def _status(handle: int, pid: int, ticks: int) -> int:
    """The wait status of a process that has ended, or ``UNKNOWN``."""
    known = _told_by_handle(handle)
    if known is None:  # not waited for yet by its parent, or an older kernel
        known = _told_by_zombie(pid, ticks)
    if known is None:  # waited for meanwhile
        known = _told_by_handle(handle)
    return UNKNOWN if known is None else known


def _told_by_handle(handle: int) -> int | None:
    info = ctypes.create_string_buffer(64)
    ctypes.c_uint64.from_buffer(info).value = 0b1111
    if ctypes.CDLL(None).ioctl(handle, ctypes.c_ulong(_PIDFD_GET_INFO), info) != 0:
        return None
    known = ctypes.c_uint64.from_buffer(info).value & _EXIT_KNOWN
    return ctypes.c_int32.from_buffer(info, 60).value if known else None


def _told_by_zombie(pid: int, ticks: int) -> int | None:
    born = facts.birth(pid)
    if born is not None and born.ticks == ticks:
        with quietly(OSError, IndexError), open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[_EXIT_CODE_FIELD])
    return None
