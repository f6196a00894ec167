"""One transaction on one connection, and what SQLite's errors mean for whoever asked for it."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from mcp_e2e.errors import StoreError

T = TypeVar("T")
BUSY_S = 10.0
DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_FULL = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_TRUNCATE")


class Moved(sqlite3.DatabaseError):
    """Another file, or none, lies where ours lay: what was written to ours, nobody will read."""


def transact(
    connection: sqlite3.Connection,
    work: Callable[[sqlite3.Connection], T],
    begin: str = "BEGIN IMMEDIATE",
    check: Callable[[], None] = lambda: None,
) -> T:
    """``check`` is called when the transaction has begun, and once more after its commit; what it raises is raised."""
    connection.execute(begin)
    try:
        check()
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite itself rolls back when the disk is full
            connection.execute("ROLLBACK")
        raise
    check()
    return result


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is unsound, not the disk, the lock or the rights."""
    return _name(error).startswith(DAMAGE)


def may_pass(error: sqlite3.Error) -> bool:
    """Whether the same work may succeed on the file opened anew."""
    return isinstance(error, Moved) or is_damage(error) or _name(error).startswith("SQLITE_IOERR")


def explained(error: sqlite3.Error, path: Path) -> StoreError:
    name = _name(error)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError(
            f"{path} has been locked by another process for {BUSY_S:.0f} s",
            remedy="Call again; if it stays locked, status on the command line names who works here.",
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StoreError(f"{path} cannot be written: {error}")
    if name.startswith(_FULL):
        return StoreError(f"the disk with {path} is full", remedy="Free some space, then call again.")
    return StoreError(
        f"{path} cannot be used: {error}",
        remedy="Call again; if it stays so, move the file aside: a new one is made, runs in the old one are lost.",
    )


def _name(error: sqlite3.Error) -> str:
    return str(getattr(error, "sqlite_errorname", ""))
