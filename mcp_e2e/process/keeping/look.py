"""Looks at a service, one at a time: each is a process of its own with a time limit.

Neither a slow regular expression, nor a program that hangs, nor a server that accepts and never answers holds the
keeper up.
"""

from __future__ import annotations

from .quiet import TYPE_CHECKING
from .system import start_look

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .system import Tree
    from .target import Program

LIMIT_S = 10.0


class Look:
    """By ``rule`` (``model.jobs.Readiness``); seconds that one may take: ``limit_s``."""

    def __init__(self, rule: Mapping[str, Any], program: Program, tree: Tree, limit_s: float = LIMIT_S) -> None:
        self._rule, self._program, self._tree, self._limit_s = rule, program, tree, limit_s
        self._pid: int | None = None

    @property
    def under_way(self) -> bool:
        return self._pid is not None

    def start(self, log_offset: int = 0) -> None:
        """``log_offset``: where the log is searched from. Raises OSError when there can be no more processes."""
        self._pid = start_look(self._tree, self._program, self._rule, log_offset, self._limit_s)
        self._tree.aside[self._pid] = None

    def result(self) -> bool | None:
        """None while it is under way; asked once."""
        assert self._pid is not None
        if (status := self._tree.aside[self._pid]) is None:
            return None
        del self._tree.aside[self._pid]
        self._pid = None
        return status == 0

    def dismiss(self) -> None:
        """The life is over: whatever still looks ends."""
        if self._pid is not None and self._tree.aside.pop(self._pid) is None:
            self._tree.end_aside(self._pid)
        self._pid = None
