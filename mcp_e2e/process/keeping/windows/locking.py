"""The kernel's lock on one byte far behind the text of a file: a Windows lock also forbids others to read.

``LockFileEx`` and not ``msvcrt.locking``: it alone can share, so two who only look do not take each other for owners.
"""

from __future__ import annotations

import ctypes
import msvcrt
import sys

assert sys.platform == "win32"

from . import structures as api

LOCKED_BYTE = 0x7FFF_0000
_kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
_lock = _kernel32.LockFileEx
_lock.argtypes = [api.HANDLE, api.DWORD, api.DWORD, api.DWORD, api.DWORD, ctypes.POINTER(api.Overlapped)]
_unlock = _kernel32.UnlockFileEx
_unlock.argtypes = [api.HANDLE, api.DWORD, api.DWORD, api.DWORD, ctypes.POINTER(api.Overlapped)]


def exclusive(fd: int) -> bool:
    return _locked(fd, api.LOCKFILE_EXCLUSIVE_LOCK | api.LOCKFILE_FAIL_IMMEDIATELY)


def shared(fd: int) -> bool:
    return _locked(fd, api.LOCKFILE_FAIL_IMMEDIATELY)


def unlock(fd: int) -> None:
    """As often as it was taken."""
    if not _unlock(msvcrt.get_osfhandle(fd), 0, 1, 0, ctypes.byref(api.Overlapped(offset=LOCKED_BYTE))):
        raise ctypes.WinError(ctypes.get_last_error())


def _locked(fd: int, how: int) -> bool:
    if _lock(msvcrt.get_osfhandle(fd), how, 0, 1, 0, ctypes.byref(api.Overlapped(offset=LOCKED_BYTE))):
        return True
    error = ctypes.get_last_error()
    if error in (api.ERROR_LOCK_VIOLATION, api.ERROR_IO_PENDING):
        return False
    raise ctypes.WinError(error)
