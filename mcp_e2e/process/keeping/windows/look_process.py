"""A look at a service, as a process of its own with a time limit, on Windows.

There is no fork: for whatever is no program of its own the keeper program is started anew, with ``--look``.
"""

# ruff: noqa: PTH109

from __future__ import annotations

import _winapi
import itertools
import os
import sys
import time

assert sys.platform == "win32"

from ..quiet import TYPE_CHECKING, dumps
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


def start_look(tree: Tree, program: Program, rule: Mapping[str, Any], log_offset: int, limit_s: float) -> int:
    """Its pid, or a negative number when it could not be started; ``tree`` watches it and ends it in time."""
    look = Program(rule["exec"], program.cwd, program.env) if rule["exec"] else _search(rule, log_offset)
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
    tree.watch_aside(pid, process, job, time.monotonic() + limit_s)
    return pid


def _search(rule: Mapping[str, Any], offset: int) -> Program:
    words = [sys.executable, "-I", "-S", sys.argv[0], "--look", dumps(dict(rule)), str(offset)]
    return Program(words, os.getcwd(), os.environ)
