"""A look at a service begun on POSIX: a child of the keeper that ends by itself when its time is up."""

from __future__ import annotations

import os
import sys

assert sys.platform != "win32"  # there it is windows/look_process.py

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


def start_look(_tree: Tree, program: Program, rule: Mapping[str, Any], log_offset: int, limit_s: float) -> int:
    """Its pid; it ends with 0 when what ``rule`` asks for is there. Raises OSError where no more can run."""
    keeper = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            child.default_signals()
            child.end_with(keeper)  # it would hold the job's lock for as long as it looks
            signal.setitimer(signal.ITIMER_REAL, limit_s)
            if rule["exec"]:
                _execute(program, rule["exec"])
            os._exit(0 if searching.seen(rule, log_offset) else 1)
        finally:
            os._exit(1)
    return pid


def _execute(program: Program, argv: list[str]) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    os.chdir(program.cwd)
    os.execvpe(argv[0], argv, dict(program.env))
