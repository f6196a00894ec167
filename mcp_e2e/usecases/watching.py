"""What an executor tells of one attempt, written to its row."""

from typing import Any

import anyio

from mcp_e2e.model.runs import Attempt, AttemptState
from mcp_e2e.model.services import Session
from mcp_e2e.store import attempts
from mcp_e2e.usecases.workplace import Workplace

PROGRESS_S = 1.0


class Watching:
    """Progress is written at most once in ``PROGRESS_S``."""

    def __init__(self, place: Workplace, attempt: Attempt, session: Session | None) -> None:
        self._place = place
        self._attempt = attempt
        self._generation = session.generation if session else None
        self._told = 0.0

    async def submitted(self) -> None:
        await self._advance(generation=self._generation)

    async def started(self, at: float) -> None:
        await self._advance(started_at=at, generation=self._generation)

    async def _advance(self, **facts: Any) -> None:
        await self._place.run(lambda con: attempts.advance(con, self._attempt.id, AttemptState.RUNNING, **facts))

    async def progress(self, **facts: Any) -> None:
        if anyio.current_time() - self._told >= PROGRESS_S:
            self._told = anyio.current_time()
            await self._place.run(lambda con: attempts.note_progress(con, self._attempt.id, facts))

    async def cancelled(self) -> bool:
        now = await self._place.run(lambda con: attempts.get(con, self._attempt.id))
        return now is None or now.cancelled_by is not None
