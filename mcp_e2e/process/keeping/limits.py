"""What a command's whole tree may use: its time, memory and processes, looked at now and then.

Time that the machine slept, or in which everything was frozen, is nobody's: it is not charged.
"""

from __future__ import annotations

import os
import sys
import time

from . import facts
from .quiet import TYPE_CHECKING, quietly

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .cgroup import Group

LOOK_S = 0.5
SELDOM_S = 60.0
STALL_S = 5.0  # later than this a wake-up was no busy machine, but a frozen one
if sys.platform == "linux":
    _PAGE = os.sysconf("SC_PAGESIZE")
else:
    _PAGE = 4096  # nowhere else is memory looked at
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)


class Awake:
    """Seconds on the monotonic clock in which this process, and so the job, could run.

    It has to be asked each ``LOOK_S`` or so: a longer gap between two looks is a freeze.
    """

    def __init__(self) -> None:
        self._begun = _asleep()
        self._seen = time.monotonic()
        self._frozen = 0.0

    def look(self, expected_s: float = LOOK_S) -> float:
        """The time now, without the freezes; ``expected_s``: how long ago the last look was to be, at most."""
        now = time.monotonic()
        late = now - self._seen - expected_s
        if late > STALL_S:
            self._frozen += late
        self._seen = now
        return now - self._frozen

    @property
    def suspended_s(self) -> float:
        return round(self._frozen + max(0.0, _asleep() - self._begun), 3)


def _asleep() -> float:
    """Seconds the machine has slept since it booted; 0 where the system does not tell."""
    if sys.platform == "linux" and _BOOTTIME is not None:
        return time.clock_gettime(_BOOTTIME) - time.monotonic()
    return 0.0


class Limits:
    """``exceeded`` names the limit that a tree has gone beyond: ``timeout``, ``memory`` or ``processes``."""

    def __init__(self, spec: Mapping[str, Any], started: float, group: Group | None = None) -> None:
        """``group``: the control group that holds the tree to its memory and processes, where it has one."""
        self._group = group
        self.awake = Awake()
        self._deadline = None if spec["timeout_s"] is None else started + spec["timeout_s"]
        self._memory, self._processes = spec["limits"]["memory_bytes"], spec["limits"]["processes"]
        self._watches = spec["kind"] == "command" and sys.platform == "linux"
        self._next = started

    def look(self) -> float:
        """As ``Awake``'s; asked when the tree has ended too, which may have been the first thing after a freeze."""
        # a service is looked at more seldom, and has no limit that a freeze could be charged to
        return self.awake.look(LOOK_S if self._deadline is not None or self._watches else SELDOM_S)

    def exceeded(self, now: float) -> str | None:
        awake = self.look()
        if self._deadline is not None and awake >= self._deadline:
            return "timeout"
        if not self._watches or now < self._next or (self._memory is None and self._processes is None):
            return None
        self._next = now + LOOK_S
        if self._group is not None:
            return self._group.outgrown()
        tree = facts.descendants(os.getpid())
        if self._processes is not None and len(tree) > self._processes:
            return "processes"
        if self._memory is not None and sum(map(_own_bytes, tree)) > self._memory:
            return "memory"
        return None

    def ended(self) -> str | None:
        """What the end of a tree is due to where nothing else ended it: its group may have, between two looks."""
        self.look()
        return self._group.outgrown() if self._group is not None else None

    def next_look(self, now: float) -> float | None:
        """When to ask again, at the latest; None: only when something happens."""
        if self._deadline is None and not self._watches:
            return None
        ends = now + LOOK_S
        return ends if self._deadline is None else min(ends, max(now, self._deadline))


def _own_bytes(pid: int) -> int:
    """Memory of a process that it shares with no file; 0 when it is gone."""
    with quietly(OSError, ValueError), open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123
        fields = file.read().split()
        return (int(fields[1]) - int(fields[2])) * _PAGE
    return 0
