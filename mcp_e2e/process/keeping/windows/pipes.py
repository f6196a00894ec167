"""A command's output on Windows: read by the keeper through pipes, each by a thread of its own."""

from __future__ import annotations

import _winapi
import msvcrt
import os
import sys
import threading
import time

assert sys.platform == "win32"

from ..capture import CappedLog, Excerpt
from ..quiet import TYPE_CHECKING, quietly
from . import kernel

if TYPE_CHECKING:
    from typing import Any

CHUNK_BYTES = 256 * 1024
DRAIN_S = 0.2


def open_log() -> int:
    """Everything written through it goes to the end, also by a process that has inherited it."""
    return msvcrt.open_osfhandle(kernel.open_for_append("log"), os.O_WRONLY)


class Pipes:
    """Output of a command: one pipe when both streams are merged, else two. ``fds``: a handle for each open one.

    A synchronous pipe cannot be waited for together with a process, so each has a thread that reads it to its end and
    then signals the handle.
    """

    def __init__(self, log: int, *, merge: bool) -> None:
        self._log = CappedLog(log)
        self._lock = threading.Lock()  # of all below, and of the log
        self._closed = False
        self._streams: dict[str, Excerpt] = {}
        self._open: dict[int, threading.Thread] = {}
        self.out = self._pipe("stdout")
        self.err = self.out if merge else self._pipe("stderr")

    def _pipe(self, name: str) -> int:
        ours, theirs = os.pipe()
        self._streams[name] = stream = Excerpt()
        ended = kernel.create_event()
        self._open[ended] = thread = threading.Thread(target=self._drain, args=(ours, stream, ended), daemon=True)
        thread.start()
        return theirs

    def _drain(self, fd: int, stream: Excerpt, ended: int) -> None:
        data = b"."
        while data:
            data = b""
            with quietly(OSError):
                data = os.read(fd, CHUNK_BYTES)
            with self._lock:
                if self._closed:
                    return
                if data:
                    stream.add(data)
                    self._log.write(data)
        os.close(fd)
        with quietly(OSError):
            kernel.set_event(ended)

    def handed_over(self) -> None:
        """The child has its ends; ours must go, or end of file is never seen."""
        for fd in {self.out, self.err}:
            os.close(fd)

    @property
    def fds(self) -> list[int]:
        return list(self._open)

    def read(self, fd: int) -> bool:
        """Of a handle that is signalled: its pipe has been read to the end."""
        if fd in self._open:
            self._open.pop(fd).join()
            _winapi.CloseHandle(fd)
        return False

    def finish(self) -> dict[str, Any]:
        """Takes what is left without waiting for end of file: somebody outside the tree may hold the pipe.

        A thread that still waits for him is left to the end of the keeper, which is near: closing the pipe under it
        would wait as well.
        """
        end = time.monotonic() + DRAIN_S
        for thread in self._open.values():
            thread.join(max(0.0, end - time.monotonic()))
        with self._lock:
            self._closed = True
            return {"log_dropped": self._log.close(), **{name: one.stored() for name, one in self._streams.items()}}
