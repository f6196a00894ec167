"""What an executor tells of one attempt, written to its row, and what it asks."""

from collections.abc import Mapping
from functools import partial
from sqlite3 import Connection
from typing import Any

import anyio

from mcp_e2e.executors.orders import Withdrawn
from mcp_e2e.model.calls import BreakerState
from mcp_e2e.model.runs import Attempt, AttemptState
from mcp_e2e.model.services import Session
from mcp_e2e.store import attempts
from mcp_e2e.store import breaker as breakers
from mcp_e2e.usecases.workplace import Workplace

PROGRESS_S = 1.0


class Watching:
    """``session``: the one the attempt begins on; None while it is only followed. Progress is written each second."""

    def __init__(self, place: Workplace, attempt: Attempt, session: Session | None) -> None:
        self._place = place
        self._attempt = attempt
        self._session = session
        self._told = 0.0

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

    async def wanted(self) -> bool:
        now = await self._now()
        return now is not None and now.cancelled_by is None

    async def withdraw_if_cancelled(self) -> None:
        if not await self.wanted():
            raise Withdrawn("ended before it ran")

    async def _now(self) -> Attempt | None:
        return await self._place.run(lambda con: attempts.get(con, self._attempt.id))
