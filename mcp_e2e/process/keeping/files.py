"""The job's files as the keeper writes them; the working directory is the job's folder."""

# ruff: noqa: PTH105, PTH123

from __future__ import annotations

import errno
import os
import sys
import time

from .quiet import TYPE_CHECKING, dumps, loads, quietly

if TYPE_CHECKING:
    from typing import Any

UNSEEN_SPEC = "spec.new"  # on Windows until the job's keeper has its lock
BUSY_S = 5.0  # how long a reader may have a file open on Windows before it counts as unwritable
RECORD_BYTES = 128 * 1024  # two streams of 8 KiB, each byte escaped to six, and the rest
_FULL = (errno.ENOSPC, errno.EDQUOT)


def put(name: str, value: object) -> None:
    """Whole or not at all; raises OSError (a full disk, a deleted folder)."""
    with open(name + ".tmp", "w", encoding="ascii") as file:
        file.write(dumps(value))
    replace(name + ".tmp", name)


if sys.platform == "win32":

    def replace(source: str, target: str) -> None:
        """A file that anybody reads at this moment cannot be replaced there: again, until he has done so."""
        end = time.monotonic() + BUSY_S
        while True:
            try:
                return os.replace(source, target)
            except PermissionError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.005)

else:
    replace = os.replace


def read(name: str) -> Any:
    with open(name, encoding="utf-8") as file:
        return loads(file.read())


def wanted_down() -> bool:
    try:
        with open("want", encoding="ascii") as file:
            return file.read().strip() == "down"
    except OSError:
        return False


def note(text: str) -> None:
    """One line in keeper.err; a full disk must not end the keeper."""
    with quietly(OSError):
        os.write(2, f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}\n".encode(errors="replace"))


def reserve_record() -> None:
    """Takes the disk space of the exit record now, so that a disk filled later cannot lose it."""
    fd = os.open("exit.pre", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        if sys.platform == "linux":
            os.posix_fallocate(fd, 0, RECORD_BYTES)
        else:
            os.write(fd, b" " * RECORD_BYTES)
    except OSError as error:
        note(f"no space reserved for the exit record: {error}")
    finally:
        os.close(fd)


def record_exit(value: object, *, patience_s: float = 60.0) -> None:
    """Puts ``exit.json`` in place; on a full disk tries for ``patience_s`` while the lock is still held."""
    data, end = dumps(value).encode("ascii"), time.monotonic() + patience_s
    while True:
        try:
            return _write_record(data)
        except OSError as error:
            note(f"exit record: {error}")
            if error.errno not in _FULL or time.monotonic() > end:
                return None
        time.sleep(0.5)


def _write_record(data: bytes) -> None:
    fd = os.open("exit.pre", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        os.ftruncate(fd, len(data))
    finally:
        os.close(fd)
    replace("exit.pre", "exit.json")
