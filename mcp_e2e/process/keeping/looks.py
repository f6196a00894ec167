"""A look at whether a service is ready, as a child of the keeper with a time limit, on POSIX."""

from __future__ import annotations

import os
import sys

assert sys.platform != "win32"  # there it is windows/looks.py

from . import child, searching
from .quiet import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping
    from typing import Any

    from .target import Program
    from .tree import Tree
else:
    import _signal as signal


def begin(_tree: Tree, program: Program, rule: Mapping[str, Any], offset: int) -> int:
    """Its pid; it ends with 0 when the service answers, or its log has a line that matches from ``offset`` on."""
    pid = os.fork()
    if pid == 0:
        try:
            child.default_signals()
            signal.alarm(searching.LOOK_LIMIT_S)
            matches = searching.found(rule["log"], offset) if rule["log"] else _executed(program, rule)
            os._exit(0 if matches else 1)
        finally:
            os._exit(1)
    return pid


def _executed(program: Program, rule: Mapping[str, Any]) -> bool:
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    os.chdir(program.cwd)
    argv = list(rule["exec"])
    os.execvpe(argv[0], argv, dict(program.env))
