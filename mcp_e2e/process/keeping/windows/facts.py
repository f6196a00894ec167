"""What Windows says about processes. An open handle keeps a pid from being used again while it is looked at."""

from __future__ import annotations

import _winapi
import ctypes
import sys

assert sys.platform == "win32"

from ..birth import Birth
from ..quiet import quietly
from . import kernel
from . import structures as api

KILL = 9  # the only thing that can be told to a process of no console of ours
KILLED_CODE = 137  # as a shell tells of a killed program; TerminateProcess takes any number
_BOOT_ID = 0x7FFE_0000 + 0x2C4


def boot_id() -> str:
    """The loader's count of boots, from the page that the kernel shares with every process (Windows 10; else 0).

    It has to be the same for all processes of a boot, elevated or not, whatever is done to the clock: the boot time is
    not, it moves with the clock. That it is the same in two boots before Windows 10 does no harm: a process is meant by
    its moment of birth in 100 ns as well.
    """
    return f"windows-{ctypes.c_uint32.from_address(_BOOT_ID).value}"


def birth(pid: int) -> Birth | None:
    """None when no process has this pid or it is not ours to see."""
    with quietly(OSError):
        handle = _winapi.OpenProcess(api.PROCESS_QUERY_LIMITED_INFORMATION | api.SYNCHRONIZE, False, pid)
        try:
            return _born(handle, pid)
        finally:
            _winapi.CloseHandle(handle)
    return None


def _born(handle: int, pid: int) -> Birth | None:
    if kernel.process_id(handle) != pid:  # a number between two pids opens the lower one
        return None
    return Birth(kernel.created(handle), dead=_winapi.WaitForSingleObject(handle, 0) == _winapi.WAIT_OBJECT_0)


def children(_pid: int) -> list[int]:
    """The keeper has a job object and needs none; the server asks psutil."""
    return []


def send(pid: int, ticks: int, number: int, _inode: int = 0) -> bool:
    """Ends exactly the process born at ``ticks``, by ``KILL``; anything else only tells whether it lives."""
    access = api.PROCESS_QUERY_LIMITED_INFORMATION | api.SYNCHRONIZE | api.PROCESS_TERMINATE
    try:
        handle = _winapi.OpenProcess(access, False, pid)
    except PermissionError:
        raise
    except OSError:
        return False
    try:
        born = _born(handle, pid)
        if born is None or born.dead or born.ticks != ticks:
            return False
        if number == KILL:
            _winapi.TerminateProcess(handle, KILLED_CODE)
    finally:
        _winapi.CloseHandle(handle)
    return True
