"""Names for whoever types one, read past everything else: quickly, and without making or waiting for anything."""

import sqlite3
from contextlib import closing
from pathlib import Path


def latest_runs(database: Path, limit: int) -> list[str]:
    """Ids of the newest runs, newest first. Raises sqlite3.Error where that cannot be read at once."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=0.1)) as con:
        rows = con.execute("SELECT id FROM runs ORDER BY created_at DESC, id DESC LIMIT ?", (limit,)).fetchall()
    return [run_id for (run_id,) in rows]
