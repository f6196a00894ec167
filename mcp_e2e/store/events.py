"""The one table that all outside notices are read from."""

import json
import sqlite3
from typing import Any


def record(con: sqlite3.Connection, kind: str, at: float, run: str | None = None, **body: Any) -> None:
    con.execute("INSERT INTO events (at, kind, run, body) VALUES (?, ?, ?, ?)", (at, kind, run, json.dumps(body)))


def last(con: sqlite3.Connection) -> int:
    """The number of the newest event; 0 before the first."""
    (seq,) = con.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
    return int(seq)


def after(con: sqlite3.Connection, seq: int) -> list[dict[str, Any]]:
    """Events newer than number ``seq``, oldest first."""
    return _read(con.execute("SELECT seq, at, kind, run, body FROM events WHERE seq > ? ORDER BY seq", (seq,)))


def during(con: sqlite3.Connection, run: str) -> list[dict[str, Any]]:
    """Events of the run, and of what is no run's own since it began; oldest first."""
    return _read(
        con.execute(
            "SELECT seq, at, kind, run, body FROM events WHERE (run = ?1 OR run IS NULL)"
            " AND seq >= (SELECT min(seq) FROM events WHERE run = ?1) ORDER BY seq",
            (run,),
        )
    )


def latest(con: sqlite3.Connection, limit: int, run: str | None = None) -> list[dict[str, Any]]:
    """The newest events, oldest first."""
    rows = con.execute(
        "SELECT seq, at, kind, run, body FROM events WHERE ?1 IS NULL OR run = ?1 ORDER BY seq DESC LIMIT ?2",
        (run, limit),
    )
    return _read(rows)[::-1]


def runs_since(con: sqlite3.Connection, number: int) -> set[str]:
    """The runs that events after ``number`` belong to."""
    rows = con.execute("SELECT DISTINCT run FROM events WHERE seq > ? AND run IS NOT NULL", (number,)).fetchall()
    return {row["run"] for row in rows}


def _read(rows: sqlite3.Cursor) -> list[dict[str, Any]]:
    return [{**dict(row), "body": json.loads(row["body"])} for row in rows]
