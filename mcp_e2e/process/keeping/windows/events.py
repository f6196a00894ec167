"""The keeper's one place to wait, on Windows: something ended, the stored intent changed, or the next timer.

The intent is the file ``want`` itself: a change in the job's folder wakes us, and it is read at each turn, so that no
wake-up can be lost for good.
"""

from __future__ import annotations

import _winapi
import sys
import time

assert sys.platform == "win32"

from .. import files
from ..quiet import TYPE_CHECKING, quietly
from . import kernel

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal

TURN_S = 1.0


class Events:
    """``down`` once the job shall end, because the file ``want`` says so."""

    def __init__(self) -> None:
        self.down = False
        for number in (signal.SIGINT, signal.SIGBREAK):  # meant for those who share our console
            signal.signal(number, signal.SIG_IGN)
        self._changes = kernel.watch_folder(".")
        self.check()

    def check(self) -> bool:
        """Reads the stored intent again; a job told to go down never comes up again."""
        self.down = self.down or files.wanted_down()
        return self.down

    def wait(self, fds: list[int], until: float | None) -> list[int]:
        """Sleeps until something happens, ``until`` or for a turn; answers those of ``fds`` that are signalled."""
        timeout = TURN_S if until is None else min(TURN_S, max(0.0, until - time.monotonic()))
        watched = fds if self._changes is None else [self._changes, *fds]
        if watched:
            with quietly(InterruptedError):
                _winapi.WaitForMultipleObjects(watched, False, int(timeout * 1000) + 1)
        else:
            time.sleep(timeout)
        if self._changes is not None and _signalled(self._changes):
            with quietly(OSError):
                kernel.watch_on(self._changes)
        self.check()
        return [handle for handle in fds if _signalled(handle)]


def _signalled(handle: int) -> bool:
    return _winapi.WaitForSingleObject(handle, 0) == _winapi.WAIT_OBJECT_0
