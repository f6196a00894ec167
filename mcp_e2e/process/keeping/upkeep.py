"""What a keeper looks after while its service lives: the size of its log, and whether anybody still uses it.

Both go on with no server alive. A service writes into the log file itself, so the file is never moved or rewritten:
its oldest part is given back to the file system as a hole, and every byte offset stays what it was.
"""

# ruff: noqa: PTH116, PTH118, PTH123, PTH208

from __future__ import annotations

import ctypes
import os
import sys

from . import files, locking
from .limits import Awake
from .quiet import TYPE_CHECKING, quietly

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

LOOK_S = 5.0
BLOCK_BYTES = 4096
_PUNCH_HOLE_KEEP_SIZE = 3
CUT = "[mcp_e2e: the log file was truncated from outside]\n"
GONE = "[mcp_e2e: the log file was removed from outside; what the service writes until its next start is not kept]\n"


class Log:
    """At most ``keep`` bytes of it stay on disk, the newest; None: all."""

    def __init__(self, keep: int | None) -> None:
        self._keep = keep
        self._seen = self._punched = 0

    def look(self) -> None:
        try:
            size = os.stat("log").st_size
        except FileNotFoundError:
            self._seen = self._punched = self._mark(GONE)
            return
        if size < self._seen:
            size, self._punched = self._mark(CUT), 0
        self._seen = size
        if self._keep is not None and sys.platform == "linux":
            self._punch((size - self._keep) // BLOCK_BYTES * BLOCK_BYTES)

    @staticmethod
    def _mark(line: str) -> int:
        """Tells whoever reads the log; answers its size then."""
        with quietly(OSError), open("log", "a", encoding="ascii") as log:
            log.write(line)
            return log.tell()
        return 0

    def _punch(self, end: int) -> None:
        if end <= self._punched:
            return
        with quietly(OSError), open("log", "r+b") as log:
            libc = ctypes.CDLL(None, use_errno=True)
            start, length = ctypes.c_int64(self._punched), ctypes.c_int64(end - self._punched)
            if libc.fallocate(log.fileno(), _PUNCH_HOLE_KEEP_SIZE, start, length):
                files.note(f"the log stays as long as it is: {os.strerror(ctypes.get_errno())}")
                self._keep = None  # this file system cannot; asking again tells nothing new
            self._punched = end


class Users:
    """Whether a server lives that could use the service: each holds the lock of its own file in ``leases``."""

    def __init__(self, leases: str | None, idle_s: float | None, look_s: float = LOOK_S) -> None:
        self._leases, self._idle_s, self._look_s = leases, idle_s, look_s
        self._awake = Awake()
        self._last = self._awake.look()

    def idle(self) -> bool:
        """Whether nobody was there for ``idle_s``, asked each ``look_s``; time asleep or frozen does not count."""
        if self._leases is None or self._idle_s is None:
            return False
        now = self._awake.look(self._look_s)
        if self._anybody(self._leases):
            self._last = now
            return False
        return now - self._last >= self._idle_s

    @staticmethod
    def _anybody(folder: str) -> bool:
        try:
            names = [name for name in os.listdir(folder) if name.endswith(".lease")]
        except OSError:  # not to be seen now: no reason to end anything
            return True
        return any(_held(os.path.join(folder, name)) for name in names)


def _held(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not locking.shared(fd)
    finally:
        os.close(fd)


class Upkeep:
    """Both, for a service; a command has neither."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._due = 0.0 if spec["kind"] == "service" else None
        self._log = Log(spec["log_keep_bytes"])
        self._every = LOOK_S if spec["idle_stop_s"] is None else min(LOOK_S, spec["idle_stop_s"] / 2)
        self._users = Users(spec["leases"], spec["idle_stop_s"], self._every)

    def look(self, now: float) -> str | None:
        """``idle`` when the service is to be stopped for that."""
        if self._due is None or now < self._due:
            return None
        self._due = now + self._every
        self._log.look()
        return "idle" if self._users.idle() else None

    def next_look(self, now: float) -> float | None:
        return None if self._due is None else max(now, self._due)
