"""The one SQLite database of a project, shared by every server and command line that works there.

Laws:
- one piece of work is one transaction, begun IMMEDIATE: it is seen whole or not at all, by any process, and a
  cancelled caller neither cuts it in half nor leaves without its result (at most ``BUSY_S`` later);
- a database locked for longer than ``BUSY_S``, damaged, or newer than this program is refused, never guessed at.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import aiosqlite
import anyio

from mcp_e2e.errors import StoreError
from mcp_e2e.store.migrations import migrate

T = TypeVar("T")
BUSY_S = 10.0
WAL_RETRY_S = 0.02


class Database:
    """Opened by ``open_database``; ``run`` is its only door."""

    def __init__(self, connection: aiosqlite.Connection, path: Path, *, reads_only: bool = False) -> None:
        self._connection = connection
        self.path = path
        self._begin = "BEGIN" if reads_only else "BEGIN IMMEDIATE"

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The result of ``work`` after its transaction is committed; rolled back when it raises.

        ``work`` runs in another thread and must not touch anything but the connection and its own values.

        Raises:
            StoreError: the database is locked, full, read-only or damaged.
        """
        try:
            # a caller cancelled after the commit would never hear of it: what it stored would belong to nobody
            with anyio.CancelScope(shield=True):
                # aiosqlite's public calls are one statement each; a transaction must be one unit of its thread
                result: T = await self._connection._execute(transact, self._raw, work, self._begin)  # type: ignore[no-untyped-call]  # noqa: SLF001
        except sqlite3.Error as error:
            raise _explained(error, self.path) from error
        return result

    @property
    def _raw(self) -> sqlite3.Connection:
        return self._connection._conn  # noqa: SLF001


def transact(
    connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T], begin: str = "BEGIN IMMEDIATE"
) -> T:
    connection.execute(begin)
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite itself rolls back when the disk is full
            connection.execute("ROLLBACK")
        raise
    return result


@asynccontextmanager
async def open_database(path: Path, *, reads_only: bool = False) -> AsyncIterator[Database]:
    """The database at ``path``, created or migrated forward, closed at the end; ``reads_only``: as it is.

    Raises:
        StoreError: it cannot be opened, or was written by a newer mcp_e2e.
    """
    try:
        where = f"{path.as_uri()}?mode={'ro' if reads_only else 'rwc'}"
        connection = await aiosqlite.connect(where, uri=True, isolation_level=None, timeout=BUSY_S)
    except sqlite3.Error as error:
        raise _explained(error, path) from error
    database = Database(connection, path, reads_only=reads_only)
    try:
        if reads_only:
            connection.row_factory = sqlite3.Row
        else:
            await _prepare(database)
        yield database
    finally:
        with anyio.CancelScope(shield=True):
            await connection.close()


async def _prepare(database: Database) -> None:
    connection = database._connection  # noqa: SLF001
    try:
        await connection.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}")
        await _into_wal(connection)
        await connection.execute("PRAGMA synchronous = NORMAL")
        await connection.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error as error:
        raise _explained(error, database.path) from error
    connection.row_factory = sqlite3.Row
    await database.run(migrate)


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


def _explained(error: sqlite3.Error, path: Path) -> StoreError:
    text = str(error)
    if "locked" in text or "busy" in text:
        return StoreError(
            f"{path} has been locked by another process for {BUSY_S:.0f} s",
            remedy="Call again; if it stays locked, status on the command line names who works here.",
        )
    if "readonly" in text or "unable to open" in text:
        return StoreError(f"{path} cannot be written: {text}")
    if "full" in text:
        return StoreError(f"the disk with {path} is full", remedy="Free some space, then call again.")
    return StoreError(
        f"{path} cannot be used: {text}", remedy="Move the file aside to start anew; runs in it are lost."
    )
