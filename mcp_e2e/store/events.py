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


def last(con: sqlite3.Connection) -> int:
    """The number of the latest event; 0 before the first."""
    (number,) = con.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
    return int(number)


def runs_since(con: sqlite3.Connection, number: int) -> set[str]:
    """The runs that events after ``number`` belong to."""
    rows = con.execute("SELECT DISTINCT run FROM events WHERE seq > ? AND run IS NOT NULL", (number,)).fetchall()
    return {row["run"] for row in rows}
