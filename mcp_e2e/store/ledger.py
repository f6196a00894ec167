"""Every call ever judged: one row written with its ruling before it runs, completed with its outcome after."""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from mcp_e2e.decisions.history import WINDOW
from mcp_e2e.model.calls import Breaker, Call, PastCall, RefusedCall, Result, Ruling

LONGEST_ARGS = 8000
_PAST = (
    "id, at, tool, identity, ruling, rule, subject, world, outcome, ended_at, shown, fault, signature, seen, planned,"
    " free"
)


def write(
    con: sqlite3.Connection, call: Call, ruling: Ruling, breaker: Breaker, run: str | None, would: str | None = None
) -> int:
    """The new row's id."""
    stopped = {"refuse": "refused", "throttle": "throttled"}.get(ruling.kind)
    row = con.execute(
        "INSERT INTO ledger (at, tool, identity, args, caller, lease, door, ruling, rule, would, state, incident, run,"
        " subject, world, planned, free, joins, person, outcome, ended_at)"
        f" VALUES ({', '.join('?' * 21)})",
        (
            call.at,
            call.tool,
            call.identity,
            _kept(call.args),
            call.caller,
            call.lease,
            call.door,
            ruling.kind,
            ruling.rule,
            would,
            breaker.state.value,
            breaker.incident if ruling.kind == "refuse" else None,
            run,
            call.subject,
            call.world,
            call.planned,
            call.free,
            call.joins,
            call.person,
            stopped,
            call.at if stopped else None,
        ),
    )
    return int(row.lastrowid or 0)


def _kept(args: Mapping[str, Any]) -> str:
    """The arguments as JSON; of too many their beginning."""
    text = json.dumps(dict(args), default=str)
    return text if len(text) <= LONGEST_ARGS else json.dumps({"clipped": text[:LONGEST_ARGS]})


def complete(
    con: sqlite3.Connection, call_id: int, result: Result, at: float, cleared: int, facts: Mapping[str, Any]
) -> None:
    """Store what an open call told; ``seen`` counts equal results in the window, after call ``cleared``."""
    con.execute(
        "UPDATE ledger SET outcome = :outcome, ended_at = :at, shown = :shown, fault = :fault, signature = :signature,"
        " free = free OR :free, result = :result, seen = (SELECT count(*) FROM ledger AS other WHERE"
        " other.id > max(:cleared, ledger.id - :window) AND other.id <> ledger.id AND other.shown = :shown"
        " AND other.world = ledger.world) WHERE id = :id AND outcome IS NULL",
        {
            "id": call_id,
            "outcome": result.outcome,
            "at": at,
            "shown": result.shown if result.told else None,
            "fault": result.fault,
            "signature": result.signature,
            "free": result.free,
            "result": json.dumps(dict(facts), default=str),
            "cleared": cleared,
            "window": WINDOW,
        },
    )


def abandon(con: sqlite3.Connection, call_id: int, outcome: str, at: float) -> None:
    """End an open call that told nothing: the process that ran it died, or it was interrupted."""
    con.execute("UPDATE ledger SET outcome = ?, ended_at = ? WHERE id = ? AND outcome IS NULL", (outcome, at, call_id))


def window(con: sqlite3.Connection, after: int, open_ids: tuple[int, ...] = ()) -> list[PastCall]:
    """The latest ``WINDOW`` calls with an id over ``after``, oldest first, and before them those of ``open_ids``."""
    rows = con.execute(
        f"SELECT * FROM (SELECT {_PAST} FROM ledger WHERE id > ? ORDER BY id DESC LIMIT {WINDOW}) ORDER BY id", (after,)
    ).fetchall()
    marks = ", ".join("?" * len(open_ids))
    again = con.execute(f"SELECT {_PAST} FROM ledger WHERE id IN ({marks})", open_ids).fetchall() if open_ids else []
    return [_past(row) for row in (*again, *rows)]


