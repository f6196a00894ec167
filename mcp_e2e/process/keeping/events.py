"""The keeper's one place to wait: a dead child, a word on the ``ctl`` FIFO, output, or the next timer."""

# ruff: noqa: PTH123

from __future__ import annotations

import os
import select
import sys
import time

assert sys.platform != "win32"  # there it is windows/events.py

from . import files
from .quiet import TYPE_CHECKING, quietly

if TYPE_CHECKING:
    import signal
    from types import FrameType
else:
    import _signal as signal


class Events:
    """``down`` once the job shall end: the file ``want`` says so, or somebody sent TERM or INT to the keeper."""

    def __init__(self) -> None:
        self.down = False
        self._wake, wake_end = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(wake_end, False)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signalled)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])  # whatever our launcher's thread had blocked
        with quietly(FileExistsError):
            os.mkfifo("ctl", 0o600)
        self._ctl = os.open("ctl", os.O_RDONLY | os.O_NONBLOCK)
        self._ctl_writer = os.open("ctl", os.O_WRONLY | os.O_NONBLOCK)  # without a writer the FIFO reads EOF for ever
        self.check()

    def check(self) -> bool:
        """Reads the stored intent again; a job told to go down never comes up again."""
        self.down = self.down or files.wanted_down()
        return self.down

    def wait(self, fds: list[int], until: float | None) -> list[int]:
        """Sleeps until something happens or ``until`` (monotonic; None: no limit); answers the readable of ``fds``."""
        timeout = None if until is None else max(0.0, until - time.monotonic())
        ready = select.select([self._wake, self._ctl, *fds], [], [], timeout)[0]
        for fd in (self._wake, self._ctl):
            if fd in ready:
                with quietly(BlockingIOError):
                    os.read(fd, 4096)
        if self._ctl in ready:
            self.check()
        return [fd for fd in fds if fd in ready]

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        if number in (signal.SIGTERM, signal.SIGINT) and not self.down:
            self.down = True
            with quietly(OSError), open("want", "w", encoding="ascii") as file:
                file.write("down\n")
