"""Follow a queued prompt to its end: woken by what is heard, sure by what is looked up, never waiting on the dead."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio

from mcp_e2e.adapters.comfyui.client import POLL_S, ComfyUI
from mcp_e2e.adapters.comfyui.listening import Listener
from mcp_e2e.errors import ServiceUnavailable
from mcp_e2e.executors.orders import Watch, WorkflowWork
from mcp_e2e.executors.worker import WorkerWatch
from mcp_e2e.model.work import PromptFacts, PromptState, Pulse

SILENT_S = 15.0  # a busy server may miss a poll; one of which nothing else is known has died when silent for longer
BACKSTOP_S = 1.0  # between polls while events of the prompt reach us
TURN_S = 0.25  # between looks at whether somebody wants it ended
GAP_S = 1.0  # from an end that was heard to its history entry; longer, and polling goes on
DEAF_S = 20.0  # after which a node that was interrupted and runs on is taken for deaf
LOOK_S = 10.0  # for one answer to a poll
DEAD = "ComfyUI still answers, but the thread that runs prompts has died: a node ended it"


T = TypeVar("T")


@dataclass(frozen=True)
class End:
    """How it ended; ``facts`` is None where the server tells nothing of the prompt (any more).

    ``expired``: its time limit ended it. ``deaf``: it runs on, for its node does not listen to an interrupt.
    ``dead``: nothing runs prompts any more.
    """

    facts: PromptFacts | None
    running_since: float | None
    expired: bool = False
    deaf: bool = False
    dead: bool = False


class Following:
    """``before``: signs of life of the service before the prompt was queued, to see later what is missing."""

    def __init__(
        self, client: ComfyUI, work: WorkflowWork, watch: Watch, listener: Listener, before: Pulse | None = None
    ) -> None:
        self.running_since = work.running_since
        self.watch = watch
        self._client = client
        self._work = work
        self._listener = listener
        self._worker = WorkerWatch(watch, before)
        self._deadline: float | None = None
        self._state = PromptState.PENDING
        self._standing = "prompt queued"
        self._polled_at = anyio.current_time() if listener.hears_us else float("-inf")

    async def to_the_end(self) -> End:
        """Raises ``ServiceUnavailable`` when the server is gone."""
        while True:
            if self._listener.ended and (facts := await self._written()) is not None:
                return End(facts, self.running_since)
            state = await self._poll() if self._due else self._state
            if state is PromptState.UNKNOWN:
                return End(None, self.running_since)
            if state is PromptState.DONE and (facts := await self._asked(self._history)) is not None:
                return End(facts, self.running_since)
            if self._listener.started or state is PromptState.RUNNING:
                await self._note_running()
            if self._expired or await self.watch.cancelled():
                return await self._break_off()
            running = self._state is PromptState.RUNNING
            if await self._worker.died(running=running, heard_at=self._listener.heard_at):
                return End(None, self.running_since, dead=True)
            await self.watch.progress(self._listener.progress() or self._standing)
            await self._listener.wait(TURN_S if self._listener.hears_us else POLL_S)

    @property
    def _expired(self) -> bool:
        return self._deadline is not None and anyio.current_time() > self._deadline

    @property
    def _due(self) -> bool:
        pause = BACKSTOP_S if self._listener.hears_us else POLL_S
        return anyio.current_time() - self._polled_at >= pause

    async def _history(self) -> PromptFacts | None:
        return await self._client.history(self._work.prompt_id)

    async def _written(self) -> PromptFacts | None:
        """The history entry of a prompt whose end was heard: it may be written a moment later."""
        pause = 0.005
        with anyio.move_on_after(GAP_S):
            while True:
                facts = await self._asked(self._history)
                if facts is not None:
                    return facts
                await anyio.sleep(pause)
                pause = min(2 * pause, POLL_S)
        self._listener.ended = False
        return None

    async def _asked(self, ask: Callable[[], Awaitable[T | None]]) -> T | None:
        """What the server answers, asked again while it does not; None when the prompt is to be broken off meanwhile.

        A process of ours that lives is given until the time limit. Of another nothing is known but its silence, so it
        is given ``SILENT_S``. Raises ``ServiceUnavailable`` after that, and at once when ours has died.
        """
        give_up = anyio.current_time() + SILENT_S
        while True:
            try:
                with anyio.fail_after(LOOK_S):
                    return await ask()
            except (ServiceUnavailable, TimeoutError) as error:
                late = anyio.current_time() > give_up
                if await self.watch.obituary() or (late and not self._work.owned):
                    raise ServiceUnavailable(f"{self._work.url} does not answer: {error}") from error
            if self._expired or await self.watch.cancelled():
                return None
            await self.watch.progress("ComfyUI does not answer")
            await anyio.sleep(POLL_S)

    async def _poll(self) -> PromptState:
        queue = await self._asked(self._client.queue)
        if queue is not None:
            state = await self._asked(lambda: self._client.state(self._work.prompt_id, queue))
            self._state = state or self._state
            ahead = queue.ahead(self._work.prompt_id)
            self._standing = f"prompt {self._state.value}" + (f", {ahead} of others before it" if ahead else "")
            first = self._state is PromptState.PENDING and ahead == 0
            self._worker.queue_seen(unclaimed=first and not queue.running)
        self._polled_at = anyio.current_time()
        return self._state

    async def _note_running(self) -> None:
        if self._deadline is None:
            self._state = PromptState.RUNNING
            self.running_since = self.running_since or time.time()
            self._deadline = anyio.current_time() + self._work.timeout_s - (time.time() - self.running_since)
            await self.watch.started(self.running_since)

    async def _break_off(self) -> End:
        """Cancel our prompt; one that goes on, or a server that does not even answer, is deaf."""
        expired = self._expired
        try:
            with anyio.fail_after(2 * DEAF_S):
                state = await self._client.cancel(self._work.prompt_id, within_s=DEAF_S)
                if state is not PromptState.RUNNING:
                    return End(await self._history(), self.running_since, expired)
        except (ServiceUnavailable, TimeoutError):
            if await self.watch.obituary():
                raise
        return End(None, self.running_since, expired, deaf=True)
