"""The breaker's one row; read and changed inside the transaction of the fact that changes it."""

import json
import sqlite3
from dataclasses import asdict

from mcp_e2e.model.calls import Breaker, BreakerState, Red
from mcp_e2e.store import events


def load(con: sqlite3.Connection) -> Breaker:
    row = con.execute("SELECT * FROM breaker WHERE id = 1").fetchone()
    return Breaker(
        state=BreakerState(row["state"]),
        generation=row["generation"],
        limit=row["red_limit"],
        reds=tuple(Red(**red) for red in json.loads(row["reds"])),
        incident=row["incident"],
        opened_at=row["opened_at"],
        opened_by=row["opened_by"],
        probe_call=row["probe_call"],
        probe_lease=row["probe_lease"],
        probe_attempt=row["probe_attempt"],
    )


def save(con: sqlite3.Connection, before: Breaker, after: Breaker, at: float) -> None:
    """Store ``after``; a changed state is an event."""
    if after == before:
        return
    con.execute(
        "UPDATE breaker SET state = ?, generation = ?, red_limit = ?, reds = ?, incident = ?, opened_at = ?,"
        " opened_by = ?, probe_call = ?, probe_lease = ?, probe_attempt = ? WHERE id = 1",
        (
            after.state.value,
            after.generation,
            after.limit,
            json.dumps([asdict(red) for red in after.reds]),
            after.incident,
            after.opened_at,
            after.opened_by,
            after.probe_call,
            after.probe_lease,
            after.probe_attempt,
        ),
    )
    if after.state is not before.state:
        events.record(con, f"breaker.{after.state.value}", at, incident=after.incident, generation=after.generation)
