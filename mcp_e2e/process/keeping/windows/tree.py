"""The processes of a job, by their job object: watching, asking, killing, and leaving none behind."""

from __future__ import annotations

import _winapi
import sys
import time

assert sys.platform == "win32"

from ..quiet import quietly
from . import kernel
from .facts import KILL
from .jobobject import JobObject

UNKNOWN = -1  # as on POSIX; here the system always knows
BREAK = 1  # CTRL_BREAK to the group: the one thing that can be asked of a console program
AFTER_KILL_S = 0.2
GIVE_UP_S = 10.0
FAILED = 1
Ladder = list[tuple[float, tuple[int, ...]]]  # seconds to wait after each rung

__all__ = ["BREAK", "KILL", "UNKNOWN", "Ladder", "Tree"]


class Tree:
    """One main process, leader of a group of its own on the keeper's hidden console, and whatever it started."""

    group = None  # the job object holds the limits

    def __init__(self, main: int, process: int, job: JobObject) -> None:
        self.main = main
        self.status: int | None = None  # as of os.waitpid: the exit code, shifted by 8 bits
        self.aside: dict[int, int | None] = {}  # processes that only look for the keeper, and how each ended
        self._process, self._job = process, job  # while the handle is open nobody else gets this pid
        self._looks: dict[int, tuple[int, JobObject, float]] = {}  # handle, job object, until when it may run

    @property
    def fds(self) -> list[int]:
        """Handles that are signalled when something has ended."""
        main = [self._process] if self.status is None else []
        return main + [handle for handle, _, _ in self._looks.values()]

    def reap(self) -> None:
        if self.status is None and _ended(self._process):
            self.status = _winapi.GetExitCodeProcess(self._process) << 8
        for pid in [pid for pid, status in self.aside.items() if status is None]:
            self._reap_look(pid)

    def _reap_look(self, pid: int) -> None:
        if pid not in self._looks:  # it could not be started
            self.aside[pid] = FAILED << 8
            return
        handle, job, until = self._looks[pid]
        if _ended(handle):
            self.aside[pid] = _winapi.GetExitCodeProcess(handle) << 8
            self._forget(pid)
        elif time.monotonic() > until:
            job.kill()  # its end is seen next

    def watch_aside(self, pid: int, process: int, job: JobObject, until: float) -> None:
        self._looks[pid] = (process, job, until)

    def end_aside(self, pid: int) -> None:
        if pid in self._looks:
            with quietly(OSError):
                self._looks[pid][1].kill()
            self._forget(pid)

    def _forget(self, pid: int) -> None:
        handle, job, _ = self._looks.pop(pid)
        _winapi.CloseHandle(handle)
        job.close()

    @property
    def gone(self) -> bool:
        return self.status is not None and self._job.active == 0

    def signal(self, *numbers: int) -> None:
        for number in numbers:
            with quietly(OSError):
                if number == BREAK:
                    kernel.break_group(self.main)
                else:
                    self._job.kill()

    def rungs(self, kind: str, reason: str, grace_s: float) -> Ladder:
        """How it is ended: asked first, and killed when it does not listen."""
        if reason in ("memory", "processes"):
            return [(AFTER_KILL_S, (KILL,))]
        return [(grace_s if kind == "service" else 3.0, (BREAK,)), (AFTER_KILL_S, (KILL,))]

    def kill_rest(self) -> tuple[int, list[int]]:
        """How many had to be killed, and the pids that could not be."""
        killed = 0
        end = time.monotonic() + GIVE_UP_S
        while not self.gone and time.monotonic() < end:
            killed = max(killed, self._job.active - (self.status is None))
            self.signal(KILL)
            time.sleep(0.01)
            self.reap()
        if not self.gone:
            return killed, self._job.pids
        self._job.close()
        _winapi.CloseHandle(self._process)
        return killed, []


def _ended(process: int) -> bool:
    return _winapi.WaitForSingleObject(process, 0) == _winapi.WAIT_OBJECT_0
