"""Whether a service is ready, where only its log or a program can tell; seen by the keeper, with no server alive.

Each look is a child of its own with a time limit: neither a slow regular expression nor a program that hangs holds
the keeper up. A service that answers twice, a moment apart, is ready; a slow one is waited for without end.
"""

# ruff: noqa: PLC0415, PTH116, PTH123

from __future__ import annotations

import os

from . import child
from .quiet import TYPE_CHECKING, quietly

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping
    from typing import Any

    from .target import Program
    from .tree import Tree
else:
    import _signal as signal

FIRST_S, LATER_S, LATER_AFTER_S = 0.1, 1.0, 60.0
SETTLE_S = 0.3
LOOK_LIMIT_S = 10
LINE_BYTES = 65_536  # a line is searched up to here


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
            with quietly(OSError):
                os.kill(self._pid, signal.SIGKILL)  # our own child, not waited for yet: the pid is its own
                os.waitpid(self._pid, 0)
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
        self._pid = os.fork()
        self._tree.aside[self._pid] = None
        if self._pid == 0:
            try:
                child.default_signals()
                signal.alarm(LOOK_LIMIT_S)
                matches = _searched(self._rule["log"], self._searched) if self._rule["log"] else self._executed()
                os._exit(0 if matches else 1)
            finally:
                os._exit(1)

    def _executed(self) -> bool:
        assert self._rule is not None
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nothing, fd)
        os.chdir(self._program.cwd)
        argv = list(self._rule["exec"])
        os.execvpe(argv[0], argv, dict(self._program.env))


def _searched(pattern: str, offset: int) -> bool:
    import re

    wanted = re.compile(pattern)
    with open("log", "rb") as log:
        log.seek(offset)
        while line := log.readline(LINE_BYTES):
            if wanted.search(line.decode("utf-8", "replace").rstrip("\r\n")):
                return True
    return False


def _last_line_end(begin: int, end: int) -> int:
    """Where the last line that is not whole begins; nothing before it has to be searched again."""
    start = max(begin, end - LINE_BYTES)
    with quietly(OSError), open("log", "rb") as log:
        log.seek(start)
        at = log.read(end - start).rfind(b"\n")
        return start + at + 1 if at >= 0 else begin
    return begin
