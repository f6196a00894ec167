"""What was last seen of things that change without a call: a service under its keeper, a job, who works here."""

import sqlite3
from typing import Any

from mcp_e2e.store import events


def note(con: sqlite3.Connection, subject: str, state: str, kind: str, at: float, /, **body: Any) -> None:
    """Keep how ``subject`` was seen; an event of ``kind`` tells it to everybody when that is news."""
    changed = con.execute(
        "INSERT INTO observed (subject, state) VALUES (?1, ?2)"
        " ON CONFLICT (subject) DO UPDATE SET state = ?2 WHERE state <> ?2",
        (subject, state),
    )
    if changed.rowcount:
        events.record(con, kind, at, **body)


def under(con: sqlite3.Connection, prefix: str) -> set[str]:
    """Subjects with this prefix that are kept."""
    rows = con.execute("SELECT subject FROM observed WHERE substr(subject, 1, length(?1)) = ?1", (prefix,)).fetchall()
    return {row["subject"] for row in rows}


def forget(con: sqlite3.Connection, subject: str, kind: str, at: float, /, **body: Any) -> None:
    """It is over: an event tells so, once."""
    if con.execute("DELETE FROM observed WHERE subject = ?", (subject,)).rowcount:
        events.record(con, kind, at, **body)
