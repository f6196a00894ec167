"""Tests that could not even start: the attempt is taken back, its reason is kept until somebody has heard it."""

import json
import sqlite3

from mcp_e2e.errors import E2EError
from mcp_e2e.store import events


def take_back(con: sqlite3.Connection, attempt: str, error: E2EError, at: float) -> bool:
    """Remove an open attempt and keep ``error`` for whoever asks; False when it has ended meanwhile."""
    row = con.execute(
        "DELETE FROM attempts WHERE id = ? AND state <> 'done' RETURNING run, work", (attempt,)
    ).fetchone()
    if row is None:
        return False
    con.execute(
        "INSERT INTO setbacks (attempt, run, work, at, code, message, advice, facts) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            attempt,
            row["run"],
            row["work"],
            at,
            error.code,
            error.message,
            error.advice,
            json.dumps(error.facts, default=str),
        ),
    )
    events.record(con, "attempt.taken_back", at, row["run"], attempt=attempt, code=error.code)
    return True


def of_attempt(con: sqlite3.Connection, attempt: str, at: float) -> E2EError | None:
    """Why the attempt was taken back; told from now on."""
    con.execute("UPDATE setbacks SET heard_at = coalesce(heard_at, ?) WHERE attempt = ?", (at, attempt))
    row = con.execute("SELECT * FROM setbacks WHERE attempt = ?", (attempt,)).fetchone()
    return _error(row) if row else None


def unheard(con: sqlite3.Connection, run: str, work: str, at: float) -> E2EError | None:
    """Why this work could not start the last time in a run, if no reply has told it; told from now on."""
    row = con.execute(
        "SELECT * FROM setbacks WHERE run = ? AND work = ? AND heard_at IS NULL ORDER BY rowid DESC", (run, work)
    ).fetchone()
    con.execute("UPDATE setbacks SET heard_at = ? WHERE run = ? AND work = ? AND heard_at IS NULL", (at, run, work))
    return _error(row) if row else None


def _error(row: sqlite3.Row) -> E2EError:
    return E2EError.restored(row["code"], row["message"], row["advice"], json.loads(row["facts"]))
