"""A look at whether a service is ready, as a process of its own with a time limit, on Windows.

There is no fork: for a search of the log the keeper program is started anew, with ``--look``.
"""

# ruff: noqa: PTH109

from __future__ import annotations

import _winapi
import itertools
import os
import sys
import time

assert sys.platform == "win32"

from .. import searching
from ..quiet import TYPE_CHECKING
from ..target import Program
from . import kernel
from .child import suspended
from .facts import KILLED_CODE
from .jobobject import JobObject

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .tree import Tree

_failures = itertools.count(-1, -1)


def begin(tree: Tree, program: Program, rule: Mapping[str, Any], offset: int) -> int:
    """Its pid, or a negative number when it could not be started; ``tree`` watches it and ends it in time."""
    look = _search(rule["log"], offset) if rule["log"] else Program(rule["exec"], program.cwd, program.env)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        pid, process, thread = suspended(look, look.argv, (nothing, nothing))
    except OSError:
        return next(_failures)
    finally:
        os.close(nothing)
    job = JobObject()
    try:
        job.add(process)
        kernel.resume(thread)
    except OSError:
        _winapi.TerminateProcess(process, KILLED_CODE)
    finally:
        _winapi.CloseHandle(thread)
    tree.watch_aside(pid, process, job, time.monotonic() + searching.LOOK_LIMIT_S)
    return pid


def _search(pattern: str, offset: int) -> Program:
    return Program([sys.executable, "-I", "-S", sys.argv[0], "--look", pattern, str(offset)], os.getcwd(), os.environ)
