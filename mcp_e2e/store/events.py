"""The one table that all outside notices are read from."""

import json
import sqlite3
from typing import Any


def record(con: sqlite3.Connection, kind: str, at: float, run: str | None = None, **body: Any) -> None:
    con.execute("INSERT INTO events (at, kind, run, body) VALUES (?, ?, ?, ?)", (at, kind, run, json.dumps(body)))


def latest(con: sqlite3.Connection, limit: int, run: str | None = None) -> list[dict[str, Any]]:
    """The newest events, oldest first."""
    rows = con.execute(
        "SELECT seq, at, kind, run, body FROM events WHERE ?1 IS NULL OR run = ?1 ORDER BY seq DESC LIMIT ?2",
        (run, limit),
    ).fetchall()
    return [{**dict(row), "body": json.loads(row["body"])} for row in reversed(rows)]
