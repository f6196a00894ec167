"""A job object: the kernel's own list of a process and all that comes from it, which nothing of it can leave."""

from __future__ import annotations

import _winapi
import sys

assert sys.platform == "win32"

from . import kernel
from . import structures as api
from .facts import KILLED_CODE


class JobObject:
    """Until ``outlives_us`` whatever is in it is killed with this process, however that ends."""

    def __init__(self, memory_bytes: int | None = None, processes: int | None = None) -> None:
        self._handle = kernel.create_job()
        kernel.limit(self._handle, api.limits(memory_bytes, processes, kill_on_close=True))

    def add(self, process: int) -> None:
        kernel.assign(self._handle, process)

    def outlives_us(self) -> None:
        kernel.limit(self._handle, api.limits(None, None, kill_on_close=False))

    @property
    def active(self) -> int:
        return int(kernel.accounting(self._handle).active)

    @property
    def pids(self) -> list[int]:
        return kernel.pids(self._handle)

    def kill(self) -> None:
        kernel.terminate_job(self._handle, KILLED_CODE)

    def close(self) -> None:
        _winapi.CloseHandle(self._handle)


def ends_with_client(*, refused: bool) -> bool:
    """Whether this process is still in a job of whoever started it that is killed with its last handle.

    ``refused``: the client's job did not let us leave it, so any job that we are in is taken for it.
    """
    if not kernel.in_job(_winapi.GetCurrentProcess()):
        return False
    return refused or bool(kernel.own_limits() & api.LIMIT_KILL_ON_JOB_CLOSE)