def identity_of(con: sqlite3.Connection, call_id: int) -> str | None:
    row = con.execute("SELECT identity FROM ledger WHERE id = ?", (call_id,)).fetchone()
    return row["identity"] if row else None


def last_id(con: sqlite3.Connection) -> int:
    return int(con.execute("SELECT coalesce(max(id), 0) FROM ledger").fetchone()[0])


def of_incident(con: sqlite3.Connection, incident: str) -> list[RefusedCall]:
    """The calls refused in one incident, oldest first."""
    rows = con.execute("SELECT at, tool, caller, args FROM ledger WHERE incident = ? ORDER BY id", (incident,))
    return [RefusedCall(row["at"], row["tool"], row["caller"], json.loads(row["args"])) for row in rows]


def refusals(con: sqlite3.Connection, *, incident: str | None = None, run: str | None = None) -> int:
    """How many calls were refused, in one incident or during one run."""
    column, wanted = ("incident", incident) if incident is not None else ("run", run)
    refused = "" if incident is not None else " AND ruling = 'refuse'"  # no other call has an incident
    (count,) = con.execute(f"SELECT count(*) FROM ledger WHERE {column} = ?{refused}", (wanted,)).fetchone()
    return int(count)


def stopped(con: sqlite3.Connection, cleared: int, limit: int = 5) -> list[dict[str, Any]]:
    """The latest calls that a rule has refused since call ``cleared``, newest first."""
    rows = con.execute(
        "SELECT at, tool, subject, rule, caller FROM ledger WHERE id > ? AND ruling = 'refuse'"
        " ORDER BY id DESC LIMIT ?",
        (cleared, limit),
    ).fetchall()
    return [dict(row) for row in rows]


def reserved(con: sqlite3.Connection) -> dict[int, str]:
    """Calls without an outcome that no attempt will end: ledger id -> lease of the process that runs or ran them."""
    rows = con.execute(
        "SELECT id, lease FROM ledger WHERE outcome IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM attempts WHERE attempts.call = ledger.id AND state <> 'done')"
    ).fetchall()
    return {row["id"]: row["lease"] for row in rows}


def history(con: sqlite3.Connection) -> list[dict[str, Any]]:
    """The whole past as steps of a trace (CONTRACT 7), oldest first, a person's resets in between."""
    rows = con.execute("SELECT * FROM ledger ORDER BY id").fetchall()
    resets = [json.loads(row["body"])["cleared"] for row in con.execute("SELECT body FROM breaker ORDER BY seq")]
    events = [{"i": after, "ev": "human_reset", "project": "."} for after in sorted(set(resets) - {0})]
    return sorted([*map(_step, rows), *events], key=lambda step: (step["i"], "ev" in step))


def _step(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "i": row["id"],
        "t": row["at"],
        "session": row["caller"],
        "pid": row["lease"],
        "project": ".",
        "tree": row["world"],
        "tool": row["tool"],
        "args": json.loads(row["args"]),
        "outcome": row["outcome"],
        "result": json.loads(row["result"]) if row["result"] else None,
        "dur": (row["ended_at"] or row["at"]) - row["at"],
        "planned": bool(row["planned"]),
        "free": bool(row["free"]),
        "person": bool(row["person"]),
        "joins": bool(row["joins"]),
        "identity": row["identity"],
        "live": {"ruling": row["ruling"], "rule": row["rule"], "state": row["state"]},
    }


def same_world(con: sqlite3.Connection, world: str, means: str) -> None:
    """``world`` differs from ``means`` only by what a test wrote."""
    if world != means:
        con.execute("INSERT OR REPLACE INTO worlds (id, means) VALUES (?, ?)", (world, means))


def meaning(con: sqlite3.Connection, world: str) -> str:
    row = con.execute("SELECT means FROM worlds WHERE id = ?", (world,)).fetchone()
    return row["means"] if row else world


def _past(row: sqlite3.Row) -> PastCall:
    return PastCall(*row)  # its flags as 0 and 1, which is all that rules need
