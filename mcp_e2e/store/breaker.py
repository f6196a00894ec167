"""The breaker: an append-only log of its states, sealed as a chain; the last one is in force.

Read and written inside the transaction of the fact that changes it. A row that was changed, taken away or put in past
this program breaks the chain: the breaker is then open, because nobody knows what it was. The chain shows tampering;
it cannot prevent it by a program with the user's own rights.
"""

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from mcp_e2e.model.calls import Breaker, BreakerState, Limits, Red
from mcp_e2e.store import events

_WRITTEN = "(SELECT seq FROM sqlite_sequence WHERE name = 'breaker')"
NOBODY = "{}"
TAMPERED = "its record was changed by another program than mcp_e2e"
LOST = "its record was lost with the database; a damaged one is kept in private/damaged-…"


def load(con: sqlite3.Connection) -> Breaker:
    rows = con.execute(f"SELECT *, {_WRITTEN} AS written FROM breaker ORDER BY seq DESC LIMIT 2").fetchall()
    if not rows:
        return _tampered(Breaker()) if con.execute(f"SELECT {_WRITTEN}").fetchone()[0] else Breaker()
    before = rows[1] if len(rows) > 1 else None
    whole = rows[0]["written"] == rows[0]["seq"]
    follows = rows[0]["seq"] == (before["seq"] + 1 if before else 1)
    whole = whole and (follows or rows[0]["actor"] != NOBODY)  # whoever looked after a break has begun anew
    if not whole or rows[0]["seal"] != _seal(rows[0], before["seal"] if before else ""):
        return _tampered(_breaker(rows[0]))
    return _breaker(rows[0])


def save(
    con: sqlite3.Connection, before: Breaker, after: Breaker, at: float, actor: Mapping[str, Any] | None = None
) -> None:
    """Store ``after``; a changed state is an event. ``actor``: who did it, where that was a person."""
    if after == before:
        return
    last = con.execute("SELECT seal FROM breaker ORDER BY seq DESC LIMIT 1").fetchone()
    row = {
        "at": at,
        "state": after.state.value,
        "body": json.dumps(asdict(after)),
        "actor": json.dumps(dict(actor or {}), default=str),
    }
    con.execute(
        "INSERT INTO breaker (at, state, body, actor, seal) VALUES (:at, :state, :body, :actor, :seal)",
        row | {"seal": _seal(row, last["seal"] if last else "")},
    )
    if after.state is not before.state:
        events.record(con, f"breaker.{after.state.value}", at, incident=after.incident, generation=after.generation)


def log(con: sqlite3.Connection, limit: int = 50) -> tuple[list[dict[str, Any]], bool]:
    """The latest states, newest first, and whether the whole chain holds."""
    rows = con.execute("SELECT * FROM breaker ORDER BY seq").fetchall()
    seal, holds = "", True
    for at, row in enumerate(rows):
        holds = holds and row["seq"] == at + 1 and row["seal"] == _seal(row, seal)
        seal = row["seal"]
    shown = [
        {"at": row["at"], "state": row["state"], "incident": _breaker(row).incident, "actor": json.loads(row["actor"])}
        for row in rows[-limit:]
    ]
    return shown[::-1], holds


def _seal(row: Mapping[str, Any] | sqlite3.Row, before: str) -> str:
    told = json.dumps([before, row["at"], row["state"], row["body"], row["actor"]])
    return hashlib.sha256(told.encode()).hexdigest()


def _breaker(row: sqlite3.Row) -> Breaker:
    body = json.loads(row["body"])
    limits = body.pop("limits")
    return Breaker(
        **body
        | {
            "state": BreakerState(body["state"]),
            "reds": tuple(Red(**red) for red in body["reds"]),
            "evidence": tuple(body["evidence"]),
            "limits": Limits(**limits) if limits else None,
        }
    )


def _tampered(found: Breaker) -> Breaker:
    return replace(
        found,
        state=BreakerState.OPEN,
        incident=found.incident or "i-tampered",
        opened_by=found.opened_by or "R1",
        evidence=(*found.evidence, TAMPERED),
        limits=found.limits or Limits(),
        probe_call=None,
        probe_lease=None,
        probe_attempt=None,
    )
