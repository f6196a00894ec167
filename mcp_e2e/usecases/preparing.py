"""Before an attempt begins: its turn, a service that is ready and has loaded the code of now, clean outputs."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import anyio

from mcp_e2e.errors import E2EError, ServiceUnavailable, StoreError
from mcp_e2e.executors.orders import Outcome
from mcp_e2e.model.runs import Attempt, AttemptState
from mcp_e2e.model.services import Session, SessionState
from mcp_e2e.process import output
from mcp_e2e.store import attempts
from mcp_e2e.usecases.boots import Boots
from mcp_e2e.usecases.cleaning import clean_outputs
from mcp_e2e.usecases.sights import Sights
from mcp_e2e.usecases.watching import Watching
from mcp_e2e.usecases.workplace import Workplace

TURN_S = 0.2
BOOT_LOOK_S = 1.0
DEGRADED_S = 60.0
TAIL_BYTES = 4096
log = logging.getLogger(__name__)


class Preparing:
    def __init__(self, place: Workplace, boots: Boots, sights: Sights) -> None:
        self._place = place
        self._boots = boots
        self._sights = sights

    async def ready(self, attempt: Attempt, take_over: Callable[[], Awaitable[None]]) -> tuple[Attempt, Session | None]:
        """The attempt as it is when all is ready, and the session it is to run on; None for a test without a service.

        Raises ``ServiceUnavailable`` when the service does not come up, ``Withdrawn`` when nobody wants it any more.
        """
        await self._turn(attempt, take_over)
        session = await self._service_ready(attempt)
        if session is not None and (changed := await self._boots.newer_code(session)):
            await self._watch(attempt).progress(f"{session.service}: restarted, because {changed[0]} has changed")
            await self._boots.reload(attempt.by, session)
            attempt = replace(attempt, carried={**attempt.carried, "reloaded_for": changed[:5]})
            session = await self._service_ready(attempt)
        if session is None:
            return attempt, None
        used = await self._place.run(partial(attempts.used, service=session.service, generation=session.generation))
        freed = await self._place.run(partial(attempts.lost_to_memory, attempt=attempt))
        await self._place.run(lambda con: attempts.advance(con, attempt.id, AttemptState.STARTING, joined_running=used))
        await clean_outputs(self._place, self._sights, session)
        carried = {**attempt.carried, "clean_process": freed or not used}
        return replace(attempt, joined_running=used, carried=carried), session

    async def restarted(self, attempt: Attempt, outcome: Outcome) -> Outcome:
        """Begin the next life of the service, for the one that the attempt ran on is of no use any more."""
        try:
            done = f"{attempt.service} {await self._restart(attempt)}: {outcome.restart}"
        except StoreError:
            raise
        except (E2EError, OSError) as error:
            log.warning("%s could not be restarted: %s", attempt.service, error)
            done = f"{attempt.service} could not be restarted: {error}"
        earlier = outcome.evidence.get("recovery")
        return replace(
            outcome, evidence={**outcome.evidence, "recovery": f"{earlier}; then {done}" if earlier else done}
        )

    async def _restart(self, attempt: Attempt) -> str:
        session = await self._sights.look(attempt.service or "")
        if session.attached:
            return "is not ours to restart"
        if session.generation == attempt.generation and await self._boots.reload(attempt.by, session):
            return "was restarted"
        return "had been restarted already"

    async def _turn(self, attempt: Attempt, take_over: Callable[[], Awaitable[None]]) -> None:
        """Wait until no earlier attempt is open on the same service."""
        while await self._place.run(lambda con: attempts.ahead(con, attempt)):
            await take_over()
            await self._watch(attempt).withdraw_if_cancelled()
            await anyio.sleep(TURN_S)

    async def _service_ready(self, attempt: Attempt) -> Session | None:
        """The ready session the attempt runs on, started if needed; None for a test without a service."""
        watch = self._watch(attempt)
        await watch.withdraw_if_cancelled()
        if attempt.service is None:
            return None
        name = attempt.service
        await self._place.run(lambda con: attempts.advance(con, attempt.id, AttemptState.STARTING))
        await self._boots.ensure(attempt.by, name, watch.wanted)
        session = await self._boots.wait_ready(name, BOOT_LOOK_S)
        silent_since = anyio.current_time()
        while session.state in {SessionState.STARTING, SessionState.DEGRADED}:
            await watch.withdraw_if_cancelled()
            await watch.progress(f"{name}: {session.stage}")
            if session.state is SessionState.STARTING:
                silent_since = anyio.current_time()
            elif anyio.current_time() - silent_since > DEGRADED_S:
                break
            session = await self._boots.wait_ready(name, BOOT_LOOK_S)
        if session.state is not SessionState.READY:
            raise _unavailable(session)
        return session

    def _watch(self, attempt: Attempt) -> Watching:
        return Watching(self._place, attempt, None)


def _unavailable(session: Session) -> ServiceUnavailable:
    tail = output.tail(session.log, TAIL_BYTES, session.log_offset) if session.log else ""
    return ServiceUnavailable(
        f"service {session.service} is {session.state.value}: {session.cause or session.stage}", log_tail=tail
    )
