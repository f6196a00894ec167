"""How a service is now: the keeper's facts and one look at its address, put together."""

from contextlib import suppress
from dataclasses import replace

import anyio
import anyio.to_thread

from mcp_e2e.adapters import ADAPTERS
from mcp_e2e.adapters.spec import ready_rule, service_spec
from mcp_e2e.decisions import telling
from mcp_e2e.decisions.lifecycle import state_of
from mcp_e2e.errors import ConfigError, NotFound, ServiceUnavailable, StoreError, UsageError
from mcp_e2e.model.jobs import Job, JobState
from mcp_e2e.model.services import Boot, Health, Session, SessionState
from mcp_e2e.process import identity, jobs, sandbox
from mcp_e2e.settings import ServiceConfig, UnsetVariable, expand
from mcp_e2e.store import sessions
from mcp_e2e.store.sessions import SessionRow
from mcp_e2e.usecases.adopting import look_at_adopted
from mcp_e2e.usecases.bootlogs import BootLogs, why_ended
from mcp_e2e.usecases.origins import Origins
from mcp_e2e.usecases.workplace import Workplace


class Sights:
    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._logs = BootLogs()
        self._origins = Origins()

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
        if row is not None and row.adopted is not None and row.stopped_at is None:
            session = await look_at_adopted(row, row.adopted, config.kind)
            return replace(session, config_changed=session.pid is not None and self._changed(name, config, row))
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
        boot = await self._logs.boot(ADAPTERS[config.kind], name, job, ready=state is SessionState.READY)
        return Session(
            service=name,
            kind=config.kind,
            state=state,
            stage=telling.stage(job, health, boot, self._place.now()),
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
            failed_nodes=boot.failed,
            cause=await self._cause(config, row, job, state, health, boot),
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
        if health.answering and config.owner == "tree":
            ready = await self._place.run(lambda con: sessions.ready_at(con, job.id, job.generation))
            told = await self._origins.stranger(job, row.port, health, was_ready=ready is not None)
            return Health(False, telling.STRANGE, told) if told else health
        return health

    async def _cause(
        self, config: ServiceConfig, row: SessionRow, job: Job, state: SessionState, health: Health, boot: Boot
    ) -> str | None:
        dead = state is SessionState.FAILED or job.state is JobState.BACKOFF
        tells = await anyio.to_thread.run_sync(why_ended, ADAPTERS[config.kind], job) if dead else None
        if state is SessionState.FAILED:
            return telling.why_failed(job, tells)
        why = telling.why_not_ready(row.port, health, boot) if state is SessionState.STARTING else None
        return tells or why or telling.restarted_for(job)

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
