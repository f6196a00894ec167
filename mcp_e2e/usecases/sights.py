"""How a service is now: the keeper's facts and one look at its address, put together."""

from contextlib import suppress

import anyio
import anyio.to_thread

from mcp_e2e.adapters import ADAPTERS
from mcp_e2e.adapters.spec import ready_rule, service_spec
from mcp_e2e.decisions.lifecycle import state_of
from mcp_e2e.decisions.verdict import how_lost
from mcp_e2e.errors import ConfigError, NotFound, ServiceUnavailable, StoreError, UsageError
from mcp_e2e.model.jobs import Job, JobState
from mcp_e2e.model.services import Health, Session, SessionState
from mcp_e2e.process import identity, jobs, probes, sandbox
from mcp_e2e.settings import ServiceConfig, UnsetVariable, expand
from mcp_e2e.store import sessions
from mcp_e2e.store.sessions import SessionRow
from mcp_e2e.usecases.workplace import Workplace

HUNG = "it did not answer three looks in a row (liveness)"


class Sights:
    def __init__(self, place: Workplace) -> None:
        self._place = place

    def config(self, service: str | None) -> tuple[str, ServiceConfig]:
        """The named service, or the first one.

        Raises:
            ConfigError: no service is configured.
            UsageError: there is none of that name.
        """
        loaded = self._place.settings()
        loaded.needs_file()
        services = loaded.settings.services
        if not services:
            raise UsageError("no service is configured", remedy="Add a [services.NAME] table to mcp-e2e.toml.")
        name = service or next(iter(services))
        if name not in services:
            raise UsageError(f"there is no service {name!r}", remedy=f"Configured are: {', '.join(services)}.")
        return name, services[name]

    def job(self, row: SessionRow | None) -> Job | None:
        """The keeper's job of a session; ServiceUnavailable where it is of another version of mcp_e2e."""
        if row is None or row.job is None:
            return None
        try:
            return jobs.look(self._place.layout.jobs, row.job)
        except NotFound:
            return None
        except StoreError as error:
            raise ServiceUnavailable(error.message, remedy=error.advice, **error.facts) from error

    async def look(self, name: str) -> Session:
        """The session as it stands now: keeper's facts and one probe."""
        _, config = self.config(name)
        if config.url is not None:
            return await self._attached(name, config, config.url)
        row = await self._place.run(lambda con: sessions.get(con, name))
        job = self.job(row)
        if row is None or job is None:
            return Session(name, config.kind, SessionState.STOPPED, "not running", row.first_generation if row else 0)
        health = await self._health(config, row, job)
        ready_at = await self._ready_at(name, job, health)
        started = job.lives[-1].started_at if job.lives else row.started_at
        state = state_of(
            job_live=job.live,
            job_exit_reason=job.exit.reason if job.exit else None,
            wanted=job.state is not JobState.STOPPING and row.stopped_at is None,
            was_ready=ready_at is not None,
            answering=health.answering,
        )
        return Session(
            service=name,
            kind=config.kind,
            state=state,
            stage=_stage(job, health, self._place.now()),
            generation=job.generation,
            url=row.url or None,
            job=job.id,
            pid=job.process.pid if job.process and job.live and identity.is_alive(job.process) else None,
            slow=state is SessionState.STARTING and self._place.now() - started > config.slow_after_s,
            ends_with_client=job.live and sandbox.ends_with_client(job.layers),
            config_changed=self._changed(name, config, row) if job.live else False,
            health=health,
            since=row.started_at,
            started_at=started,
            ready_at=ready_at,
            ready_after_s=round(ready_at - started, 3) if ready_at is not None else None,
            outputs=row.outputs,
            log=job.log,
            log_offset=job.lives[-1].log_offset if job.lives else 0,
            cause=_cause(job) if state is SessionState.FAILED else _restarted_for(job),
        )

    async def after_stop(self, name: str) -> Session:
        """As ``look``, also for a service that is not configured any more."""
        with suppress(ConfigError):  # it is stopped all the same
            if name in self._place.settings().settings.services:
                return await self.look(name)
        row = await self._place.run(lambda con: sessions.get(con, name))
        return Session(name, "command", SessionState.STOPPED, "not running", row.first_generation if row else 0)

    async def _attached(self, name: str, config: ServiceConfig, url: str) -> Session:
        health = await ADAPTERS[config.kind].look(url, ready_rule(config.ready))
        state = SessionState.READY if health.answering else SessionState.FAILED
        cause = (
            None if health.answering else f"{health.detail or health.stage} It is attached by url: start it yourself."
        )
        return Session(name, config.kind, state, health.stage, 1, url, attached=True, health=health, cause=cause)

    async def _health(self, config: ServiceConfig, row: SessionRow, job: Job) -> Health:
        if job.state is not JobState.RUNNING and job.state is not JobState.ORPHAN:
            return Health(False, job.state.value)
        rule = ready_rule(config.ready)
        if rule.log or rule.exec:
            seen = bool(job.lives and job.lives[-1].ready_at)
            return Health(seen, "ready" if seen else f"waiting for ready.{'log' if rule.log else 'exec'}")
        if not row.url:
            return Health(True, "running")
        health = await ADAPTERS[config.kind].look(row.url, ready_rule(config.ready))
        if health.answering and config.owner == "tree" and not await self._ours(job, row.port):
            return Health(False, "another program answers on the port", "The answer does not come from our process.")
        return health

    async def _ours(self, job: Job, port: int) -> bool:
        root = job.keeper or job.process  # below its keeper a daemon that left the process's tree is still found
        if root is None:
            return False
        if await self._place.run(lambda con: sessions.ready_at(con, job.id, job.generation)) is not None:
            return True
        return await anyio.to_thread.run_sync(probes.owns_port, root, port)

    async def _ready_at(self, name: str, job: Job, health: Health) -> float | None:
        generation, now = job.generation, self._place.now()
        if health.answering and job.lives and not self._place.reads_only:
            life = job.lives[-1]
            began, at = life.started_at, min(now, life.ready_at or now)  # its keeper may have seen it before anybody
            await self._place.run(lambda con: sessions.record_boot(con, name, job.id, generation, began, at))
        return await self._place.run(lambda con: sessions.ready_at(con, job.id, generation))

    def _changed(self, name: str, config: ServiceConfig, row: SessionRow) -> bool:
        loaded = self._place.settings()
        try:
            env = expand(config.env, loaded.environment(self._place.environ))
        except UnsetVariable:  # this process lacks a secret that the running service has
            return False
        cwd = loaded.folder(config.cwd)
        spec = service_spec(name, config, cwd=cwd, port=row.port, outputs=row.outputs, env=env)
        return spec.hash != row.spec_hash


