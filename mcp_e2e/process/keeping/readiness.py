"""Whether a service is ready, where only its log or a program can tell; seen by the keeper, with no server alive.

Each look is a child of its own with a time limit: neither a slow regular expression nor a program that hangs holds
the keeper up. A service that answers twice, a moment apart, is ready; a slow one is waited for without end.
"""

# ruff: noqa: PTH116, PTH123

from __future__ import annotations

import os

from .quiet import TYPE_CHECKING, quietly
from .searching import LINE_BYTES
from .system import looks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .system import Tree
    from .target import Program

FIRST_S, LATER_S, LATER_AFTER_S = 0.1, 1.0, 60.0
SETTLE_S = 0.3


class Readiness:
    """``look`` starts looks and takes their results until the service is ready; then ``told`` has been called once."""

    def __init__(
        self,
        rule: Mapping[str, Any] | None,
        program: Program,
        tree: Tree,
        log_offset: int,
        began: float,
        told: Callable[[], None],
    ) -> None:
        self._rule, self._program, self._tree, self._told = rule, program, tree, told
        self._began, self._due = began, began
        self._searched, self._size = log_offset, log_offset
        self._pid: int | None = None
        self._found = False

    def look(self, now: float) -> None:
        if self._rule is None:
            return
        if self._pid is not None:
            if (status := self._tree.aside[self._pid]) is None:
                return
            del self._tree.aside[self._pid]
            self._pid = None
            self._judge(now, ok=status == 0)
        if self._rule is not None and now >= self._due:
            self._start(now)

    def next_look(self, now: float) -> float | None:
        """None while a look is under way: its end wakes the keeper."""
        return None if self._rule is None or self._pid is not None else max(now, self._due)

    def dismiss(self) -> None:
        """The life is over: whatever still looks ends."""
        self._rule = None
        if self._pid is not None and self._tree.aside.pop(self._pid) is None:
            self._tree.end_aside(self._pid)
        self._pid = None

    def _judge(self, now: float, *, ok: bool) -> None:
        self._due = now + (FIRST_S if now - self._began < LATER_AFTER_S else LATER_S)
        if not ok:
            self._found = False
            self._searched = _last_line_end(self._searched, self._size)
        elif self._found:
            self._rule = None
            self._told()
        else:
            self._found, self._due = True, now + SETTLE_S

    def _start(self, now: float) -> None:
        assert self._rule is not None
        size = self._searched
        with quietly(OSError):
            size = os.stat("log").st_size
        if self._rule["log"] and size == self._size and not self._found:
            self._due = now + FIRST_S  # nothing new to search
            return
        self._size = size
        self._pid = looks.begin(self._tree, self._program, self._rule, self._searched)
        self._tree.aside[self._pid] = None


def _last_line_end(begin: int, end: int) -> int:
    """Where the last line that is not whole begins; nothing before it has to be searched again."""
    start = max(begin, end - LINE_BYTES)
    with quietly(OSError), open("log", "rb") as log:
        log.seek(start)
        at = log.read(end - start).rfind(b"\n")
        return start + at + 1 if at >= 0 else begin
    return begin
