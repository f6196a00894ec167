"""The processes below a keeper: reaping, signalling, and leaving none behind."""

from __future__ import annotations

import os
import sys
import time

assert sys.platform != "win32"  # there it is windows/tree.py

from . import facts
from .quiet import TYPE_CHECKING, quietly

if TYPE_CHECKING:
    import signal

    from .cgroup import Group
else:
    import _signal as signal

UNKNOWN = -1  # no wait status: the process has ended, and nobody can tell how
KILL = signal.SIGKILL
AFTER_KILL_S = 0.2  # for what was killed to be gone
Ladder = list[tuple[float, tuple[int, ...]]]  # seconds to wait after each rung's signals
GIVE_UP_S = 10.0  # a process in uninterruptible sleep cannot be killed; we say so instead of waiting for ever


class Tree:
    """One main process, leader of its own session, and whatever it started."""

    def __init__(self, main: int, group: Group | None = None) -> None:
        """``group``: the control group of all of it, where it has one."""
        self.main = main
        self.group = group
        self.status: int | None = None  # wait status of the main process, once it is dead
        self.aside: dict[int, int | None] = {}  # children that only look for the keeper, and how each ended
        self.fds: list[int] = []  # readable when the main process has ended, where no SIGCHLD tells
        self._childless = False
        self._seen: dict[int, int] = {}  # macOS: descendants and their births, for the time when their parents are gone

    def reap(self) -> None:
        """Collects every dead child: the main process and, on Linux, orphans that came to us."""
        self._childless = False
        self._look_below()
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._childless = True
                return
            if pid == 0:
                return
            if pid == self.main:
                self.status = status
            elif pid in self.aside:
                self.aside[pid] = status

    def end_aside(self, pid: int) -> None:
        with quietly(OSError):
            os.kill(pid, KILL)  # our own child, not waited for yet: the pid is its own
            os.waitpid(pid, 0)

    @property
    def gone(self) -> bool:
        if self.status is None or not self._childless:
            return False
        return sys.platform == "linux" or not (self._group_lives() or self._escaped())

    def signal(self, *numbers: int) -> None:
        """To the group of the main process while its number is surely ours, else to each process that is left."""
        if self.status is not None and sys.platform == "linux":
            rest = facts.descendants(os.getpid())
            for number in numbers:
                for pid, born in rest.items():
                    facts.send(pid, born.ticks, number)
            return
        beyond = self._escaped()
        for number in numbers:
            with quietly(OSError):
                os.killpg(self.main, number)
            for pid in beyond:
                with quietly(PermissionError):
                    facts.send(pid, self._seen[pid], number)

    def rungs(self, kind: str, reason: str, grace_s: float) -> Ladder:
        """How it is ended: asked first, and told when it does not listen."""
        if reason in ("memory", "processes"):  # whoever outgrows its limit is not asked
            return [(AFTER_KILL_S, (signal.SIGSTOP, signal.SIGKILL))]
        if kind == "service":
            return [(grace_s, (signal.SIGTERM, signal.SIGCONT)), (AFTER_KILL_S, (signal.SIGKILL,))]
        hard: Ladder = [(2.0, (signal.SIGTERM, signal.SIGCONT)), (AFTER_KILL_S, (signal.SIGKILL,))]
        return [(1.0, (signal.SIGINT, signal.SIGCONT)), *hard]

    def kill_rest(self) -> tuple[int, list[int]]:
        """How many had to be killed, and the pids that could not be; frozen first, so that none forks away."""
        killed: set[tuple[int, int]] = set()
        if self.group is not None and not self.gone:
            killed |= {(pid, born.ticks) for pid, born in facts.descendants(os.getpid()).items() if pid != self.main}
            self.group.kill()
        end = time.monotonic() + GIVE_UP_S
        while not self.gone and time.monotonic() < end:
            if sys.platform == "linux":
                rest = facts.descendants(os.getpid())
                killed |= {(pid, born.ticks) for pid, born in rest.items() if pid != self.main}
            else:
                killed |= {(pid, self._seen[pid]) for pid in self._escaped()}
                if self._group_lives():
                    killed.add((self.main, 0))  # at least one; how many it holds is not known here
            self.signal(signal.SIGSTOP, signal.SIGKILL)
            time.sleep(0.002)
            self.reap()
        if self.group is not None:
            self.group.remove()
        return len(killed), [] if self.gone else sorted({*facts.descendants(os.getpid()), *self._escaped()})

    def _look_below(self) -> None:
        """Without a subreaper an orphan goes to process 1: whoever is to be found then has to be known before."""
        if sys.platform == "darwin" and self.status is None:
            below = {pid: born.ticks for pid, born in facts.descendants(self.main).items()}
            self._seen = {pid: ticks for pid, ticks in (self._seen | below).items() if _lives(pid, ticks)}

    def _escaped(self) -> list[int]:
        """Living descendants outside the group of the main process; on Linux they come to us anyway."""
        return [pid for pid, ticks in self._seen.items() if _lives(pid, ticks) and _group(pid) != self.main]

    def _group_lives(self) -> bool:
        with quietly(OSError):
            os.killpg(self.main, 0)
            return True
        return False


def _lives(pid: int, ticks: int) -> bool:
    born = facts.birth(pid)
    return born is not None and not born.dead and born.ticks == ticks


def _group(pid: int) -> int:
    """0 for a process that is gone."""
    with quietly(OSError):
        return os.getpgid(pid)
    return 0
