"""Attempts that have ended, without their evidence: enough of them for a look back, quickly."""

import json
import sqlite3

from mcp_e2e.model.runs import Failure, Verdict
from mcp_e2e.model.track_record import PastAttempt


def lately(con: sqlite3.Connection, *, last: int, since: float = 0.0, test: str | None = None) -> list[PastAttempt]:
    """The ``last`` attempts of each test (or of ``test``) that ended at ``since`` or later, oldest first."""
    rows = con.execute(
        "SELECT * FROM (SELECT rowid AS seq, id, run, slot, n, test, verdict, by, generation, started_at, ended_at,"
        " failure, row_number() OVER (PARTITION BY test ORDER BY rowid DESC) AS place FROM attempts"
        " WHERE state = 'done' AND ended_at >= ?1 AND (?2 IS NULL OR test = ?2)) WHERE place <= ?3 ORDER BY seq",
        (since, test, last),
    ).fetchall()
    return [_attempt(row) for row in rows]


def _attempt(row: sqlite3.Row) -> PastAttempt:
    started = row["started_at"]
    return PastAttempt(
        id=row["id"],
        run=row["run"],
        slot=row["slot"],
        n=row["n"],
        test=row["test"],
        verdict=Verdict(row["verdict"]),
        at=row["ended_at"],
        by=row["by"],
        duration_s=round(row["ended_at"] - started, 3) if started is not None else None,
        generation=row["generation"],
        failure=Failure(**json.loads(row["failure"])) if row["failure"] else None,
    )
