"""Carry an attempt from its row to its verdict, in the background of whichever process holds its lease.

Laws:
- the row with its job or prompt id is there before the work starts, so any process can take over from a dead one;
- an attempt whose work was handed over ends with a verdict and is never taken back, whatever fails on our side;
- a verdict is stored once, together with what it does to the breaker and the run;
- no attempt begins while the breaker is open, also one that was let in before and had to wait.
"""

import logging
from dataclasses import replace
from functools import partial
from sqlite3 import Connection

import anyio

from mcp_e2e.decisions import verdict as verdicts
from mcp_e2e.errors import E2EError, SetupError, StoreError
from mcp_e2e.executors.commands import follow_command, start_command
from mcp_e2e.executors.orders import Outcome, Withdrawn
from mcp_e2e.model.runs import RED, Attempt, AttemptState, Verdict
from mcp_e2e.model.services import Session, SessionState
from mcp_e2e.process import locks
from mcp_e2e.store import attempts
from mcp_e2e.usecases.boots import Boots
from mcp_e2e.usecases.catalogue import Catalogue
from mcp_e2e.usecases.preparing import Preparing
from mcp_e2e.usecases.settlement import settle_dead_calls, settled, taken_back
from mcp_e2e.usecases.sights import Sights
from mcp_e2e.usecases.watching import Watching
from mcp_e2e.usecases.workplace import Workplace
from mcp_e2e.usecases.worlds import Worlds

RETRY_S = 1.0
log = logging.getLogger(__name__)


