"""Progress while a call waits: what the work says, and a heartbeat when it says nothing.

Clients time a call out unless progress arrives (the TypeScript SDK after 60 s), so silence never exceeds
``HEARTBEAT_S``. The value sent is the seconds waited: the protocol wants it to grow, and the work's own counter
starts again with each stage.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio

from mcp_e2e.entrypoints.mcp.handlers import Progress

HEARTBEAT_S = 8.0
_AT_MOST_EVERY_S = 0.25
_MESSAGE_CHARS = 200

Send = Callable[[float, str], Awaitable[None]]


class _Voice:
    """The last thing said, and when."""

    def __init__(self, send: Send, first: str, every_s: float) -> None:
        self._send, self._message, self._every_s = send, first, every_s
        self._begun = time.monotonic()
        self._said = 0.0
        self._heard = False

    async def report(self, done: float, total: float | None, message: str) -> None:
        """Pass on what the work says, unless it said something a moment ago."""
        share = f" {min(done / total, 1.0):.0%}" if total else ""
        self._message = f"{message}{share}"
        if not self._heard or self._elapsed() - self._said >= _AT_MOST_EVERY_S:
            await self._say()

    async def beat(self) -> None:
        while True:
            await anyio.sleep(max(self._said + self._every_s - self._elapsed(), 0.01))
            if self._elapsed() - self._said >= self._every_s:
                await self._say()

    def _elapsed(self) -> float:
        return time.monotonic() - self._begun

    async def _say(self) -> None:
        self._heard, self._said = True, max(self._elapsed(), self._said + 0.001)
        tail = f" ({self._said:.0f} s)"
        await self._send(round(self._said, 3), self._message[: _MESSAGE_CHARS - len(tail)] + tail)


@asynccontextmanager
async def heartbeat(send: Send, first: str, every_s: float = HEARTBEAT_S) -> AsyncIterator[Progress]:
    """Yield where the work reports its progress; ``first`` is repeated until it does. The body must not raise."""
    voice = _Voice(send, first, every_s)
    async with anyio.create_task_group() as group:
        group.start_soon(voice.beat)
        yield voice.report
        group.cancel_scope.cancel()