def _stage(job: Job, health: Health, now: float) -> str:
    if job.state is JobState.BACKOFF and job.retry_at is not None:
        why = "did not answer" if job.lives and job.lives[-1].cause else "died"
        return f"{why}, restarting in {max(0.0, job.retry_at - now):.0f} s"
    if not job.live:
        return "ended"
    return health.stage


def _restarted_for(job: Job) -> str | None:
    """Why its keeper ended the life before, where it did."""
    before = [life for life in job.lives if life.ended_at is not None][-1:]
    return f"generation {before[0].generation} was ended: {HUNG}" if before and before[0].cause else None


def _cause(job: Job) -> str:
    """Why a session failed, in a sentence."""
    if job.exit is None:
        return f"{how_lost(job)}; how its process ended is not known"
    code, number = job.exit.exit_code, job.exit.signal
    ended = f"signal {number}" if number is not None else f"exit code {code}"
    if job.lives and job.lives[-1].cause:
        ended = f"{ended}, for {HUNG}"
    return {
        "crash_loop": f"it died {len(job.lives)} times, last with {ended}; restarts are used up",
        "fatal_exit": f"it ended with {ended}, which is not tried again",
        "liveness": f"its process was ended: {HUNG}",
        "idle": "it was stopped because no server was left on the project (idle_stop_s)",
        "exec_failed": job.exit.error or "it could not be started",
    }.get(job.exit.reason, f"it ended by itself with {ended}")
