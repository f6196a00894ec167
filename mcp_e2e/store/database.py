"""The one SQLite database of a project, shared by every server and command line that works there.

Laws:
- one piece of work is one transaction, begun IMMEDIATE: it is seen whole or not at all, by any process, and a
  cancelled caller neither cuts it in half nor leaves without its result (at most ``BUSY_S`` later);
- a database locked for longer than ``BUSY_S``, on a full disk or newer than this program is refused, never guessed at;
- a damaged one is set aside, a deleted or replaced one noticed at the next transaction, which is then made on the
  database that is in force.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import anyio

from mcp_e2e.store.opening import File, Founding, ReadsOnly, open_file
from mcp_e2e.store.transactions import explained, may_pass, transact

T = TypeVar("T")


class Database:
    """Opened by ``open_database``; ``run`` is its only door."""

    def __init__(self, file: File, founding: Founding, *, reads_only: ReadsOnly = False) -> None:
        self.path = file.path
        self._file = file
        self._founding = founding
        self._reads_only = reads_only
        self._renewing = anyio.Lock()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The result of ``work`` after its transaction is committed; rolled back when it raises.

        ``work`` runs in another thread and must not touch anything but the connection and its own values. Where the
        file was lost under the transaction it is called again, for the one that is in force then.

        Raises:
            StoreError: the database is locked, full, read-only or damaged beyond repair.
        """
        for last in (False, False, False, False, True):
            file = self._file
            try:
                return await self._transacted(file, work)
            except sqlite3.Error as error:
                if last or not (may_pass(error) or file.moved):
                    raise explained(error, self.path) from error
            await self._renew(file)
        raise AssertionError("the last try returns or raises")

    async def _transacted(self, file: File, work: Callable[[sqlite3.Connection], T]) -> T:
        # a caller cancelled after the commit would never hear of it: what it stored would belong to nobody
        with anyio.CancelScope(shield=True):
            begin = "BEGIN" if self._reads_only else "BEGIN IMMEDIATE"
            # aiosqlite's public calls are one statement each; a transaction must be one unit of its thread
            result: T = await file.connection._execute(transact, file.raw, work, begin, file.stay)  # type: ignore[no-untyped-call]  # noqa: SLF001
        return result

    async def _renew(self, lost: File) -> None:
        """Open what is in force now in place of ``lost``, once for all who found it lost."""
        with anyio.CancelScope(shield=True):
            async with self._renewing:
                if self._file is lost:
                    self._file = await open_file(self.path, self._founding, lost, reads_only=self._reads_only)
                    await lost.connection.close()

    async def close(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._file.connection.close()


@asynccontextmanager
async def open_database(path: Path, founding: Founding, *, reads_only: ReadsOnly = False) -> AsyncIterator[Database]:
    """The database at ``path``, made or migrated forward, closed at the end; ``reads_only``: as it is.

    Raises:
        StoreError: it cannot be opened, or was written by a newer mcp_e2e.
    """
    database = Database(await open_file(path, founding, reads_only=reads_only), founding, reads_only=reads_only)
    try:
        yield database
    finally:
        await database.close()
