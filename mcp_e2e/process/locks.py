"""Locks that the kernel frees at a process's death, and leases: files that say who is alive and why."""

import contextlib
import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import anyio

from mcp_e2e.errors import LockHeld
from mcp_e2e.process.keeping import locking

_PROBE_CLASHES = 20


class FileLock:
    """A lock file; the file stays, only the kernel's lock on it counts. Not reentrant, not inherited by children."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds it."""
        return self._fd is not None

    def try_acquire(self, holder: str | None = None) -> bool:
        """At once or not at all; ``holder`` replaces the text that others read. False too when we hold it already."""
        if self._fd is not None:
            return False
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        if not _take(fd):
            os.close(fd)
            return False
        self._fd = fd
        if holder is not None:
            self.describe(holder)
        return True

    async def acquire(self, deadline_s: float, holder: str | None = None) -> None:
        """Waits up to ``deadline_s`` seconds; raises LockHeld naming who has it."""
        end, pause = time.monotonic() + deadline_s, 0.005
        while not self.try_acquire(holder):
            if time.monotonic() >= end:
                who = self.holder()
                raise LockHeld(f"{self.path.name} is held by {who or 'another process'}", holder=who)
            await anyio.sleep(min(pause, max(0.0, end - time.monotonic())))
            pause = min(pause * 1.5, 0.1)

    @property
    def current(self) -> bool:
        """Whether the file we hold is still the one at the path, not one that somebody has removed since."""
        with contextlib.suppress(OSError):
            return self._fd is not None and os.path.samestat(os.fstat(self._fd), self.path.stat())
        return False

    def release(self) -> None:
        if self._fd is not None:
            locking.unlock(self._fd)
            os.close(self.detach())

    def detach(self) -> int:
        """Hands the locked file descriptor out: the lock lives as long as any process has it open."""
        if self._fd is None:
            raise LockHeld(f"{self.path.name} is not held here")
        fd, self._fd = self._fd, None
        return fd

    def describe(self, text: str) -> None:
        """Replaces the holder's text; only while held. A full disk costs the text, not the lock."""
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, 0)
                os.lseek(self._fd, 0, os.SEEK_SET)
                os.write(self._fd, text.encode())

    def holder(self) -> str:
        """The text of the last holder; stale when nobody holds it."""
        try:
            return self.path.read_text("utf-8", "replace").strip()
        except OSError:
            return ""

    @staticmethod
    def is_held(path: Path) -> bool:
        """Whether any process holds it now; a missing file is held by nobody."""
        try:
            # reading is enough, also where nothing may be written; Windows locks only what may be written
            fd = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
        except OSError:
            return False
        try:
            return not locking.shared(fd)
        finally:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _take(fd: int) -> bool:
    """A reader that only probes holds the lock for a moment; that must not look like an owner."""
    for attempt in range(_PROBE_CLASHES):
        if locking.exclusive(fd):
            return True
        if not locking.shared(fd):
            return False
        locking.unlock(fd)
        time.sleep(0.001 if attempt > 2 else 0)  # the reader may have lost its processor while it held the lock
    return False


@dataclass(frozen=True)
class LeaseInfo:
    """What a lease file says, and whether its owner lives."""

    id: str
    alive: bool
    description: Mapping[str, Any]


class Lease:
    """``Lease.take(folder, {...})``: others see us in ``leases(folder)`` until ``release`` or our death."""

    def __init__(self, lease_id: str, lock: FileLock, text: str = "") -> None:
        self.id = lease_id
        self._lock = lock
        self._text = text

    @classmethod
    def take(cls, folder: Path, description: Mapping[str, Any], *, lease_id: str | None = None) -> Self:
        """``lease_id``: a name of your own, else a new one. Raises LockHeld when that one is alive already."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = lease_id or f"{os.getpid()}-{secrets.token_hex(4)}"
        lock, text = FileLock(_path(folder, name)), json.dumps(dict(description))
        for _ in range(_PROBE_CLASHES):
            if lock.try_acquire(text):
                if lock.current:
                    return cls(name, lock, text)
                lock.release()
            time.sleep(0.001)  # a sweeper holds or has just removed the file
        raise LockHeld(f"lease {name} is held: {lock.holder() or 'another process'}")

    def keep(self) -> None:
        """Make the file anew where somebody has removed it: without it we look dead to others."""
        if self._text and not self._lock.current and self._lock.path.parent.is_dir():
            self._lock.release()
            self._lock.try_acquire(self._text)  # where that fails, the next time

    def release(self) -> None:
        self._text = ""
        if self._lock.held:
            _remove(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def is_alive(folder: Path, lease_id: str) -> bool:
    return FileLock.is_held(_path(folder, lease_id))


def leases(folder: Path, *, sweep: bool = True) -> list[LeaseInfo]:
    """All leases; a dead one is listed a last time and, with ``sweep``, its file removed."""
    return [_lease(path, sweep=sweep) for path in sorted(folder.glob("*.lease"))]


def _lease(path: Path, *, sweep: bool) -> LeaseInfo:
    description: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        description = json.loads(path.read_text("utf-8"))
    alive = FileLock.is_held(path)
    if sweep and not alive:
        _remove_dead(path)
    return LeaseInfo(path.stem, alive, description)


def _remove_dead(path: Path) -> None:
    """Under its lock, so that an owner who has just opened the file notices that it is gone."""
    lock = FileLock(path)
    if path.exists() and lock.try_acquire():
        if lock.current:
            _remove(lock)
        lock.release()


def _remove(lock: FileLock) -> None:
    """The file of a lock that is held; then it is free."""
    if sys.platform == "win32":  # no open file can be removed there: whoever has opened it meanwhile keeps it
        lock.release()
        with contextlib.suppress(PermissionError):
            lock.path.unlink(missing_ok=True)
    else:
        lock.path.unlink(missing_ok=True)
        lock.release()


def _path(folder: Path, lease_id: str) -> Path:
    return folder / f"{lease_id}.lease"
