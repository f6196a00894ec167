"""Whether a service is ready: seen by its keeper, with no server alive.

A service that answers twice, a moment apart, is ready; a slow one is waited for without end.
"""

# ruff: noqa: PTH116, PTH123

from __future__ import annotations

import os
import time

from .quiet import TYPE_CHECKING, quietly
from .searching import LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from .look import Look

FIRST_S, LATER_S = 0.1, 1.0
SHARE = 20  # of a boot's time so far is the pause to the next look: a slow one is looked at more seldom
SETTLE_S = 0.3


class Readiness:
    """``look`` starts looks and takes their results until the service is ready; then ``told`` has been called once.

    It is told the wall clock of the first of the two looks that saw it ready. ``look_at``: how to look, None for a
    service that nobody has to look at; ``log_offset``: where the log of this life begins, None when that is not
    what is looked at.
    """

    def __init__(
        self, look_at: Look | None, log_offset: int | None, began: float, told: Callable[[float], None]
    ) -> None:
        self._look, self._told = look_at, told
        self._began, self._due = began, began
        self._in_log = log_offset is not None
        self._searched = self._size = log_offset or 0
        self._found: float | None = None

    def look(self, now: float) -> None:
        if self._look is not None and self._look.under_way:
            if (ok := self._look.result()) is None:
                return
            self._judge(now, ok=ok)
        if self._look is not None and now >= self._due:
            self._start(now, self._look)

    def next_look(self, now: float) -> float | None:
        """None while a look is under way: its end wakes the keeper."""
        return None if self._look is None or self._look.under_way else max(now, self._due)

    def dismiss(self) -> None:
        """The life is over."""
        if self._look is not None:
            self._look.dismiss()
        self._look = None

    def _judge(self, now: float, *, ok: bool) -> None:
        self._due = now + min(LATER_S, max(FIRST_S, (now - self._began) / SHARE))
        if not ok:
            self._found = None
            self._searched = _last_line_end(self._searched, self._size) if self._in_log else 0
        elif self._found is not None:
            self._look = None
            self._told(self._found)
        else:
            self._found, self._due = time.time(), now + SETTLE_S

    def _start(self, now: float, look: Look) -> None:
        if self._in_log:
            size = self._searched
            with quietly(OSError):
                size = os.stat("log").st_size
            if size == self._size and self._found is None:
                self._due = now + FIRST_S  # nothing new to search
                return
            self._size = size
        self._due = now + FIRST_S
        with quietly(OSError):  # no more processes now: that is no reason to end what runs
            look.start(self._searched)


def _last_line_end(begin: int, end: int) -> int:
    """Where the last line that is not whole begins; nothing before it has to be searched again."""
    start = max(begin, end - LINE_BYTES)
    with quietly(OSError), open("log", "rb") as log:
        log.seek(start)
        at = log.read(end - start).rfind(b"\n")
        return start + at + 1 if at >= 0 else begin
    return begin
