"""Carry an attempt from its row to its verdict, in the background of whichever process holds its lease.

Laws:
- the row with its job or prompt id is there before the work starts, so any process can take over from a dead one;
- a verdict is stored once, together with what it does to the breaker and the run;
- an attempt lost with its service or machine is run once more by itself; two in a row end the run.
"""

import logging
from dataclasses import replace
from functools import partial
from sqlite3 import Connection

import anyio
import anyio.to_thread

from mcp_e2e.adapters.cleaning import clean
from mcp_e2e.decisions import breaker as machine
from mcp_e2e.decisions import verdict as verdicts
from mcp_e2e.errors import E2EError, ServiceUnavailable
from mcp_e2e.executors.commands import run_command
from mcp_e2e.executors.orders import Outcome
from mcp_e2e.executors.workflows import run_workflow
from mcp_e2e.model.runs import RED, Attempt, AttemptState, Verdict
from mcp_e2e.model.services import Session, SessionState
from mcp_e2e.process import locks, output
from mcp_e2e.store import attempts, ledger
from mcp_e2e.store import breaker as breakers
from mcp_e2e.usecases.catalogue import Catalogue
from mcp_e2e.usecases.incidents import write_incident
from mcp_e2e.usecases.sessions import Sessions
from mcp_e2e.usecases.settlement import settled
from mcp_e2e.usecases.sights import Sights
from mcp_e2e.usecases.watching import Watching
from mcp_e2e.usecases.workplace import Workplace

TURN_S = 0.2
BOOT_LOOK_S = 1.0
TAIL_BYTES = 4096
log = logging.getLogger(__name__)


