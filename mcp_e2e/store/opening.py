"""Opening the database's file: sound, made anew where it is gone or damaged, and never two different ones in use.

A damaged file is neither repaired nor deleted: with its journals it is set aside in a folder of its own beside it.
Whoever still has the old file open notices before and after each of its transactions (``File.stay``).
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import aiosqlite
import anyio
import anyio.to_thread

from mcp_e2e.errors import StoreError
from mcp_e2e.store.migrations import migrate
from mcp_e2e.store.transactions import BUSY_S, DAMAGE, Moved, explained, is_damage, transact

WAL_RETRY_S = 0.02
_PARTS = ("", "-wal", "-shm")  # the file itself first: nobody takes up journals without it
_NOTHING = (0, 0)
_SMALLEST = 512  # bytes of a database that is one: in less there is not even its first page


@dataclass(frozen=True)
class Founding:
    """How a database is made: ``alone`` lets one process at a time do it, ``first`` writes the first rows."""

    alone: Callable[[], AbstractAsyncContextManager[None]]
    first: Callable[[sqlite3.Connection], None]


@dataclass(frozen=True)
class File:
    """One open file, and what tells it and its index (``-shm``) from others at the same paths."""

    path: Path
    connection: aiosqlite.Connection
    mark: tuple[int, int]
    index: tuple[int, int] = (0, 0)

    @property
    def raw(self) -> sqlite3.Connection:
        return self.connection._conn  # noqa: SLF001

    def stay(self) -> None:
        """Raises Moved when the paths do not lead to this file and its index any more."""
        if self.moved or self.index not in (_NOTHING, _seen(_index(self.path))[0]):
            raise Moved("another file lies in its place, again and again")

    @property
    def moved(self) -> bool:
        return _seen(self.path)[0] != self.mark

    @property
    def left_behind(self) -> bool:
        """Whether another file lies here with our journals beside it: they are not its own, and must not be read."""
        return self.moved and self.index == _seen(_index(self.path))[0] != _NOTHING


ReadsOnly = bool | Literal["once"]
"""``once``: for one look, which leaves no file behind; what others write later may not be seen."""


def looking(path: Path, *, once: bool) -> str:
    """The mode to look in. Without a journal nobody has it open, and a plain look would leave an empty one behind."""
    return "ro&immutable=1" if once and not path.with_name(f"{path.name}-wal").exists() else "ro"


async def open_file(path: Path, founding: Founding, lost: File | None = None, *, reads_only: ReadsOnly = False) -> File:
    """The sound database at ``path``, its schema up to date; ``reads_only``: as it is, and never made.

    ``lost``: what we had open there until now.

    Raises:
        StoreError: it cannot be opened or made, or was written by a newer mcp_e2e.
    """
    try:
        if reads_only:
            return await _connected(path, looking(path, once=reads_only == "once"))
        with contextlib.suppress(Moved):
            if not (lost and lost.left_behind) and (found := await _sound(path, "rw", founding)):
                return found
        async with founding.alone():
            if lost and lost.left_behind:
                _set_aside(path, _PARTS[1:])
            if found := await _sound(path, "rw", founding):
                return found  # somebody else was quicker
            await anyio.to_thread.run_sync(_set_all_aside, path)
            if made := await _sound(path, "rwc", founding):
                return made
    except sqlite3.Error as error:
        raise explained(error, path) from error
    except OSError as error:
        raise StoreError(f"{path} cannot be set aside or made: {error.strerror}") from error
    raise StoreError(
        f"{path} is damaged as soon as it is made", remedy="Look after the disk, or set another state_dir."
    )


async def _sound(path: Path, mode: str, founding: Founding) -> File | None:
    """None when the file is missing, empty or damaged."""
    if mode == "rw" and _seen(path)[1] < _SMALLEST:
        return None
    file = await _connected(path, mode)
    try:
        await _prepare(file.connection)
        await file.connection._execute(_verify, file, founding)  # type: ignore[no-untyped-call]  # noqa: SLF001
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            await file.connection.close()
        if not isinstance(error, sqlite3.Error) or isinstance(error, Moved):
            raise
        if is_damage(error):
            return None
        if mode == "rw" and file.moved:  # under our hands: whatever went wrong, went wrong by that
            raise Moved(str(error)) from error
        raise
    return replace(file, index=_seen(_index(path))[0])


def _verify(file: File, founding: Founding) -> None:
    """A new database gets its tables and its first rows in one transaction: nobody sees it without them."""
    told = file.raw.execute("PRAGMA quick_check(1)").fetchone()[0]
    if told != "ok":
        damage = sqlite3.DatabaseError(told)
        damage.sqlite_errorname = DAMAGE[0]
        raise damage
    transact(file.raw, lambda con: migrate(con, founding.first), check=file.stay)


async def _connected(path: Path, mode: str) -> File:
    mark, _ = _seen(path)  # before: whatever is put there meanwhile is seen to be another file
    try:
        where = f"{path.as_uri()}?mode={mode}"
        with anyio.CancelScope(shield=True):  # a thread of its own: left half open, it would outlive the loop
            connection = await aiosqlite.connect(where, uri=True, isolation_level=None, timeout=BUSY_S)
    except sqlite3.OperationalError:
        if mode == "rw" and not path.exists():
            raise Moved("it is taken away again and again") from None
        raise
    connection.row_factory = sqlite3.Row
    return File(path, connection, mark if mode != "rwc" else _seen(path)[0])


def _seen(path: Path) -> tuple[tuple[int, int], int]:
    """What tells the file from others, and its size; zeros where there is none."""
    try:
        found = path.stat()
    except OSError:
        return _NOTHING, 0
    return (found.st_dev, found.st_ino), found.st_size


def _index(path: Path) -> Path:
    return path.with_name(path.name + "-shm")


def _set_aside(path: Path, parts: Sequence[str]) -> None:
    left = [part for part in (path.with_name(path.name + end) for end in parts) if part.exists()]
    if left:
        folder = path.with_name(f"damaged-{time.strftime('%Y%m%dT%H%M%S')}-{time.time_ns() % 10**6:06}")
        folder.mkdir(mode=0o700)
        for part in left:
            os.replace(part, folder / part.name)  # noqa: PTH105  over an existing file on every system


def _set_all_aside(path: Path) -> None:
    """What is left of the database, while no other process is in the middle of a transaction on it."""
    with _no_writer(path):
        _set_aside(path, _PARTS)


@contextlib.contextmanager
def _no_writer(path: Path) -> Iterator[None]:
    """Who writes has ended before, and who wants to write finds the file gone. One too damaged for it has no writer."""
    if _seen(path)[1] < _SMALLEST:
        yield
        return
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)
    try:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
        yield
    finally:
        connection.close()


async def _prepare(connection: aiosqlite.Connection) -> None:
    await connection.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}")
    await _into_wal(connection)
    await connection.execute("PRAGMA synchronous = NORMAL")
    await connection.execute("PRAGMA foreign_keys = ON")


async def _into_wal(connection: aiosqlite.Connection) -> None:
    """Several processes may open a new file at once, and for this one step SQLite does not wait by itself."""
    give_up = anyio.current_time() + BUSY_S
    while True:
        try:
            await connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or anyio.current_time() > give_up:
                raise
            await anyio.sleep(WAL_RETRY_S)
