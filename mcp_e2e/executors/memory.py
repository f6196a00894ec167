"""Watch a ComfyUI's memory beside an attempt: before, peak and after, without ever standing in the attempt's way.

    async with watching(url) as memory:
        ...                          # check the graph; the first look is on its way meanwhile
        before = memory.begins()     # then queue the prompt and follow it: looks go on, about one a second
        memory.ended()               # the last look runs beside the collecting of outputs
        facts = await memory.facts()

A look takes the server about a millisecond. One that fails or takes longer than ``LOOK_S`` is left out.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import httpx

from mcp_e2e.adapters.beside import beside
from mcp_e2e.adapters.comfyui.memory import memory
from mcp_e2e.adapters.tls import trusted
from mcp_e2e.decisions.memory import highest, told
from mcp_e2e.model.work import MemorySample

LOOK_S = 2.0
FIRST_S, EVERY_S = 0.1, 1.0  # between looks: often at first, for a prompt may take no longer than that
LAST_S = 0.005  # what a verdict waits for a last look that is not back when everything else is done
log = logging.getLogger(__name__)


class MemoryWatch:
    """Looks at one server, kept as their maximum: an attempt of hours needs no more room than a short one."""

    def __init__(self, http: httpx.AsyncClient, before: MemorySample = ()) -> None:
        self._http = http
        self._before = before
        self._peak = before
        self._latest: MemorySample = ()
        self._after: MemorySample = ()
        self._looks = min(1, len(before))
        self._running = anyio.CancelScope()
        self._settled = anyio.Event()

    def begins(self) -> MemorySample:
        """What was seen last is how it was before: call it when the prompt is about to be queued, or has to start."""
        self._before = self._peak = self._latest
        self._looks = min(1, len(self._latest))
        return self._before

    def ended(self) -> None:
        """The prompt is over: the last look begins now."""
        self._running.cancel()

    async def facts(self) -> dict[str, object] | None:
        """``memory`` of the attempt's evidence, at most ``LAST_S`` after the call; None when nothing was seen."""
        self.ended()
        with anyio.move_on_after(LAST_S):
            await self._settled.wait()
        return told(self._before, self._peak, self._after, self._looks)

    async def keep_looking(self) -> None:
        every = FIRST_S
        with self._running:
            while True:
                await self._look()
                await anyio.sleep(every)
                every = min(EVERY_S, every * 2)
        self._after = await self._look()
        self._settled.set()

    async def _look(self) -> MemorySample:
        """Empty when it failed, however it failed: nothing here may end the attempt beside it."""
        sample: MemorySample = ()
        try:
            with anyio.move_on_after(LOOK_S):
                reply = await self._http.get("/system_stats")
                sample = memory(reply.json()) if reply.status_code == 200 else ()
        except Exception as error:
            log.debug("no look at the memory of %s: %r", self._http.base_url, error)
        if sample:
            self._latest, self._looks = sample, self._looks + 1
            self._peak = highest(self._peak, sample)
        return sample


@asynccontextmanager
async def watching(url: str, before: MemorySample = ()) -> AsyncGenerator[MemoryWatch]:
    """Look at the server at ``url`` meanwhile. ``before``: what whoever queued the prompt had seen."""
    async with httpx.AsyncClient(base_url=url, verify=trusted(), trust_env=False, timeout=None) as http:
        watch = MemoryWatch(http, before)
        async with beside(watch.keep_looking):
            yield watch
