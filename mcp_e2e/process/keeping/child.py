"""Starting the job's process: forked, recorded, and only then allowed to run anything."""

# ruff: noqa: PTH109, PTH117

from __future__ import annotations

import ctypes
import os
import resource
import sys

assert sys.platform != "win32"  # there it is windows/child.py

from . import cgroup, layers
from .quiet import TYPE_CHECKING, quietly
from .target import Program
from .tree import Tree

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from typing import NoReturn
else:
    import _signal as signal

NOT_ADMITTED = 125  # the gate closed without a word: the keeper died or could not record the process
EXEC_FAILED = 127
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def become_subreaper() -> None:
    """Orphans of the tree come to us instead of to process 1; the name keeps ``pkill python`` from meaning us."""
    if _libc is not None:
        _libc.prctl(36, 1, 0, 0, 0)
        _libc.prctl(15, b"mcp-e2e-keeper", 0, 0, 0)


def start(
    program: Program, outputs: tuple[int, int], *, bound: bool, record: Callable[[int], None]
) -> tuple[Tree, str | None, dict[str, str]]:
    """Answers the process, why it could not be executed (None: it runs), and the layers that could not be applied.

    ``record(pid)`` must put the process on disk; when it raises OSError nothing is executed. ``bound``: on Linux the
    process is killed with the keeper, whose pipes it needs. Raises OSError when the machine allows no more processes.
    """
    group = cgroup.made(program.limits) if bound else None
    gate, gate_end = os.pipe()
    failure, failure_end = os.pipe()
    keeper = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.close(gate_end)
        _become(program, outputs, gate, failure_end, keeper if bound else None, group)
    os.close(gate)
    os.close(failure_end)
    error: str | None = None
    try:
        record(pid)
        os.write(gate_end, b"G")
    except BrokenPipeError:
        pass  # killed at the gate: its exit status tells
    except OSError as full:
        error = f"its process could not be recorded: {full.strerror}"
    finally:
        os.close(gate_end)
    told = _read_all(failure).split("\0")
    missing = dict(line.split("=", 1) for line in told[:-1])
    return Tree(pid, group), error or told[-1] or None, missing


def _read_all(fd: int) -> str:
    data = b""
    while chunk := os.read(fd, 4096):
        data += chunk
    os.close(fd)
    return data.decode("utf-8", "replace")


def _become(
    program: Program, outputs: tuple[int, int], gate: int, failure: int, keeper: int | None, group: cgroup.Group | None
) -> NoReturn:
    what = "a session of its own"
    try:
        os.setsid()
        default_signals()
        if os.read(gate, 1) != b"G":
            os._exit(NOT_ADMITTED)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(outputs[0], 1)
        os.dup2(outputs[1], 2)
        what = "its isolation"
        if group is not None:
            group.join()
        _confine(program, failure)
        if keeper is not None:  # after the confinement: new credentials would undo it
            end_with(keeper)
        what = f"working directory {program.cwd!r}"
        _enter(program.cwd)
        what = repr(program.argv[0])
        os.execvpe(program.argv[0], list(program.argv), dict(program.env))
    except OSError as error:
        os.write(failure, f"{error.strerror}: {what}".encode(errors="backslashreplace"))
    except BaseException as error:
        os.write(failure, f"{error!r}: {what}".encode(errors="backslashreplace"))
    finally:
        os._exit(EXEC_FAILED)


def end_with(keeper: int) -> None:
    """This process is killed when its keeper dies (Linux)."""
    if _libc is not None:
        _libc.prctl(1, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != keeper:
            os._exit(NOT_ADMITTED)


def _confine(program: Program, failure: int) -> None:
    """Limits that cannot come too late, then the layers; what is missing is told, or ends it where all are required."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (min(soft, 0), hard))
    file_bytes = program.limits.get("file_bytes")
    if file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    missing = layers.apply(program.confinement["layers"], program.confinement)
    if missing and program.confinement["required"]:
        raise OSError(1, "; ".join(f"{name} cannot be applied ({why})" for name, why in missing.items()))
    for name, why in missing.items():
        os.write(failure, f"{name}={why}\0".encode(errors="backslashreplace"))


def _enter(cwd: str) -> None:
    """The folder that was checked, not one that a link leads to since: a process has entered what it is called."""
    os.chdir(cwd)
    if os.path.isabs(cwd) and (here := os.getcwd()).casefold() != os.path.normpath(cwd).casefold():
        raise OSError(20, f"is {here} now, reached through a link")


def default_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with quietly(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
