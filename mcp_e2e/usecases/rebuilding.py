"""A database that was lost: its successor begins with what the jobs' own folders tell, and with the breaker open.

Runs and verdicts are not in those folders. Nobody knows how often what has failed, so a person has to look first.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from sqlite3 import Connection

from mcp_e2e.decisions import breaker as machine
from mcp_e2e.model.calls import Breaker, Limits
from mcp_e2e.model.jobs import Job
from mcp_e2e.process import jobs
from mcp_e2e.process.locks import FileLock
from mcp_e2e.store import breaker as breakers
from mcp_e2e.store import events, migrations, sessions
from mcp_e2e.store.layout import Layout
from mcp_e2e.store.sessions import SessionRow
from mcp_e2e.usecases.incidents import Uncleared, in_force, new_incident

ALONE_S = 60.0


@asynccontextmanager
async def alone(layout: Layout) -> AsyncIterator[None]:
    """Only one process at a time makes a database. Raises LockHeld after ``ALONE_S``."""
    layout.create()  # also where the whole folder was deleted under us
    lock = FileLock(layout.locks / "database.lock")
    await lock.acquire(ALONE_S)
    try:
        yield
    finally:
        lock.release()


def rebuild(con: Connection, layout: Layout, shown: Callable[[str], str], limits: Limits, *, known: bool) -> None:
    """The first rows of a new database; none where there was none before. ``shown`` blanks secrets.

    ``known``: we had one open ourselves, so it is lost even where the whole folder is gone.
    """
    found = jobs.list_jobs(layout.jobs)
    if not (known or found or layout.founded.exists()):
        return
    now = time.time()
    migrations.number_on(con, now)
    for job in found:
        title = shown(" ".join(job.argv))[:200]
        sessions.add_job(con, job.id, _purpose(job), title, job.labels.get("by", ""), job.created_at)
        if "spec_hash" in job.labels:
            restore_session(con, job)
    if in_force(con, Uncleared(layout.incidents), now) == Breaker():
        opened = machine.open_by(Breaker(), "R1", now, [breakers.LOST], configured=limits, incident=new_incident())
        breakers.save(con, Breaker(), opened, now, {"found": "a lost database"})
    events.record(con, "database.rebuilt", now, jobs=len(found))


def _purpose(job: Job) -> str:
    """As it was stored when the job was made."""
    labels = job.labels
    return labels.get("attempt") or labels.get("tool") or f"service {labels.get('service', '')}".strip()


def restore_session(con: Connection, job: Job) -> None:
    """The session of a service's job; of a service's jobs the latest has to come last."""
    labels, name = job.labels, job.labels["service"]
    row = SessionRow(
        service=name,
        job=job.id,
        spec_hash=labels["spec_hash"],
        port=int(labels["port"]),
        url=labels["url"],
        outputs=Path(labels["outputs"]),
        first_generation=job.lives[0].generation if job.lives else job.generation,
        started_at=job.created_at,
        started_by=labels["by"],
    )
    sessions.put(con, row)
    for life in job.lives:
        if life.ready_at is not None:
            sessions.record_boot(con, name, job.id, life.generation, life.started_at, life.ready_at)
    if job.exit is not None and job.exit.reason in {"stopped", "idle"}:
        sessions.stopped(con, name, job.exit.ended_at, job.generation)
