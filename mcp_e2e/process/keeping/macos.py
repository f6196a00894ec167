"""What macOS says about processes, through libproc and sysctl."""

from __future__ import annotations

import ctypes
import os
import sys

assert sys.platform == "darwin"

from .birth import Birth
from .quiet import quietly

_BSDINFO_BYTES, _PIDTBSDINFO, _ZOMBIE = 136, 3, 5
_PID_BYTES, _FIRST_PIDS, _MOST_PIDS = 4, 256, 1 << 16

_libc = ctypes.CDLL(None)
_libproc = ctypes.CDLL("/usr/lib/libproc.dylib")
_libproc.proc_pidinfo.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_int]
_libproc.proc_listchildpids.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]


def boot_id() -> str:
    size = ctypes.c_size_t(64)
    text = ctypes.create_string_buffer(64)
    _libc.sysctlbyname(b"kern.bootsessionuuid", text, ctypes.byref(size), None, ctypes.c_size_t(0))
    return text.value.decode("ascii", "replace")


def birth(pid: int) -> Birth | None:
    """None when no process has this pid or it is another user's."""
    buffer = ctypes.create_string_buffer(_BSDINFO_BYTES)
    if _libproc.proc_pidinfo(pid, _PIDTBSDINFO, 0, buffer, _BSDINFO_BYTES) != _BSDINFO_BYTES:
        return None
    raw = buffer.raw
    seconds, micros = _number(raw, 120, 8), _number(raw, 128, 8)
    return Birth(seconds * 100 + micros // 10_000, dead=_number(raw, 4, 4) == _ZOMBIE)


def _number(raw: bytes, at: int, width: int) -> int:
    return int.from_bytes(raw[at : at + width], "little")


def children(pid: int) -> list[int]:
    """The pids end at the first zero: whether the call answers their number or their bytes differs by release."""
    room = _FIRST_PIDS
    while True:
        buffer = (ctypes.c_int32 * room)()
        if _libproc.proc_listchildpids(pid, buffer, room * _PID_BYTES) <= 0:
            return []
        found = list(buffer)
        if found[-1] == 0 or room >= _MOST_PIDS:
            return found[: found.index(0)] if 0 in found else found
        room *= 4


def send(pid: int, ticks: int, number: int, _inode: int = 0) -> bool:
    """Signals the process born at ``ticks``; there is no handle on it, so it is looked at right before."""
    fact = birth(pid)
    if fact is None or fact.ticks != ticks or fact.dead:
        return False
    with quietly(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False