class Execution:
    def __init__(self, place: Workplace, boots: Boots, sights: Sights, catalogue: Catalogue, worlds: Worlds) -> None:
        self._place = place
        self._worlds = worlds
        self._sights = sights
        self._boots = boots
        self._catalogue = catalogue
        self._preparing = Preparing(place, boots, sights)
        self.an_end = anyio.Event()  # set when an attempt of this process has ended, then a new one

    def spawn(self, attempt: Attempt) -> None:
        self._place.tasks.start_soon(self._carry, attempt)

    async def take_over(self) -> None:
        """Go on with the open attempts of processes that are gone."""
        for attempt in await self._place.run(self._claim_from_the_dead):
            self.spawn(attempt)

    def _claim_from_the_dead(self, con: Connection) -> list[Attempt]:
        leases, mine = self._place.layout.leases, self._place.here.lease.id
        others = [each for each in attempts.unfinished(con) if each.lease != mine]
        orphans = [each for each in others if not locks.is_alive(leases, each.lease)]
        claimed = [each for each in orphans if attempts.claim(con, each.id, each.lease, mine)]
        settle_dead_calls(con, leases, self._place.now())
        return [replace(attempt, lease=mine) for attempt in claimed]

    async def _carry(self, attempt: Attempt) -> None:
        """To the end, over a database that is locked or full for a while; nothing here may end the server.

        What is known of its end is kept until it is stored: following it once more might find less.
        """
        outcome: Outcome | None = None
        while True:
            try:
                outcome = outcome or await self._ended(attempt)
                if outcome is not None:
                    await self._finish(attempt, outcome)
                break
            except StoreError as error:
                log.warning("attempt %s waits for the store: %s", attempt.id, error)
                await anyio.sleep(RETRY_S)
            except Exception:
                log.exception("attempt %s broke inside mcp_e2e", attempt.id)
                break
        self.an_end.set()
        self.an_end = anyio.Event()

    async def _ended(self, attempt: Attempt) -> Outcome | None:
        """How it ended; None when it has its verdict already, or could not begin and was taken back."""
        stored = await self._stored(attempt)
        if stored is None or not stored.open:
            return None
        before = self._worlds.last
        try:
            outcome = await self._begun(stored)
            if outcome is None:
                return None
            await self._worlds.after_test(before)
            if outcome.restart is not None:
                outcome = await self._preparing.restarted(await self._stored(attempt) or stored, outcome)
            return await self._with_staleness(stored, outcome)
        except StoreError:
            raise
        except Exception:  # a defect of ours must not hang whoever waits
            log.exception("attempt %s broke inside mcp_e2e", attempt.id)
            return Outcome(verdicts.of_lost(stored.test, "mcp_e2e itself failed; its log has the traceback"))

    async def _begun(self, stored: Attempt) -> Outcome | None:
        """How it ended; None when it could not begin and was taken back."""
        try:
            return await self._outcome(stored)
        except Withdrawn as why:
            return Outcome(verdicts.failed(stored.test, Verdict.CANCELLED, "cancelled", str(why)))
        except StoreError:
            raise
        except SetupError as error:  # also one that the system or ComfyUI gave after it was asked
            await self._take_back(stored, error)
            return None
        except E2EError as error:
            now = await self._stored(stored)
            if now is None or now.state is not AttemptState.RUNNING:
                await self._take_back(stored, error)
                return None
            return await self._follow(now)

    async def _outcome(self, attempt: Attempt) -> Outcome:
        if attempt.state is not AttemptState.RUNNING:
            attempt, session = await self._preparing.ready(attempt, self.take_over)
            trace = await self._place.run(partial(self._place.tracing.environment, attempt=attempt))
            attempt = replace(attempt, carried={**attempt.carried, "trace": trace})
            if attempt.prompt_id is not None and session is not None:
                return await self._run_workflow(attempt, session)
            spec = self._catalogue.command_spec(attempt, session)
            await start_command(self._catalogue.command_work(attempt), spec, self._watch(attempt, session))
            attempt = await self._stored(attempt) or attempt
        return await self._follow(attempt)

    async def _stored(self, attempt: Attempt) -> Attempt | None:
        return await self._place.run(lambda con: attempts.get(con, attempt.id))

    def _watch(self, attempt: Attempt, session: Session | None = None) -> Watching:
        return Watching(self._place, attempt, session)

    async def _run_workflow(self, attempt: Attempt, session: Session) -> Outcome:
        graph = self._catalogue.graph(attempt)
        carried = {**attempt.carried, **await self._catalogue.workflow_carried(attempt, session)}
        attempt = replace(attempt, carried=carried)
        from mcp_e2e.executors.workflows import run_workflow  # noqa: PLC0415  loaded when it is needed: a server starts without

        return await run_workflow(self._catalogue.workflow_work(attempt), graph, self._watch(attempt, session))

    async def _follow(self, attempt: Attempt) -> Outcome:
        if attempt.prompt_id is not None:
            from mcp_e2e.executors.workflows import follow_workflow  # noqa: PLC0415  loaded when it is needed: a server starts without

            return await follow_workflow(self._catalogue.workflow_work(attempt), self._watch(attempt))
        outcome = await follow_command(self._catalogue.command_work(attempt), self._watch(attempt))
        return await self._or_lost(attempt, outcome)

    async def _or_lost(self, attempt: Attempt, outcome: Outcome) -> Outcome:
        """A red command test whose service died under it shows nothing about the test."""
        if attempt.service is None or outcome.judgement.verdict not in RED:
            return outcome
        try:
            now = await self._sights.look(attempt.service)
        except E2EError:  # the configuration broke meanwhile: the verdict stands
            return outcome
        died = not now.attached and (now.generation != attempt.generation or now.pid is None)
        if not died and not (now.attached and now.state is not SessionState.READY):
            return outcome
        why = f"service {attempt.service} died under it (generation {attempt.generation}): {now.cause or now.stage}"
        return replace(outcome, judgement=verdicts.of_lost(attempt.test, why))

    async def _with_staleness(self, attempt: Attempt, outcome: Outcome) -> Outcome:
        """The service runs older code than what lies there now: edited while the test ran."""
        if attempt.service is None:
            return outcome
        try:
            if not self._sights.config(attempt.service)[1].reload_on:
                return outcome
            stale = await self._boots.newer_code(await self._sights.look(attempt.service))
        except E2EError:
            return outcome
        return replace(outcome, evidence={**outcome.evidence, "service_stale": True}) if stale else outcome

    async def _take_back(self, attempt: Attempt, error: E2EError) -> None:
        """The test could not even start: that is no attempt."""
        now = self._place.now()
        await self._place.run(lambda con: taken_back(con, attempt, error, now))

    async def _finish(self, attempt: Attempt, outcome: Outcome) -> None:
        settle = partial(
            settled,
            attempt=attempt,
            outcome=self._place.masked(outcome),
            limits=self._place.limits(),
            now=self._place.now(),
        )
        again = await self._place.run(settle)
        if again is not None:  # first: what is stored under our lease nobody else would carry
            self.spawn(again)
        await self._place.keep_incident()
