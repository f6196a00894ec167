"""Calls of kernel32 that the standard library does not offer. Each raises OSError with what the system says."""

from __future__ import annotations

import ctypes
import sys

assert sys.platform == "win32"

from ..quiet import TYPE_CHECKING, quietly
from . import structures as api

if TYPE_CHECKING:
    from typing import Any

_kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
_BOOL, _POINTER = ctypes.c_int, ctypes.c_void_p
_NO_HANDLE = ctypes.c_void_p(-1).value


def _function(name: str, result: Any, *arguments: Any) -> Any:
    """Declared in full: an undeclared handle is cut to 32 bits."""
    function = getattr(_kernel32, name)
    function.restype, function.argtypes = result, arguments
    return function


_create_event = _function("CreateEventW", api.HANDLE, _POINTER, _BOOL, _BOOL, ctypes.c_wchar_p)
_create_file = _function(
    "CreateFileW", api.HANDLE, ctypes.c_wchar_p, api.DWORD, api.DWORD, _POINTER, api.DWORD, api.DWORD, api.HANDLE
)
_first_change = _function("FindFirstChangeNotificationW", api.HANDLE, ctypes.c_wchar_p, _BOOL, api.DWORD)
_next_change = _function("FindNextChangeNotification", _BOOL, api.HANDLE)
_generate_event = _function("GenerateConsoleCtrlEvent", _BOOL, api.DWORD, api.DWORD)
_process_id = _function("GetProcessId", api.DWORD, api.HANDLE)
_process_times = _function("GetProcessTimes", _BOOL, api.HANDLE, *[ctypes.POINTER(api.FileTime)] * 4)
_resume_thread = _function("ResumeThread", api.DWORD, api.HANDLE)
_set_event = _function("SetEvent", _BOOL, api.HANDLE)

_create_job = _function("CreateJobObjectW", api.HANDLE, _POINTER, ctypes.c_wchar_p)
_assign = _function("AssignProcessToJobObject", _BOOL, api.HANDLE, api.HANDLE)
_in_job = _function("IsProcessInJob", _BOOL, api.HANDLE, api.HANDLE, ctypes.POINTER(_BOOL))
_query_job = _function(
    "QueryInformationJobObject", _BOOL, api.HANDLE, ctypes.c_int, _POINTER, api.DWORD, ctypes.POINTER(api.DWORD)
)
_set_job = _function("SetInformationJobObject", _BOOL, api.HANDLE, ctypes.c_int, _POINTER, api.DWORD)
_terminate_job = _function("TerminateJobObject", _BOOL, api.HANDLE, api.DWORD)


def _checked(result: Any) -> Any:
    if not result or result == _NO_HANDLE:
        raise ctypes.WinError(ctypes.get_last_error())
    return result


def create_event() -> int:
    """Not signalled, and once it is, for ever."""
    return int(_checked(_create_event(None, True, False, None)))


def set_event(event: int) -> None:
    _checked(_set_event(event))


def open_for_append(path: str) -> int:
    """A handle that can do nothing but append, whoever has it and whoever else writes; the file may be removed."""
    access = api.FILE_APPEND_DATA | api.FILE_READ_ATTRIBUTES | api.SYNCHRONIZE
    found = _create_file(path, access, api.SHARE_ALL, None, api.OPEN_ALWAYS, api.FILE_ATTRIBUTE_NORMAL, None)
    return int(_checked(found))


def watch_folder(path: str) -> int | None:
    """A handle that is signalled when a file is made, renamed or removed in it; None where that cannot be told."""
    with quietly(OSError):
        return int(_checked(_first_change(path, False, api.FILE_NOTIFY_CHANGE_FILE_NAME)))
    return None


def watch_on(handle: int) -> None:
    """Changes since it was signalled are not lost."""
    _checked(_next_change(handle))


def break_group(leader: int) -> None:
    """CTRL_BREAK to the processes of a group on our own console; not by ``os.kill``, which terminates on a failure."""
    _checked(_generate_event(api.CTRL_BREAK_EVENT, leader))


def process_id(handle: int) -> int:
    return int(_process_id(handle))


def created(process: int) -> int:
    """When it was born, in 100 ns since 1601."""
    times = [api.FileTime() for _ in range(4)]
    _checked(_process_times(process, *[ctypes.byref(each) for each in times]))
    return times[0].ticks


def resume(thread: int) -> None:
    if _resume_thread(thread) == 0xFFFF_FFFF:
        raise ctypes.WinError(ctypes.get_last_error())


def create_job() -> int:
    """Without a name: nobody else can open it."""
    return int(_checked(_create_job(None, None)))


def assign(job: int, process: int) -> None:
    _checked(_assign(job, process))


def limit(job: int, limits: api.ExtendedLimits) -> None:
    _checked(_set_job(job, api.JOB_EXTENDED_LIMIT, ctypes.byref(limits), ctypes.sizeof(limits)))


def accounting(job: int) -> api.Accounting:
    found = api.Accounting()
    _checked(_query_job(job, api.JOB_BASIC_ACCOUNTING, ctypes.byref(found), ctypes.sizeof(found), None))
    return found


def pids(job: int) -> list[int]:
    """The first of them: the call fails when there are more, and has filled the list all the same."""
    found = api.ProcessIds()
    _query_job(job, api.JOB_BASIC_PROCESS_ID_LIST, ctypes.byref(found), ctypes.sizeof(found), None)
    return list(found.pids)[: found.listed]


def terminate_job(job: int, code: int) -> None:
    _checked(_terminate_job(job, code))


def in_job(process: int) -> bool:
    """In any at all."""
    answer = _BOOL()
    _checked(_in_job(process, None, ctypes.byref(answer)))
    return bool(answer.value)


def own_limits() -> int:
    """The limit flags of the job this process is in, the innermost of several."""
    found = api.ExtendedLimits()
    _checked(_query_job(None, api.JOB_EXTENDED_LIMIT, ctypes.byref(found), ctypes.sizeof(found), None))
    return int(found.basic.flags)
