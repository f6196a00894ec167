"""Structures and numbers of the Windows API that the keeper uses, for 64 and 32 bits. Of no effect by themselves.

Fixed widths throughout: ``ctypes.wintypes`` has other ones wherever ``long`` is not 32 bits.
"""

from __future__ import annotations

import ctypes

DWORD, HANDLE, SIZE = ctypes.c_uint32, ctypes.c_void_p, ctypes.c_size_t

CREATE_SUSPENDED = 0x4
CREATE_NEW_PROCESS_GROUP = 0x200
CREATE_BREAKAWAY_FROM_JOB = 0x0100_0000
CREATE_NO_WINDOW = 0x0800_0000
STARTF_USESTDHANDLES = 0x100

PROCESS_TERMINATE = 0x1
PROCESS_QUERY_LIMITED_INFORMATION = 0x1000
SYNCHRONIZE = 0x10_0000
FILE_APPEND_DATA, FILE_READ_ATTRIBUTES = 0x4, 0x80
SHARE_ALL = 0x7
OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL = 4, 0x80
FILE_NOTIFY_CHANGE_FILE_NAME = 0x1
LOCKFILE_FAIL_IMMEDIATELY, LOCKFILE_EXCLUSIVE_LOCK = 0x1, 0x2
CTRL_BREAK_EVENT = 1

JOB_BASIC_ACCOUNTING, JOB_BASIC_PROCESS_ID_LIST, JOB_EXTENDED_LIMIT = 1, 3, 9
LIMIT_ACTIVE_PROCESS = 0x8
LIMIT_JOB_MEMORY = 0x200
LIMIT_DIE_ON_UNHANDLED_EXCEPTION = 0x400
LIMIT_KILL_ON_JOB_CLOSE = 0x2000

ERROR_ACCESS_DENIED = 5
ERROR_LOCK_VIOLATION = 33
ERROR_IO_PENDING = 997


class FileTime(ctypes.Structure):
    """FILETIME: 100 ns since 1601, in two halves."""

    _fields_ = (("low", DWORD), ("high", DWORD))

    @property
    def ticks(self) -> int:
        return int(self.high) << 32 | int(self.low)


class Overlapped(ctypes.Structure):
    """OVERLAPPED: at which byte a call on a file works."""

    _fields_ = (
        ("internal", SIZE),
        ("internal_high", SIZE),
        ("offset", DWORD),
        ("offset_high", DWORD),
        ("event", HANDLE),
    )


class BasicLimits(ctypes.Structure):
    """JOBOBJECT_BASIC_LIMIT_INFORMATION."""

    _fields_ = (
        ("per_process_user_time", ctypes.c_int64),
        ("per_job_user_time", ctypes.c_int64),
        ("flags", DWORD),
        ("minimum_working_set", SIZE),
        ("maximum_working_set", SIZE),
        ("active_processes", DWORD),
        ("affinity", SIZE),
        ("priority_class", DWORD),
        ("scheduling_class", DWORD),
    )


class IoCounters(ctypes.Structure):
    """IO_COUNTERS."""

    _fields_ = tuple((name, ctypes.c_uint64) for name in ("reads", "writes", "others", "read", "written", "other"))


class ExtendedLimits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION."""

    _fields_ = (
        ("basic", BasicLimits),
        ("io", IoCounters),
        ("process_memory", SIZE),
        ("job_memory", SIZE),
        ("peak_process_memory", SIZE),
        ("peak_job_memory", SIZE),
    )


class Accounting(ctypes.Structure):
    """JOBOBJECT_BASIC_ACCOUNTING_INFORMATION."""

    _fields_ = (
        ("user_time", ctypes.c_int64),
        ("kernel_time", ctypes.c_int64),
        ("period_user_time", ctypes.c_int64),
        ("period_kernel_time", ctypes.c_int64),
        ("page_faults", DWORD),
        ("processes", DWORD),
        ("active", DWORD),
        ("terminated", DWORD),
    )


MOST_PIDS = 256


class ProcessIds(ctypes.Structure):
    """JOBOBJECT_BASIC_PROCESS_ID_LIST with room for the first ``MOST_PIDS``."""

    _fields_ = (("assigned", DWORD), ("listed", DWORD), ("pids", SIZE * MOST_PIDS))


def limits(memory_bytes: int | None, processes: int | None, *, kill_on_close: bool) -> ExtendedLimits:
    """What a job object is told; no dialog of a crash ever waits for somebody to click it away."""
    told = ExtendedLimits()
    flags = LIMIT_DIE_ON_UNHANDLED_EXCEPTION
    if kill_on_close:
        flags |= LIMIT_KILL_ON_JOB_CLOSE
    if memory_bytes is not None:
        flags |= LIMIT_JOB_MEMORY
        told.job_memory = memory_bytes
    if processes is not None:
        flags |= LIMIT_ACTIVE_PROCESS
        told.basic.active_processes = processes
    told.basic.flags = flags
    return told
