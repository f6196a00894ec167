"""What an executor tells of one attempt, written to its row, and what it asks."""

from collections.abc import Mapping
from functools import partial
from sqlite3 import Connection
from typing import Any

import anyio
import anyio.to_thread

from mcp_e2e.errors import NotFound, StoreError
from mcp_e2e.executors.orders import Withdrawn
from mcp_e2e.model.calls import BreakerState
from mcp_e2e.model.jobs import Job, Life, ProcessIdentity
from mcp_e2e.model.runs import Attempt, AttemptState
from mcp_e2e.model.services import Session
from mcp_e2e.model.work import Pulse
from mcp_e2e.process import jobs, probes
from mcp_e2e.process.pulse import pulse
from mcp_e2e.store import attempts, sessions
from mcp_e2e.store import breaker as breakers
from mcp_e2e.usecases.workplace import Workplace

PROGRESS_S = 1.0
_LISTENERS: dict[tuple[ProcessIdentity, int], ProcessIdentity] = {}


class Watching:
    """``session``: the one the attempt begins on; None while it is only followed. Progress is written each second."""

    def __init__(self, place: Workplace, attempt: Attempt, session: Session | None) -> None:
        self._place = place
        self._attempt = attempt
        self._session = session
        self._told = 0.0
        self._answers: ProcessIdentity | None = None

    async def submitted(self, known: Mapping[str, Any] | None = None) -> None:
        if not await self._place.run(partial(self._hand_over, known=known or {})):
            raise Withdrawn("the breaker opened while it waited, or it was cancelled")

    def _hand_over(self, con: Connection, known: Mapping[str, Any]) -> bool:
        attempt = attempts.get(con, self._attempt.id)
        if attempt is None or attempt.cancelled_by or breakers.load(con).state is BreakerState.OPEN:
            return False
        facts: dict[str, Any] = {"carried": {**self._attempt.carried, **known}}
        if self._session is not None:
            facts["generation"] = self._session.generation
        attempts.advance(con, attempt.id, AttemptState.RUNNING, **facts)
        attempts.note_progress(con, attempt.id, {})  # what it has been waiting for
        return True

    async def started(self, at: float) -> None:
        await self._place.run(lambda con: attempts.advance(con, self._attempt.id, AttemptState.RUNNING, started_at=at))

    async def progress(self, message: str) -> None:
        if anyio.current_time() - self._told >= PROGRESS_S:
            self._told = anyio.current_time()
            shown = self._place.masked(message)
            await self._place.run(lambda con: attempts.note_progress(con, self._attempt.id, {"message": shown}))

    async def cancelled(self) -> bool:
        """Whether somebody asked for its end. Work whose row was lost with the database is left to run to its own."""
        now = await self._now()
        return now is not None and now.cancelled_by is not None

    async def obituary(self) -> str | None:
        """How the life of the service that the attempt runs on has ended; None while it lives or nobody knows."""
        job = await self._job()
        if job is None:
            return None
        generation = self._session.generation if self._session else self._attempt.generation
        life = next((each for each in job.lives if each.generation == generation), None)
        if life is None or (life.ended_at is None and job.live):
            return None
        return f"{self._attempt.service} died under it (generation {generation}){_end(life)}"

    async def pulse(self) -> Pulse | None:
        """Signs of life of the process that listens on the service's port."""
        if self._answers is None:
            job, row = await self._job(), await self._place.run(lambda con: sessions.get(con, self._service))
            if job is None or job.process is None or row is None:
                return None
            self._answers = await anyio.to_thread.run_sync(_listener, job.process, job.keeper, row.port)
        return await anyio.to_thread.run_sync(pulse, self._answers) if self._answers is not None else None

    async def _job(self) -> Job | None:
        """The job of the service that the attempt runs on; None where it is attached, or has none."""
        if self._session is not None:
            name = self._session.job
        else:
            row = await self._place.run(lambda con: sessions.get(con, self._service))
            name = row.job if row is not None else None
        try:
            return jobs.look(self._place.layout.jobs, name) if name is not None else None
        except (NotFound, StoreError):
            return None

    @property
    def _service(self) -> str:
        return self._attempt.service or ""

    async def wanted(self) -> bool:
        now = await self._now()
        return now is not None and now.cancelled_by is None

    async def withdraw_if_cancelled(self) -> None:
        if not await self.wanted():
            raise Withdrawn("ended before it ran")

    async def _now(self) -> Attempt | None:
        return await self._place.run(lambda con: attempts.get(con, self._attempt.id))


def _end(life: Life) -> str:
    if life.signal is not None:
        return f": signal {life.signal}"
    return f": exit code {life.exit_code}" if life.exit_code is not None else ""


def _listener(process: ProcessIdentity, keeper: ProcessIdentity | None, port: int) -> ProcessIdentity | None:
    """Who listens on the port for this life of the service: looked up once, for it takes milliseconds."""
    known = _LISTENERS.get((process, port)) or probes.listener(keeper or process, port)
    if known is not None:
        _LISTENERS[process, port] = known
    return known