class Execution:
    def __init__(self, place: Workplace, sessions: Sessions, sights: Sights, catalogue: Catalogue) -> None:
        self._place = place
        self._sights = sights
        self._sessions = sessions
        self._catalogue = catalogue
        self.could_not_start: dict[str, E2EError] = {}  # attempts taken back, for whoever waits for them here

    def spawn(self, attempt: Attempt) -> None:
        self._place.tasks.start_soon(self._carry, attempt)

    async def take_over(self) -> None:
        """Go on with the open attempts of processes that are gone."""
        for attempt in await self._place.run(self._claim_from_the_dead):
            self.spawn(attempt)

    def _claim_from_the_dead(self, con: Connection) -> list[Attempt]:
        leases, mine = self._place.layout.leases, self._place.here.lease.id
        claimed = []
        for attempt in attempts.unfinished(con):
            if not locks.is_alive(leases, attempt.lease) and attempts.claim(con, attempt.id, attempt.lease, mine):
                claimed.append(replace(attempt, lease=mine))
                before = breakers.load(con)
                if before.probe_lease == attempt.lease:
                    breakers.save(con, before, replace(before, probe_lease=mine), self._place.now())
        for call, lease in ledger.reserved(con).items():
            if not locks.is_alive(leases, lease):
                ledger.complete(con, call, "abandoned", self._place.now())
        return claimed

    async def _carry(self, attempt: Attempt) -> None:
        try:
            await self._turn(attempt)
            outcome = await self._do(attempt)
        except E2EError as error:
            await self._take_back(attempt, error)
            return
        except Exception:  # a defect of ours must neither hang the attempt nor end the server
            log.exception("attempt %s broke inside mcp_e2e", attempt.id)
            outcome = Outcome(verdicts.of_lost(attempt.test, "mcp_e2e itself failed; its log has the traceback"))
        await self._finish(attempt, outcome)

    async def _turn(self, attempt: Attempt) -> None:
        """Wait until no earlier attempt is open on the same service."""
        while await self._place.run(lambda con: attempts.ahead(con, attempt)):
            await self.take_over()
            if await self._cancelled(attempt):
                return
            await anyio.sleep(TURN_S)

    async def _cancelled(self, attempt: Attempt) -> bool:
        now = await self._place.run(lambda con: attempts.get(con, attempt.id))
        return now is None or now.cancelled_by is not None

    async def _do(self, attempt: Attempt) -> Outcome:
        if attempt.state is not AttemptState.RUNNING and await self._cancelled(attempt):
            return Outcome(verdicts.failed(attempt.test, Verdict.CANCELLED, "cancelled", "ended before it ran"))
        session = await self._service(attempt)
        if session is not None and attempt.state is not AttemptState.RUNNING:
            await self._clean(session)
        watch = Watching(self._place, attempt, session)
        if attempt.prompt_id is not None and session is not None:
            return await run_workflow(self._catalogue.workflow_order(attempt, session), watch)
        outcome = await run_command(self._catalogue.command_order(attempt, session), watch)
        return await self._or_lost(attempt, session, outcome)

    async def _service(self, attempt: Attempt) -> Session | None:
        """The ready session the attempt runs on; as it is now when the attempt was running already."""
        if attempt.service is None:
            return None
        name = attempt.service
        if attempt.state is AttemptState.RUNNING:
            return await self._sights.look(name)
        await self._sessions.ensure(self._place.identified(self._place.caller), name)
        await self._place.run(lambda con: attempts.advance(con, attempt.id, AttemptState.STARTING))
        session = await self._sessions.wait_ready(name, BOOT_LOOK_S)
        while session.state in {SessionState.STARTING, SessionState.DEGRADED} and not await self._cancelled(attempt):
            session = await self._sessions.wait_ready(name, BOOT_LOOK_S)
        if session.state is not SessionState.READY:
            tail = output.tail(session.log, TAIL_BYTES, session.log_offset) if session.log else ""
            raise ServiceUnavailable(
                f"service {name} is {session.state.value}: {session.cause or session.stage}", log_tail=tail
            )
        saved = await self._place.run(partial(attempts.used, service=name, generation=session.generation))
        await self._place.run(
            lambda con: attempts.advance(con, attempt.id, AttemptState.STARTING, joined_running=saved)
        )
        return session

    async def _clean(self, session: Session) -> None:
        """Delete what earlier attempts wrote, and the configured globs; an attached service keeps all it has."""
        _, config = self._sights.config(session.service)
        if session.attached or session.outputs is None:
            return
        cwd = self._catalogue.loaded().folder(config.cwd)
        earlier = await self._place.run(lambda con: attempts.produced_by(con, session.service))
        written = [
            root / str(file["subfolder"]) / str(file["filename"])
            for each in earlier
            for file in each.evidence.get("outputs", ())
            if file.get("type") == "output"
            for root in (session.outputs, cwd / "output")
        ]
        since, outputs, globs = session.started_at or self._place.now(), session.outputs, config.clean
        await anyio.to_thread.run_sync(lambda: clean(cwd, globs, since, written, outputs))

    async def _or_lost(self, attempt: Attempt, session: Session | None, outcome: Outcome) -> Outcome:
        """A red command test whose service died under it shows nothing about the test."""
        if session is None or session.attached or outcome.judgement.verdict not in RED:
            return outcome
        now = await self._sights.look(session.service)
        if now.generation == session.generation and now.pid == session.pid:
            return outcome
        why = f"service {session.service} died under it (generation {session.generation}): {now.cause or now.stage}"
        return replace(outcome, judgement=verdicts.of_lost(attempt.test, why))

    async def _take_back(self, attempt: Attempt, error: E2EError) -> None:
        """The test could not even start: that is no attempt."""
        self.could_not_start[attempt.id] = error
        await self._place.run(lambda con: attempts.discard(con, attempt.id, self._place.now(), error.code))
        await self._place.run(self._give_probe_back)

    def _give_probe_back(self, con: Connection) -> None:
        breaker = breakers.load(con)
        if breaker.probe_lease == self._place.here.lease.id:
            breakers.save(con, breaker, machine.release_probe(breaker), self._place.now())

    async def _finish(self, attempt: Attempt, outcome: Outcome) -> None:
        settle = partial(settled, attempt=attempt, outcome=outcome, limit=self._limit(), now=self._place.now())
        opened, again = await self._place.run(settle)
        if opened is not None:
            write_incident(self._place.layout.incidents, opened, str(self._place.project() or ""))
        if again is not None:
            self.spawn(again)

    def _limit(self) -> int:
        try:
            return self._place.settings().settings.breaker.consecutive_failures
        except E2EError:  # broken since the attempt began: the strict default
            return 3
