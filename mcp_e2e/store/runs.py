"""Runs, their slots and checkpoints. A run is always read whole: slots, attempts, checkpoints."""

import sqlite3

from mcp_e2e.decisions import traces
from mcp_e2e.model.runs import Checkpoint, Run, RunMode, RunState, Slot, Verdict
from mcp_e2e.model.traces import TraceContext
from mcp_e2e.store import attempts, events


def create(
    con: sqlite3.Connection,
    run_id: str,
    tests: list[str],
    mode: RunMode,
    by: str,
    at: float,
    caller: TraceContext | None = None,
) -> None:
    """``caller``: the span that it is planned under."""
    trace = f"{traces.traceparent(caller)} {caller.state}" if caller else None
    con.execute(
        "INSERT INTO runs (id, state, mode, created_at, by, trace) VALUES (?, 'active', ?, ?, ?, ?)",
        (run_id, mode, at, by, trace),
    )
    con.executemany(
        "INSERT INTO slots (run, n, test) VALUES (?, ?, ?)", [(run_id, n, test) for n, test in enumerate(tests, 1)]
    )
    events.record(con, "run.started", at, run_id, total=len(tests), mode=mode, by=by)


def active(con: sqlite3.Connection) -> Run | None:
    row = con.execute("SELECT * FROM runs WHERE state = 'active'").fetchone()
    return _run(con, row) if row else None


def active_id(con: sqlite3.Connection) -> str | None:
    row = con.execute("SELECT id FROM runs WHERE state = 'active'").fetchone()
    return row["id"] if row else None


def get(con: sqlite3.Connection, run_id: str) -> Run | None:
    row = con.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
    return _run(con, row) if row else None


def latest(con: sqlite3.Connection, limit: int) -> list[Run]:
    """The newest runs, newest first."""
    rows = con.execute("SELECT * FROM runs ORDER BY created_at DESC, id DESC LIMIT ?", (limit,)).fetchall()
    return [_run(con, row) for row in rows]


def end(con: sqlite3.Connection, run_id: str, state: RunState, at: float, reason: str | None = None) -> None:
    """End an active run; an ended one stays as it is."""
    done = con.execute(
        "UPDATE runs SET state = ?, ended_at = ?, reason = ? WHERE id = ? AND state = 'active'",
        (state, at, reason, run_id),
    )
    if done.rowcount:
        events.record(con, f"run.{state}", at, run_id, reason=reason)


def add_checkpoint(con: sqlite3.Connection, point: Checkpoint) -> None:
    con.execute(
        "INSERT INTO checkpoints (run, slot, result, verdict, note, at, by) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (point.run, point.slot, point.result, point.verdict, point.note, point.at, point.by),
    )
    events.record(con, "checkpoint", point.at, point.run, slot=point.slot, result=point.result)


def last_checkpoint(con: sqlite3.Connection, run_id: str | None = None) -> Checkpoint | None:
    row = con.execute(
        "SELECT * FROM checkpoints WHERE ?1 IS NULL OR run = ?1 ORDER BY rowid DESC LIMIT 1", (run_id,)
    ).fetchone()
    return _checkpoint(row) if row else None


def _run(con: sqlite3.Connection, row: sqlite3.Row) -> Run:
    tried = attempts.of_run(con, row["id"])
    points = {
        point["slot"]: _checkpoint(point)
        for point in con.execute("SELECT * FROM checkpoints WHERE run = ?", (row["id"],))
    }
    slots = con.execute("SELECT n, test FROM slots WHERE run = ? ORDER BY n", (row["id"],)).fetchall()
    return Run(
        id=row["id"],
        state=row["state"],
        mode=row["mode"],
        created_at=row["created_at"],
        by=row["by"],
        ended_at=row["ended_at"],
        reason=row["reason"],
        caller=traces.parse(*row["trace"].split(" ", 1)) if row["trace"] else None,
        slots=tuple(
            Slot(slot["n"], slot["test"], tuple(tried.get(slot["n"], ())), points.get(slot["n"])) for slot in slots
        ),
    )


def _checkpoint(row: sqlite3.Row) -> Checkpoint:
    return Checkpoint(
        run=row["run"],
        slot=row["slot"],
        result=row["result"],
        verdict=Verdict(row["verdict"]) if row["verdict"] else None,
        note=row["note"],
        at=row["at"],
        by=row["by"],
    )
