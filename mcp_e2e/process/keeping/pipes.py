"""A command's output on POSIX: read by the keeper, through pipes."""

from __future__ import annotations

import os
import sys
import time

assert sys.platform != "win32"  # there it is windows/pipes.py

from .capture import CappedLog, Excerpt
from .quiet import TYPE_CHECKING, quietly

if TYPE_CHECKING:
    from typing import Any

CHUNK_BYTES = 256 * 1024


def open_log() -> int:
    return os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


class Pipes:
    """Output of a command, read by the keeper: one pipe when both streams are merged, else two."""

    def __init__(self, log: int, *, merge: bool) -> None:
        self._log = CappedLog(log)
        self._streams: dict[str, Excerpt] = {}
        self._open: dict[int, Excerpt] = {}
        self.out = self._pipe("stdout")
        self.err = self.out if merge else self._pipe("stderr")

    def _pipe(self, name: str) -> int:
        ours, theirs = os.pipe()
        os.set_blocking(ours, False)
        self._streams[name] = self._open[ours] = Excerpt()
        return theirs

    def handed_over(self) -> None:
        """The child has its ends; ours must go, or end of file is never seen."""
        for fd in {self.out, self.err}:
            os.close(fd)

    @property
    def fds(self) -> list[int]:
        return list(self._open)

    def read(self, fd: int) -> bool:
        """False when nothing was there to read."""
        data = b""
        with quietly(OSError):
            data = os.read(fd, CHUNK_BYTES)
            if not data:
                os.close(fd)
                del self._open[fd]
        if data:
            self._open[fd].add(data)
            self._log.write(data)
        return bool(data)

    def finish(self) -> dict[str, Any]:
        """Reads what is left without waiting for end of file (somebody outside the tree may hold the pipe)."""
        end = time.monotonic() + 0.2
        for fd in list(self._open):
            while time.monotonic() < end and self.read(fd):
                pass
        for fd in self._open:
            os.close(fd)
        return {"log_dropped": self._log.close(), **{name: one.stored() for name, one in self._streams.items()}}
