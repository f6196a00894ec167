"""Sessions and the boots that were measured; jobs by id for people."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from mcp_e2e.model.jobs import ProcessIdentity
from mcp_e2e.model.services import Adopted
from mcp_e2e.store import events


@dataclass(frozen=True)
class SessionRow:
    """The stored part of a session; a stopped one keeps its last ``job``, whose log may still be wanted."""

    service: str
    job: str | None
    spec_hash: str
    port: int
    url: str
    outputs: Path
    first_generation: int
    started_at: float
    started_by: str
    stopped_at: float | None = None
    adopted: Adopted | None = None  # in place of a job


def get(con: sqlite3.Connection, service: str) -> SessionRow | None:
    row = con.execute("SELECT * FROM sessions WHERE service = ?", (service,)).fetchone()
    if row is None:
        return None
    return SessionRow(**{**dict(row), "outputs": Path(row["outputs"]), "adopted": _adopted(row["adopted"])})


def _adopted(stored: str | None) -> Adopted | None:
    if stored is None:
        return None
    facts = json.loads(stored)
    process = ProcessIdentity(**facts["process"])
    return Adopted(process, facts["said"], facts["started_at"], tuple(facts["differs"]))


def unstopped(con: sqlite3.Connection) -> list[str]:
    """Services whose session nobody has stopped."""
    rows = con.execute("SELECT service FROM sessions WHERE stopped_at IS NULL ORDER BY started_at").fetchall()
    return [row["service"] for row in rows]


def put(con: sqlite3.Connection, session: SessionRow) -> None:
    """Store a session that is about to start, or was adopted, in place of an earlier one of the same service."""
    con.execute(
        "INSERT OR REPLACE INTO sessions (service, job, spec_hash, port, url, outputs, first_generation, started_at,"
        " started_by, stopped_at, adopted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?)",
        (
            session.service,
            session.job,
            session.spec_hash,
            session.port,
            session.url,
            str(session.outputs),
            session.first_generation,
            session.started_at,
            session.started_by,
            json.dumps(asdict(session.adopted)) if session.adopted else None,
        ),
    )
    kind = "session.adopted" if session.adopted else "session.starting"
    events.record(con, kind, session.started_at, service=session.service, job=session.job)


def stopped(con: sqlite3.Connection, service: str, at: float, last_generation: int) -> None:
    """The session is over; the next one goes on counting generations where this one ended."""
    con.execute(
        "UPDATE sessions SET stopped_at = ?, first_generation = ? WHERE service = ?",
        (at, last_generation, service),
    )
    events.record(con, "session.stopped", at, service=service)


def record_boot(
    con: sqlite3.Connection, service: str, job: str, generation: int, started_at: float, ready_at: float
) -> None:
    """Note when a generation was first seen ready; later sights change nothing."""
    done = con.execute(
        "INSERT OR IGNORE INTO boots (service, job, generation, started_at, ready_at) VALUES (?, ?, ?, ?, ?)",
        (service, job, generation, started_at, ready_at),
    )
    if done.rowcount:
        events.record(con, "session.ready", ready_at, service=service, generation=generation)


def ready_at(con: sqlite3.Connection, job: str, generation: int) -> float | None:
    row = con.execute("SELECT ready_at FROM boots WHERE job = ? AND generation = ?", (job, generation)).fetchone()
    return row["ready_at"] if row else None


def boot(con: sqlite3.Connection, service: str, generation: int) -> tuple[str, float, float]:
    """The job of a generation that was seen ready, when it started and when it was ready."""
    row = con.execute(
        "SELECT job, started_at, ready_at FROM boots WHERE service = ? AND generation = ? ORDER BY rowid DESC LIMIT 1",
        (service, generation),
    ).fetchone()
    return row["job"], row["started_at"], row["ready_at"]


def boots(con: sqlite3.Connection, service: str, limit: int = 10) -> list[float]:
    """Seconds of the latest measured boots, latest last."""
    rows = con.execute(
        "SELECT ready_at - started_at AS took FROM boots WHERE service = ? ORDER BY ready_at DESC LIMIT ?",
        (service, limit),
    ).fetchall()
    return [row["took"] for row in reversed(rows)]


def restarts(con: sqlite3.Connection, since: float, until: float) -> int:
    """Lives seen ready in a span beyond the first of their job."""
    (count,) = con.execute(
        "SELECT count(*) FROM boots b WHERE ready_at BETWEEN ? AND ? AND EXISTS"
        " (SELECT 1 FROM boots a WHERE a.job = b.job AND a.generation < b.generation)",
        (since, until),
    ).fetchone()
    return int(count)


def add_job(con: sqlite3.Connection, job: str, purpose: str, title: str, by: str, at: float) -> None:
    con.execute(
        "INSERT INTO jobs (id, purpose, title, created_at, by) VALUES (?, ?, ?, ?, ?)", (job, purpose, title, at, by)
    )


def job_index(con: sqlite3.Connection, jobs: Iterable[str]) -> dict[str, dict[str, str]]:
    """Purpose, title and caller of each of these jobs that is known."""
    wanted = json.dumps(list(jobs))
    query = "SELECT id, purpose, title, by FROM jobs WHERE id IN (SELECT value FROM json_each(?))"
    rows = con.execute(query, (wanted,)).fetchall()
    return {row["id"]: {"purpose": row["purpose"], "title": row["title"], "by": row["by"]} for row in rows}
