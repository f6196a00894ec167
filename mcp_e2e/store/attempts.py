"""Attempts: the row is written before the work starts; a verdict is written once."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mcp_e2e.decisions.verdict import Judgement
from mcp_e2e.model.runs import Attempt, AttemptState, Failure, Verdict
from mcp_e2e.store import events


def add(con: sqlite3.Connection, attempt: Attempt) -> None:
    con.execute(
        "INSERT INTO attempts (id, run, slot, n, test, work, params, service, timeout_s, lease, by, state, created_at,"
        " job, prompt_id, call, world) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            attempt.id,
            attempt.run,
            attempt.slot,
            attempt.n,
            attempt.test,
            attempt.work,
            json.dumps(dict(attempt.params)),
            attempt.service,
            attempt.timeout_s,
            attempt.lease,
            attempt.by,
            attempt.state.value,
            attempt.created_at,
            attempt.job,
            attempt.prompt_id,
            attempt.call,
            attempt.world,
        ),
    )
    events.record(con, "attempt.created", attempt.created_at, attempt.run, attempt=attempt.id, test=attempt.test)


def get(con: sqlite3.Connection, attempt_id: str) -> Attempt | None:
    row = con.execute("SELECT * FROM attempts WHERE id = ?", (attempt_id,)).fetchone()
    return _attempt(row) if row else None


def standing(con: sqlite3.Connection, attempt_id: str) -> Attempt | None:
    """The attempt, or the one that was made again because it was lost."""
    attempt = get(con, attempt_id)
    if attempt is None or attempt.verdict is not Verdict.LOST:
        return attempt
    row = con.execute(
        "SELECT * FROM attempts WHERE run = ? AND slot = ? AND n = ?", (attempt.run, attempt.slot, attempt.n + 1)
    ).fetchone()
    return _attempt(row) if row else attempt


def of_run(con: sqlite3.Connection, run_id: str) -> dict[int, list[Attempt]]:
    """Attempts by slot, in the order they were made."""
    by_slot: dict[int, list[Attempt]] = {}
    for row in con.execute("SELECT * FROM attempts WHERE run = ? ORDER BY slot, n", (run_id,)):
        by_slot.setdefault(row["slot"], []).append(_attempt(row))
    return by_slot


def unfinished(con: sqlite3.Connection) -> list[Attempt]:
    """Open attempts, oldest first."""
    rows = con.execute("SELECT * FROM attempts WHERE state <> 'done' ORDER BY rowid").fetchall()
    return [_attempt(row) for row in rows]


def any_open(con: sqlite3.Connection) -> bool:
    return con.execute("SELECT 1 FROM attempts WHERE state <> 'done' LIMIT 1").fetchone() is not None


def claim(con: sqlite3.Connection, attempt_id: str, dead: str, lease: str) -> bool:
    """Take over an open attempt from the dead process ``dead``; False when another process was quicker."""
    done = con.execute(
        "UPDATE attempts SET lease = ? WHERE id = ? AND lease = ? AND state <> 'done'", (lease, attempt_id, dead)
    )
    return done.rowcount == 1


def advance(con: sqlite3.Connection, attempt_id: str, state: AttemptState, **facts: Any) -> None:
    """Record what became known of an open attempt: ``started_at``, ``generation``, ``joined_running``, ``carried``."""
    if "carried" in facts:
        facts["carried"] = json.dumps(facts["carried"])
    columns = "".join(f", {name} = :{name}" for name in facts)
    con.execute(
        f"UPDATE attempts SET state = :state{columns} WHERE id = :id AND state <> 'done'",
        {"state": state.value, "id": attempt_id, **facts},
    )


def note_progress(con: sqlite3.Connection, attempt_id: str, progress: Mapping[str, Any]) -> None:
    con.execute("UPDATE attempts SET progress = ? WHERE id = ?", (json.dumps(dict(progress)), attempt_id))


def finish(
    con: sqlite3.Connection, attempt_id: str, judgement: Judgement, evidence: Mapping[str, Any], at: float
) -> bool:
    """Store the verdict; False when the attempt has one already."""
    failure = json.dumps(asdict(judgement.failure)) if judgement.failure else None
    row = con.execute(
        "UPDATE attempts SET state = 'done', verdict = ?, failure = ?, evidence = ?, ended_at = coalesce(ended_at, ?)"
        " WHERE id = ? AND state <> 'done' RETURNING run, test",
        (judgement.verdict.value, failure, json.dumps(dict(evidence)), at, attempt_id),
    ).fetchone()
    if row is None:
        return False
    events.record(
        con, "attempt.ended", at, row["run"], attempt=attempt_id, test=row["test"], verdict=judgement.verdict.value
    )
    return True


def cancel(con: sqlite3.Connection, attempt_id: str, by: str) -> None:
    """Ask whoever follows the attempt to end it."""
    con.execute("UPDATE attempts SET cancelled_by = ? WHERE id = ? AND state <> 'done'", (by, attempt_id))


def deliver(con: sqlite3.Connection, attempt_id: str, at: float) -> None:
    """A reply has handed the verdict over; only the first time counts."""
    con.execute(
        "UPDATE attempts SET delivered_at = ? WHERE id = ? AND state = 'done' AND delivered_at IS NULL",
        (at, attempt_id),
    )


def ahead(con: sqlite3.Connection, attempt: Attempt) -> list[Attempt]:
    """Open attempts on the same service that were there before, oldest first."""
    if attempt.service is None:
        return []
    rows = con.execute(
        "SELECT * FROM attempts WHERE service = ? AND state <> 'done'"
        " AND rowid < (SELECT rowid FROM attempts WHERE id = ?) ORDER BY rowid",
        (attempt.service, attempt.id),
    ).fetchall()
    return [_attempt(row) for row in rows]


def produced_by(con: sqlite3.Connection, service: str, limit: int = 50) -> list[Attempt]:
    """The latest finished attempts on a service, for what they left behind."""
    rows = con.execute(
        "SELECT * FROM attempts WHERE service = ? AND state = 'done' ORDER BY created_at DESC LIMIT ?", (service, limit)
    ).fetchall()
    return [_attempt(row) for row in rows]


def passed_before(con: sqlite3.Connection, test: str) -> Attempt | None:
    """The latest passed attempt of a test."""
    row = con.execute(
        "SELECT * FROM attempts WHERE test = ? AND verdict = 'passed' ORDER BY rowid DESC LIMIT 1", (test,)
    ).fetchone()
    return _attempt(row) if row else None


def ended(con: sqlite3.Connection, test: str, limit: int = 20) -> list[Attempt]:
    """The latest finished attempts of a test, newest first."""
    rows = con.execute(
        "SELECT * FROM attempts WHERE test = ? AND state = 'done' ORDER BY rowid DESC LIMIT ?", (test, limit)
    ).fetchall()
    return [_attempt(row) for row in rows]


def used(con: sqlite3.Connection, service: str, generation: int) -> bool:
    """Whether an attempt has run on this life of the service already."""
    row = con.execute(
        "SELECT 1 FROM attempts WHERE service = ? AND generation = ? AND started_at IS NOT NULL LIMIT 1",
        (service, generation),
    ).fetchone()
    return row is not None


def lost_to_memory(con: sqlite3.Connection, attempt: Attempt) -> bool:
    """Whether this attempt is made again because the one before ran out of memory, and none has used it since."""
    row = con.execute(
        "SELECT 1 FROM attempts a WHERE run = ? AND slot = ? AND n = ? AND verdict = 'lost'"
        " AND json_extract(failure, '$.kind') = 'out_of_memory' AND NOT EXISTS"
        " (SELECT 1 FROM attempts b WHERE b.service = a.service AND b.started_at > a.ended_at)",
        (attempt.run, attempt.slot, attempt.n - 1),
    ).fetchone()
    return row is not None


def durations(con: sqlite3.Connection, test: str, limit: int = 10) -> list[float]:
    """Seconds of the latest passed attempts of a test, newest first."""
    rows = con.execute(
        "SELECT ended_at - started_at AS took FROM attempts WHERE test = ? AND verdict = 'passed'"
        " AND started_at IS NOT NULL ORDER BY created_at DESC LIMIT ?",
        (test, limit),
    ).fetchall()
    return [row["took"] for row in rows]


def _attempt(row: sqlite3.Row) -> Attempt:
    return Attempt(
        id=row["id"],
        run=row["run"],
        slot=row["slot"],
        n=row["n"],
        test=row["test"],
        work=row["work"],
        params=json.loads(row["params"]),
        service=row["service"],
        timeout_s=row["timeout_s"],
        lease=row["lease"],
        by=row["by"],
        state=AttemptState(row["state"]),
        created_at=row["created_at"],
        job=row["job"],
        prompt_id=row["prompt_id"],
        call=row["call"],
        world=row["world"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        generation=row["generation"],
        joined_running=None if row["joined_running"] is None else bool(row["joined_running"]),
        verdict=Verdict(row["verdict"]) if row["verdict"] else None,
        failure=Failure(**json.loads(row["failure"])) if row["failure"] else None,
        evidence=json.loads(row["evidence"]),
        progress=json.loads(row["progress"]),
        carried=json.loads(row["carried"]),
        delivered_at=row["delivered_at"],
        cancelled_by=row["cancelled_by"],
    )
