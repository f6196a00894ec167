"""Every call ever judged: one row written with its ruling before it runs, completed with its outcome after."""

import json
import sqlite3

from mcp_e2e.model.calls import Breaker, Call, PastCall, Ruling


def write(con: sqlite3.Connection, call: Call, ruling: Ruling, breaker: Breaker, run: str | None) -> int:
    """The new row's id."""
    refused = ruling.kind == "refuse"
    row = con.execute(
        "INSERT INTO ledger (at, tool, identity, args, caller, lease, door, ruling, rule, state, incident, run,"
        " outcome, ended_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            call.at,
            call.tool,
            call.identity,
            json.dumps(dict(call.args), default=str),
            call.caller,
            call.lease,
            call.door,
            ruling.kind,
            ruling.rule,
            breaker.state.value,
            breaker.incident if refused else None,
            run,
            "refused" if refused else None,
            call.at if refused else None,
        ),
    )
    return int(row.lastrowid or 0)


def complete(con: sqlite3.Connection, call_id: int, outcome: str, at: float) -> None:
    con.execute("UPDATE ledger SET outcome = ?, ended_at = ? WHERE id = ? AND outcome IS NULL", (outcome, at, call_id))


def window(con: sqlite3.Connection, limit: int) -> tuple[PastCall, ...]:
    """The latest calls, oldest first."""
    rows = con.execute("SELECT * FROM ledger ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
    return tuple(_past(row) for row in reversed(rows))


def of_incident(con: sqlite3.Connection, incident: str) -> tuple[PastCall, ...]:
    """The calls refused in one incident, oldest first."""
    rows = con.execute("SELECT * FROM ledger WHERE incident = ? ORDER BY id", (incident,)).fetchall()
    return tuple(_past(row) for row in rows)


def refusals(con: sqlite3.Connection, *, incident: str | None = None, run: str | None = None) -> int:
    """How many calls were refused, in one incident or during one run."""
    (count,) = con.execute(
        "SELECT count(*) FROM ledger WHERE ruling = 'refuse'"
        " AND (?1 IS NULL OR incident = ?1) AND (?2 IS NULL OR run = ?2)",
        (incident, run),
    ).fetchone()
    return int(count)


def reserved(con: sqlite3.Connection) -> dict[int, str]:
    """Calls without an outcome: ledger id -> lease of the process that runs or ran them."""
    rows = con.execute("SELECT id, lease FROM ledger WHERE outcome IS NULL").fetchall()
    return {row["id"]: row["lease"] for row in rows}


def _past(row: sqlite3.Row) -> PastCall:
    return PastCall(
        id=row["id"],
        at=row["at"],
        tool=row["tool"],
        identity=row["identity"],
        caller=row["caller"],
        ruling=row["ruling"],
        rule=row["rule"],
        outcome=row["outcome"],
        incident=row["incident"],
        args=json.loads(row["args"]),
    )
