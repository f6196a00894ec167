"""start_session and stop_session: join or start a service, end it and see it gone."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import anyio

from mcp_e2e.contracts import Progress
from mcp_e2e.decisions import next_step
from mcp_e2e.decisions.breaker import limits_in_force
from mcp_e2e.errors import ConfigError, ServiceInUse
from mcp_e2e.model.answers import SessionAnswer
from mcp_e2e.model.calls import Breaker
from mcp_e2e.model.runs import Attempt, AttemptState, Caller
from mcp_e2e.model.services import Session, SessionState
from mcp_e2e.process import jobs
from mcp_e2e.store import attempts, sessions
from mcp_e2e.store import breaker as breakers
from mcp_e2e.store.sessions import SessionRow
from mcp_e2e.usecases.boots import Boots
from mcp_e2e.usecases.gate import Gate
from mcp_e2e.usecases.replies import session_facts, when
from mcp_e2e.usecases.sights import Sights
from mcp_e2e.usecases.workplace import Workplace

POLL_S = 0.1
CANCEL_S = 15.0


class Sessions:
    """One session per configured service, shared by every process on the project."""

    def __init__(
        self, place: Workplace, gate: Gate, sights: Sights, boots: Boots, take_over: Callable[[], Awaitable[None]]
    ) -> None:
        """``take_over``: go on with the attempts of dead processes, so that somebody ends them."""
        self._place = place
        self._gate = gate
        self._sights = sights
        self._boots = boots
        self._take_over = take_over

    async def start(
        self,
        caller: Caller,
        *,
        service: str | None = None,
        wait_seconds: float = 45.0,
        progress: Progress | None = None,
    ) -> SessionAnswer:
        """Start the service, or join it, and wait until it is ready, failed, or the time is up."""
        async with self._gate.enter(caller, "start_session", {"service": service}) as passage:
            name, _ = self._sights.config(service)
            await self._boots.ensure(caller.shown, name)
            session = await self._boots.wait_ready(name, wait_seconds, progress)
            passage.outcome, passage.told = _told(session)
        return await self._answer(session, passage.advice)

    async def outcome(self, service: str) -> SessionAnswer:
        """What ``start`` would answer now to whoever began it; starts nothing."""
        return await self._answer(await self._sights.look(service))

    async def _answer(self, session: Session, advice: str | None = None) -> SessionAnswer:
        facts = await session_facts(session, self._place)
        usual = await self._boots.estimate(session.service) if facts["elapsed_s"] is not None else None
        breaker = await self._place.run(breakers.load)
        limits = limits_in_force(breaker, self._place.limits())
        return SessionAnswer(
            **facts,
            eta_s=round(max(0.0, usual - facts["elapsed_s"]), 1) if usual is not None else None,
            carried_over=_carried(breaker, limits.consecutive_failures),
            advice=advice,
            next_step=next_step.after_session(session, breaker),
        )

    async def stop(self, caller: Caller, *, service: str | None = None) -> SessionAnswer:
        """End the whole tree of the service and see it gone; an attached or adopted one is let go.

        Works by the session, so also for a service that has been taken out of the configuration meanwhile.

        Raises:
            ServiceInUse: another client's attempt runs on it.
        """
        async with self._gate.enter(caller, "stop_session", {"service": service}) as passage:
            caller = self._place.identified(caller)
            row = await self._row(service)
            name = row.service if row is not None else self._sights.config(service)[0]
            adopted = row is not None and row.adopted is not None and row.stopped_at is None
            if row is not None and (row.job is not None or adopted):
                await self._free(caller, name)
                await self._end(caller, name)
            session = await self._sights.after_stop(name)
            passage.told = {"state": session.state.value}
        if session.attached or adopted:
            session = replace(session, adopted=adopted, stage="let go: it is not ours to stop")
        return await self._answer(session)

    async def _row(self, service: str | None) -> SessionRow | None:
        try:
            name = service if service is not None else self._sights.config(None)[0]
        except ConfigError:  # which one is meant is clear where only one runs
            running = await self._place.run(sessions.unstopped)
            if len(running) != 1:
                raise
            name = running[0]
        return await self._place.run(lambda con: sessions.get(con, name))

    async def _free(self, caller: Caller, name: str) -> None:
        """Cancel this client's own attempts on the service and wait for their end; others are respected."""
        await self._take_over()
        for each in await self._on(name):
            self._respect(caller, each)
            await self._place.run(partial(attempts.cancel, attempt_id=each.id, by=caller.shown))
        with anyio.move_on_after(CANCEL_S):
            while await self._on(name):
                await anyio.sleep(POLL_S)

    async def _on(self, name: str) -> list[Attempt]:
        return [each for each in await self._place.run(attempts.unfinished) if each.service == name]

    def _respect(self, caller: Caller, attempt: Attempt) -> None:
        if attempt.lease != caller.lease:
            raise ServiceInUse(f"{attempt.test} of {attempt.by} runs on {attempt.service}", attempt=attempt.id)

    async def _end(self, caller: Caller, name: str) -> None:
        async with self._boots.alone(caller.shown, name):
            for each in await self._on(name):  # begun since: it has the service or waits for us to let go of the lock
                if each.state is not AttemptState.QUEUED:
                    self._respect(caller, each)
            row = await self._place.run(lambda con: sessions.get(con, name))
            job = self._sights.job(row)
            if job is not None and job.live:
                job = await jobs.stop(self._place.layout.jobs, job.id)
            last = max(job.generation if job else 0, row.first_generation if row else 0)
            now = self._place.now()
            await self._place.run(lambda con: sessions.stopped(con, name, now, last))


def _told(session: Session) -> tuple[str, dict[str, str]]:
    """How a start ended, for the guard to compare: which life of the process it is tells nothing."""
    if session.state is SessionState.FAILED:
        return "error", {"state": session.state.value, "error": session.cause or session.stage}
    return "ok", {"state": session.state.value}


def _carried(breaker: Breaker, limit: int) -> str | None:
    """Reds of before that count on, so that nobody is surprised by the next one."""
    if not breaker.reds:
        return None
    last = breaker.reds[-1]
    return f"{breaker.consecutive} of {limit} reds in a row counted already, the last {when(last.at)}: {last.test}"
