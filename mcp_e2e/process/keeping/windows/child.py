"""Starting the job's process: made suspended, put into its job object, recorded, and only then let run."""

from __future__ import annotations

import _winapi
import errno
import msvcrt
import ntpath
import os
import subprocess
import sys

assert sys.platform == "win32"

from .. import files
from ..quiet import TYPE_CHECKING
from ..target import CLIENT_JOB, Program
from . import command_line, kernel
from . import structures as api
from .facts import KILLED_CODE
from .jobobject import JobObject
from .tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def start(
    program: Program, outputs: tuple[int, int], *, bound: bool, record: Callable[[int], None]
) -> tuple[Tree, str | None, dict[str, str]]:
    """Answers the process, why it may not run (None: it runs), and the layers of confinement that are missing.

    ``record(pid)`` must put the process on disk; when it raises OSError nothing is executed. ``bound``: the process
    is killed with the keeper. Raises OSError when the program cannot be executed.
    """
    missing = {name: "Windows has no such layer" for name in program.confinement["layers"] if name != CLIENT_JOB}
    if missing and program.confinement["required"]:
        raise OSError(errno.EPERM, "; ".join(f"{name}: {why}" for name, why in missing.items()))
    if program.limits.get("file_bytes") is not None:
        files.note("no limit to the size of one file: Windows has none")
    _entered(program.cwd)
    job = JobObject(program.limits.get("memory_bytes"), program.limits.get("processes"))
    pid, process, thread = suspended(program, program.argv, outputs)
    tree, error = Tree(pid, process, job), None
    try:
        # should we die before this call, a process that never runs is left; after it, nothing is
        job.add(process)
        record(pid)
        kernel.resume(thread)
        if not bound:
            job.outlives_us()
    except OSError as refused:
        _winapi.TerminateProcess(process, KILLED_CODE)
        error = f"its process could not be kept or recorded: {refused.strerror}"
    finally:
        _winapi.CloseHandle(thread)
    return tree, error, missing


def suspended(program: Program, argv: Sequence[str], outputs: tuple[int, int]) -> tuple[int, int, int]:
    """Pid and handles of a new process and its thread, which does not run yet. Raises OSError naming the program."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        handles = [msvcrt.get_osfhandle(fd) for fd in (nothing, *outputs)]
        for handle in handles:
            os.set_handle_inheritable(handle, True)
        file = command_line.found(argv[0], program.cwd, program.env, os.path.isfile)
        executable, words = command_line.line(argv, file, program.env)
        flags = api.CREATE_SUSPENDED | api.CREATE_NEW_PROCESS_GROUP
        process, thread, pid, _ = _winapi.CreateProcess(
            executable, words, None, None, True, flags, dict(program.env), program.cwd, _standard(handles)
        )
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}: {argv[0]!r}") from error
    finally:
        os.close(nothing)
    return pid, process, thread


def _standard(handles: list[int]) -> subprocess.STARTUPINFO:
    """These and no other handles are inherited; the list may name each but once."""
    return subprocess.STARTUPINFO(
        dwFlags=api.STARTF_USESTDHANDLES,
        hStdInput=handles[0],
        hStdOutput=handles[1],
        hStdError=handles[2],
        lpAttributeList={"handle_list": list(dict.fromkeys(handles))},
    )


def _entered(cwd: str) -> None:
    """The folder that was checked, not one that a link leads to since."""
    if not ntpath.isdir(cwd):
        raise NotADirectoryError(errno.ENOTDIR, f"No such folder: working directory {cwd!r}")
    here = ntpath.realpath(cwd)
    if ntpath.isabs(cwd) and ntpath.normcase(here) != ntpath.normcase(ntpath.normpath(cwd)):
        raise NotADirectoryError(errno.ENOTDIR, f"working directory {cwd!r} is {here} now, reached through a link")
