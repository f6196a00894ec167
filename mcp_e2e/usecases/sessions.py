"""Sessions: start or join a service, see how it is, stop it. The keeper owns the process, any server may ask."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio

from mcp_e2e.adapters.spec import missing_program, service_spec
from mcp_e2e.contracts import Progress
from mcp_e2e.decisions import next_step
from mcp_e2e.errors import PortTaken, ServiceInUse, ServiceUnavailable
from mcp_e2e.model.answers import SessionAnswer
from mcp_e2e.model.jobs import Job, JobSpec
from mcp_e2e.model.runs import Attempt, Caller
from mcp_e2e.model.services import ServiceSpec, Session, SessionState
from mcp_e2e.process import jobs, locks, probes
from mcp_e2e.process.environment import service_environment
from mcp_e2e.settings import ServiceConfig, expand
from mcp_e2e.store import attempts, sessions
from mcp_e2e.store import breaker as breakers
from mcp_e2e.store.sessions import SessionRow
from mcp_e2e.usecases.gate import Gate
from mcp_e2e.usecases.replies import session_facts
from mcp_e2e.usecases.sights import Sights
from mcp_e2e.usecases.workplace import Workplace

POLL_S = 0.2
CANCEL_S = 15.0
LOCK_S = 60.0
_SETTLED = frozenset({SessionState.READY, SessionState.FAILED, SessionState.STOPPED})


class Sessions:
    """One session per configured service, shared by every process on the project."""

    def __init__(self, place: Workplace, gate: Gate, sights: Sights) -> None:
        self._place = place
        self._gate = gate
        self._sights = sights

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
            await self.ensure(self._place.identified(caller), name)
            session = await self.wait_ready(name, wait_seconds, progress)
            passage.outcome = session.state.value
        return await self._answer(session)

    async def _answer(self, session: Session) -> SessionAnswer:
        facts = session_facts(session, self._place.now())
        usual = await self.boot_estimate(session.service) if facts["elapsed_s"] is not None else None
        breaker = await self._place.run(breakers.load)
        carried = f"{breaker.consecutive} red tests in a row are counted already" if breaker.consecutive else None
        return SessionAnswer(
            **facts,
            eta_s=round(max(0.0, usual - facts["elapsed_s"]), 1) if usual is not None else None,
            carried_over=carried,
            next_step=next_step.after_session(session.state, session.service),
        )

    async def ensure(self, caller: Caller, name: str) -> bool:
        """Start the service unless its session lives; True when it was up already.

        Raises:
            PortTaken: a stranger listens on its port.
            LaunchError: it could not be started.
        """
        _, config = self._sights.config(name)
        if config.attached:
            return True
        lock = locks.FileLock(self._place.layout.locks / f"session-{name}.lock")
        await lock.acquire(LOCK_S, holder=caller.shown)
        try:
            row = await self._place.run(lambda con: sessions.get(con, name))
            job = self._sights.job(row)
            if job is not None and job.live:
                return True
            await self._launch(caller, name, config, row, job)
            return False
        finally:
            lock.release()

    async def _launch(
        self, caller: Caller, name: str, config: ServiceConfig, row: SessionRow | None, last: Job | None
    ) -> None:
        loaded = self._place.settings()
        env = expand(config.env, loaded.environment(self._place.environ))
        cwd = loaded.folder(config.cwd)
        port = await self._port(name, config)
        job_id = jobs.new_job_id()
        outputs = self._place.layout.outputs / name
        outputs.mkdir(parents=True, exist_ok=True)
        spec = service_spec(name, config, cwd=cwd, port=port, outputs=outputs, env=env)
        full = service_environment(self._place.environ, env, job_id)
        if problem := missing_program(spec.argv, cwd, full.get("PATH")):
            raise ServiceUnavailable(f"service {name}: {problem}", remedy=f"Correct services.{name}.command.")
        first = (max(last.generation if last else 0, row.first_generation if row else 0)) + 1
        now = self._place.now()
        new = SessionRow(name, job_id, spec.hash, port, spec.url, outputs, first, now, caller.shown)
        await self._place.run(lambda con: sessions.put(con, new))
        await self._place.run(
            lambda con: sessions.add_job(con, job_id, f"service {name}", " ".join(spec.argv)[:200], caller.shown, now)
        )
        await jobs.launch(self._place.layout.jobs, _service_job(spec, job_id, full, first))

    async def _port(self, name: str, config: ServiceConfig) -> int:
        if config.port is None:
            return 0
        if config.port == 0:
            return probes.free_port()
        if probes.port_is_free(config.port):
            return config.port
        owner = await anyio.to_thread.run_sync(probes.port_owner, config.port)
        who = f"by {owner.name} (pid {owner.pid})" if owner else "by another program"
        raise PortTaken(
            f"service {name}: port {config.port} is in use already {who}, which this project did not start",
            remedy=f"Stop that program yourself, set port = 0, or, to test against it as it is, replace command by "
            f'url = "http://127.0.0.1:{config.port}" in [services.{name}].',
            port=config.port,
        )

    async def wait_ready(self, name: str, wait_seconds: float, progress: Progress | None = None) -> Session:
        """Look until the session is ready, failed or stopped, at most ``wait_seconds``; never ends a slow boot."""
        begun = anyio.current_time()
        session = await self._sights.look(name)
        while session.state not in _SETTLED and anyio.current_time() - begun < wait_seconds:
            if progress is not None:
                waited = anyio.current_time() - begun
                await progress(waited, None, f"{name}: {session.stage}")
            await anyio.sleep(POLL_S)
            session = await self._sights.look(name)
        return session

    async def boot_estimate(self, name: str) -> float | None:
        """Seconds the latest boots took, the median; None before the first."""
        took = sorted(await self._place.run(lambda con: sessions.boots(con, name)))
        return took[len(took) // 2] if took else None

    async def stop(self, caller: Caller, *, service: str | None = None) -> SessionAnswer:
        """End the whole tree of the service and see it gone; an attached one is let go.

        Raises:
            ServiceInUse: another client's attempt runs on it.
        """
        async with self._gate.enter(caller, "stop_session", {"service": service}) as passage:
            name, config = self._sights.config(service)
            caller = self._place.identified(caller)
            if not config.attached:
                await self._free(caller, name)
                await self._stop(caller, name)
            session = await self._sights.look(name)
            passage.outcome = session.state.value
        if config.attached:
            session = replace(session, stage="let go: it is not ours to stop")
        return await self._answer(session)

    async def _free(self, caller: Caller, name: str) -> None:
        """Cancel this client's own attempts on the service; another living client's are respected."""
        running = [each for each in await self._place.run(attempts.unfinished) if each.service == name]
        others = [each for each in running if each.lease != caller.lease and self._alive(each)]
        if others:
            raise ServiceInUse(f"{others[0].test} of {others[0].by} runs on {name}", attempt=others[0].id)
        for each in running:
            await self._place.run(partial(attempts.cancel, attempt_id=each.id, by=caller.shown))
        with anyio.move_on_after(CANCEL_S):
            while any(each.service == name for each in await self._place.run(attempts.unfinished)):
                await anyio.sleep(POLL_S)

    def _alive(self, attempt: Attempt) -> bool:
        return locks.is_alive(self._place.layout.leases, attempt.lease)

    async def _stop(self, caller: Caller, name: str) -> None:
        lock = locks.FileLock(self._place.layout.locks / f"session-{name}.lock")
        await lock.acquire(LOCK_S, holder=caller.shown)
        try:
            row = await self._place.run(lambda con: sessions.get(con, name))
            job = self._sights.job(row)
            if job is not None and job.live:
                job = await jobs.stop(self._place.layout.jobs, job.id)
            last = max(job.generation if job else 0, row.first_generation if row else 0)
            now = self._place.now()
            await self._place.run(lambda con: sessions.stopped(con, name, now, last))
        finally:
            lock.release()


def _service_job(spec: ServiceSpec, job_id: str, env: Mapping[str, str], first_generation: int) -> JobSpec:
    return JobSpec(
        id=job_id,
        kind="service",
        argv=spec.argv,
        cwd=Path(spec.cwd),
        env=env,
        labels={"service": spec.name},
        stop_grace_s=spec.stop_grace_s,
        restart=spec.restart,
        first_generation=first_generation,
    )
