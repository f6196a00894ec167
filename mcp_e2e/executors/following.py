"""Follow a queued prompt to its end: woken by what is heard, sure by what is looked up, never waiting on the dead."""

import time
from dataclasses import dataclass

import anyio

from mcp_e2e.adapters.comfyui.client import POLL_S, ComfyUI
from mcp_e2e.adapters.comfyui.listening import Listener
from mcp_e2e.decisions.worker import has_died
from mcp_e2e.errors import ServiceUnavailable
from mcp_e2e.executors.orders import Watch, WorkflowWork
from mcp_e2e.model.work import PromptFacts, PromptState, Pulse

SILENT_S = 15.0  # a busy server may miss a poll; one that is silent for longer has died
BACKSTOP_S = 1.0  # between polls while events of the prompt reach us
TURN_S = 0.25  # between looks at whether somebody wants it ended
GAP_S = 1.0  # from an end that was heard to its history entry; longer, and polling goes on
QUIET_S = 10.0  # no word of a running prompt for so long: is the thread still there that runs prompts?
IDLE_POLLS = 3  # in a row with nothing running and ours first in the queue: nobody takes it
DEAF_S = 20.0  # after which a node that was interrupted and runs on is taken for deaf
DEAD = "ComfyUI still answers, but the thread that runs prompts has died: a node ended it"


@dataclass(frozen=True)
class End:
    """How it ended; ``facts`` is None where the server tells nothing of the prompt (any more).

    ``expired``: its time limit ended it. ``deaf``: it runs on, for its node does not listen to an interrupt.
    ``dead_worker``: a sentence when nothing runs prompts any more.
    """

    facts: PromptFacts | None
    running_since: float | None
    expired: bool = False
    deaf: bool = False
    dead_worker: str | None = None


class Following:
    """``before``: signs of life of the service before the prompt was queued, to see later what is missing."""

    def __init__(
        self, client: ComfyUI, work: WorkflowWork, watch: Watch, listener: Listener, before: Pulse | None = None
    ) -> None:
        self.running_since = work.running_since
        self._client = client
        self._work = work
        self.watch = watch
        self._listener = listener
        self._before = before
        self._quiet: Pulse | None = None
        self._quiet_at = 0.0
        self._looked_at = anyio.current_time()
        self._deadline: float | None = None
        self._state = PromptState.PENDING
        self._idle_polls = 0
        self._standing = "prompt queued"
        self._polled_at = anyio.current_time() if listener.hears_us else float("-inf")

    async def to_the_end(self) -> End:
        """Raises ``ServiceUnavailable`` when the server is gone."""
        while True:
            if self._listener.ended and (facts := await self._written()) is not None:
                return End(facts, self.running_since)
            if self._due and (await self._poll()) in (PromptState.DONE, PromptState.UNKNOWN):
                return End(await self._client.history(self._work.prompt_id), self.running_since)
            if self._listener.started or self._state is PromptState.RUNNING:
                await self._note_running()
            expired = self._deadline is not None and anyio.current_time() > self._deadline
            if expired or await self.watch.cancelled():
                return await self._break_off(expired=expired)
            if await self._worker_died():
                return End(None, self.running_since, dead_worker=DEAD)
            await self.watch.progress(self._listener.progress() or self._standing)
            await self._listener.wait(TURN_S if self._listener.hears_us else POLL_S)

    async def obituary(self) -> str | None:
        """How the process died under the prompt, when it did."""
        return await self.watch.obituary()

    @property
    def _due(self) -> bool:
        pause = BACKSTOP_S if self._listener.hears_us else POLL_S
        return anyio.current_time() - self._polled_at >= pause

    async def _written(self) -> PromptFacts | None:
        """The history entry of a prompt whose end was heard: it may be written a moment later."""
        pause = 0.005
        with anyio.move_on_after(GAP_S):
            while True:
                facts = await self._client.history(self._work.prompt_id)
                if facts is not None:
                    return facts
                await anyio.sleep(pause)
                pause = min(2 * pause, POLL_S)
        self._listener.ended = False
        return None

    async def _poll(self) -> PromptState:
        """Where the prompt stands, asked again for ``SILENT_S`` while a living server does not answer."""
        give_up = anyio.current_time() + SILENT_S
        while True:
            try:
                queue = await self._client.queue()
                self._state = await self._client.state(self._work.prompt_id, queue)
                break
            except ServiceUnavailable:
                if anyio.current_time() > give_up or await self.watch.obituary():
                    raise
                await anyio.sleep(POLL_S)
        self._polled_at = anyio.current_time()
        ahead = queue.ahead(self._work.prompt_id)
        self._standing = f"prompt {self._state.value}" + (f", {ahead} of others before it" if ahead else "")
        unclaimed = self._state is PromptState.PENDING and not queue.running
        self._idle_polls = self._idle_polls + 1 if unclaimed and queue.pending[0] == self._work.prompt_id else 0
        return self._state

    async def _note_running(self) -> None:
        if self._deadline is None:
            self._state = PromptState.RUNNING
            self.running_since = self.running_since or time.time()
            self._deadline = anyio.current_time() + self._work.timeout_s - (time.time() - self.running_since)
            await self.watch.started(self.running_since)

    async def _break_off(self, *, expired: bool) -> End:
        then, at = await self.watch.pulse(), anyio.current_time()
        if await self._client.cancel(self._work.prompt_id, within_s=DEAF_S) is not PromptState.RUNNING:
            return End(await self._client.history(self._work.prompt_id), self.running_since, expired)
        if has_died(self._before, then, await self.watch.pulse(), anyio.current_time() - at):
            return End(None, self.running_since, dead_worker=DEAD)
        return End(None, self.running_since, expired, deaf=True)

    async def _worker_died(self) -> bool:
        """A node that ends its thread leaves a server that answers, with a prompt that runs for ever."""
        if self._idle_polls >= IDLE_POLLS:
            return True
        now = anyio.current_time()
        quiet_s = now - max(self._listener.heard_at, self._looked_at)
        if self._state is not PromptState.RUNNING or quiet_s < QUIET_S / 2:
            self._quiet = None
            return False
        if self._quiet is None:
            self._quiet, self._quiet_at = await self.watch.pulse(), now
        if quiet_s < QUIET_S:
            return False
        self._looked_at = now
        return has_died(self._before, self._quiet, await self.watch.pulse(), now - self._quiet_at)
