"""When clients call and when they are silent: load and silence take turns until all leave."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio


class Tide:
    """High water at first. ``leave``: it is over, and clients go."""

    def __init__(self) -> None:
        self.leave = anyio.Event()
        self._high = anyio.Event()
        self._high.set()
        self._calls = 0

    @staticmethod
    def now() -> float:
        return time.time()

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        """One act of a client; waits while there has to be silence."""
        await self._high.wait()
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1

    async def fall(self, within_s: float) -> bool:
        """Nothing new is begun; True when all that was begun has been answered within so many seconds."""
        self._high = anyio.Event()
        with anyio.move_on_after(within_s):
            while self._calls:
                await anyio.sleep(0.1)
        return not self._calls

    def rise(self) -> None:
        self._high.set()
