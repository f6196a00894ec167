"""Names for whoever types one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def reading(database: Path) -> Iterator[sqlite3.Connection]:
    """Past everything else: quickly, and without making or waiting for anything. Raises sqlite3.Error."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=0.1)) as con:
        yield con


def latest_runs(con: sqlite3.Connection, limit: int) -> list[str]:
    """Ids of the newest runs, newest first."""
    rows = con.execute("SELECT id FROM runs ORDER BY created_at DESC, id DESC LIMIT ?", (limit,)).fetchall()
    return [run_id for (run_id,) in rows]


def latest_attempts(con: sqlite3.Connection, limit: int) -> list[str]:
    """Ids of the newest attempts, newest first."""
    rows = con.execute("SELECT id FROM attempts ORDER BY rowid DESC LIMIT ?", (limit,)).fetchall()
    return [attempt_id for (attempt_id,) in rows]
