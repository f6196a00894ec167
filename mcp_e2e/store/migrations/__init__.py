"""Forward-only migrations: ``NNNN_name.sql`` beside this file, applied in order, numbered by ``user_version``.

The caller holds the write lock before it looks (``BEGIN IMMEDIATE``), so any number of processes may start at once.
"""

import sqlite3
from collections.abc import Callable, Iterator
from importlib import resources

from mcp_e2e.errors import StoreError


def scripts() -> list[str]:
    folder = resources.files(__name__)
    files = [entry for entry in folder.iterdir() if entry.name.endswith(".sql")]
    return [entry.read_text("utf-8") for entry in sorted(files, key=lambda entry: entry.name)]


def migrate(connection: sqlite3.Connection, first: Callable[[sqlite3.Connection], None] = lambda _: None) -> None:
    """Bring the schema up to date inside the caller's transaction; ``first`` fills a database that is new.

    Raises:
        StoreError: the database is newer than this program.
    """
    known = scripts()
    (done,) = connection.execute("PRAGMA user_version").fetchone()
    if done > len(known):
        raise StoreError(
            f"the database has schema {done}, this mcp_e2e knows {len(known)}: a newer version wrote it",
            remedy="Upgrade mcp_e2e, or set another [project] state_dir.",
        )
    for script in known[done:]:
        for statement in statements(script):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(known)}")
    if not done:
        first(connection)


def number_on(connection: sqlite3.Connection, now: float) -> None:
    """Let calls and events of a new database count on from where none before has come: an old number means no row."""
    rows = [(table, int(now * 1000)) for table in ("ledger", "events")]
    connection.executemany("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", rows)


def statements(script: str) -> Iterator[str]:
    """The single statements of a script: ``executescript`` would commit the caller's transaction."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
