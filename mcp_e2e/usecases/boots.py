"""Starting a service once, however many ask for it at the same time, and waiting for it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from mcp_e2e.adapters.spec import liveness_seen_by_keeper, missing_program, seen_by_keeper, service_env, service_spec
from mcp_e2e.contracts import Progress
from mcp_e2e.errors import ServiceUnavailable, SetupError
from mcp_e2e.model.jobs import Job, JobSpec, JobState, ProcessIdentity, Readiness
from mcp_e2e.model.services import ServiceSpec, Session, SessionState
from mcp_e2e.process import identity, jobs, locks, probes
from mcp_e2e.process.environment import service_environment
from mcp_e2e.process.records import may_have_leftovers
from mcp_e2e.settings import ServiceConfig, expand
from mcp_e2e.store import sessions
from mcp_e2e.store.sessions import SessionRow
from mcp_e2e.usecases.adopting import Adopting
from mcp_e2e.usecases.rebuilding import restore_session
from mcp_e2e.usecases.sights import Sights
from mcp_e2e.usecases.workplace import Workplace

POLL_S = 0.2
LOCK_S = 60.0
MIB = 1 << 20
_SETTLED = frozenset({SessionState.READY, SessionState.FAILED, SessionState.STOPPED})


class Boots:
    def __init__(self, place: Workplace, sights: Sights) -> None:
        self._place = place
        self._sights = sights
        self._adopting = Adopting(place)
        self._left_alone: dict[str, ProcessIdentity | None] = {}  # job: the dead keeper that we could not follow

    @asynccontextmanager
    async def alone(self, by: str, name: str) -> AsyncIterator[None]:
        """Only one process at a time starts or stops a service. Raises LockHeld after ``LOCK_S``."""
        lock = locks.FileLock(self._place.layout.locks / f"session-{name}.lock")
        await lock.acquire(LOCK_S, holder=by)
        try:
            yield
        finally:
            lock.release()

    async def ensure(self, by: str, name: str, wanted: Callable[[], Awaitable[bool]] | None = None) -> None:
        """Start the service for ``by`` unless its session lives, or nobody wants it any more when its turn has come.

        What has its port already is adopted where it is provably this service.

        Raises:
            PortTaken: a stranger, not provably this service, listens on its port.
            LaunchError, SetupError: it could not be started.
        """
        _, config = self._sights.config(name)
        if config.attached:
            return
        async with self.alone(by, name):
            row = await self._place.run(lambda con: sessions.get(con, name))
            job = self._sights.job(row)
            if (job is not None and job.live) or _adopted_lives(row) or (wanted is not None and not await wanted()):
                return
            if running := await anyio.to_thread.run_sync(self._unknown, name):
                await self._place.run(partial(restore_session, job=running))
                return
            if job is not None and may_have_leftovers(job):  # its keeper and itself were killed, not its children
                await jobs.stop(self._place.layout.jobs, job.id)
            if config.port and not probes.port_is_free(config.port):
                spec, env = self._spec(name, config, config.port)
                path = service_environment(self._place.environ, env, "").get("PATH")
                await self._adopting.adopt(by, spec, path, _next_generation(row, job))
                return
            await self._launch(by, name, config, row, job)

    def _unknown(self, name: str) -> Job | None:
        """A job of this service that runs without a session: the database was lost while it started."""
        found = (job for job in jobs.list_jobs(self._place.layout.jobs) if job.labels.get("service") == name)
        return next((job for job in found if job.live), None)

    async def adopt_orphans(self) -> None:
        """Services whose keepers were killed get new ones, whoever started them."""
        for name in await self._place.run(sessions.unstopped):
            try:
                job = self._sights.job(await self._place.run(partial(sessions.get, service=name)))
            except ServiceUnavailable:  # of another version: whoever asks for it is told
                continue
            if job is None or job.state is not JobState.ORPHAN:
                continue
            if job.id in self._left_alone and self._left_alone[job.id] == job.keeper:
                continue
            if not await jobs.adopt(self._place.layout.jobs, job.id):
                self._left_alone[job.id] = job.keeper  # somebody was quicker, or its keeper.err says why not

    async def newer_code(self, session: Session) -> list[str]:
        """Files of ``reload_on`` that are newer than the process which has loaded them, the newest first."""
        _, config = self._sights.config(session.service)
        if session.attached or not config.reload_on or session.started_at is None:
            return []
        folder, begun = self._place.settings().folder(config.cwd), session.started_at
        return await anyio.to_thread.run_sync(_newer, folder, config.reload_on, begun, self._place.now())

    async def reload(self, by: str, session: Session) -> bool:
        """Stop that life of the service and start the next; False when it is over already."""
        name = session.service
        _, config = self._sights.config(name)
        async with self.alone(by, name):
            row = await self._place.run(lambda con: sessions.get(con, name))
            job = self._sights.job(row)
            if job is not None and job.live and job.generation == session.generation:
                job = await jobs.stop(self._place.layout.jobs, job.id)
                await self._launch(by, name, config, row, job)
                return True
        return False

    async def _launch(
        self, by: str, name: str, config: ServiceConfig, row: SessionRow | None, last: Job | None
    ) -> None:
        job_id = jobs.new_job_id()
        spec, env = self._spec(name, config, await self._port(name, config))
        cwd, outputs = spec.cwd, spec.outputs
        full = service_environment(self._place.environ, env, job_id)
        if problem := missing_program(spec.argv, cwd, full.get("PATH")):
            raise SetupError(f"service {name}: {problem}", remedy=f"Correct services.{name}.command.")
        looks = {"ready": seen_by_keeper(config, spec.port), "liveness": liveness_seen_by_keeper(config, spec.port)}
        for key, look in looks.items():
            if look and look.exec and (problem := missing_program(look.exec, cwd, full.get("PATH"))):
                raise SetupError(f"service {name}: {key}.exec: {problem}", remedy=f"Correct services.{name}.{key}.")
        outputs.mkdir(parents=True, exist_ok=True)
        first = _next_generation(row, last)
        now, title = self._place.now(), self._place.masked(" ".join(spec.argv))[:200]
        new = SessionRow(name, job_id, spec.hash, spec.port, spec.url, outputs, first, now, by)
        await self._place.run(lambda con: sessions.put(con, new))
        await self._place.run(lambda con: sessions.add_job(con, job_id, f"service {name}", title, by, now))
        await jobs.launch(self._place.layout.jobs, self._job(by, spec, config, job_id, full, first, looks))

    def _spec(self, name: str, config: ServiceConfig, port: int) -> tuple[ServiceSpec, dict[str, str]]:
        """What the configuration would start on ``port``, and its ``env``, filled and expanded."""
        loaded, outputs = self._place.settings(), self._place.layout.outputs / name
        known, cwd = loaded.environment(self._place.environ), loaded.folder(config.cwd)
        spec = service_spec(name, config, cwd=cwd, port=port, outputs=outputs, env=expand(config.env, known))
        return spec, expand(service_env(config, port, outputs), known)

    def _job(
        self,
        by: str,
        spec: ServiceSpec,
        config: ServiceConfig,
        job_id: str,
        env: Mapping[str, str],
        first_generation: int,
        looks: Mapping[str, Readiness | None],
    ) -> JobSpec:
        return JobSpec(
            id=job_id,
            kind="service",
            argv=spec.argv,
            cwd=spec.cwd,
            env=env,
            labels={  # all that its session is made of, should the database be lost
                "service": spec.name,
                "port": str(spec.port),
                "url": spec.url,
                "outputs": str(spec.outputs),
                "spec_hash": spec.hash,
                "by": by,
            },
            stop_grace_s=spec.stop_grace_s,
            restart=spec.restart,
            first_generation=first_generation,
            ready=looks["ready"],
            liveness=looks["liveness"],
            liveness_every_s=config.liveness_every_s,
            log_keep_bytes=config.log_keep_mb * MIB,
            idle_stop_s=config.idle_stop_s,
            leases=self._place.layout.leases,
        )

    async def _port(self, name: str, config: ServiceConfig) -> int:
        if config.port is None:
            return 0
        if config.port == 0:
            return probes.free_port()
        if probes.port_is_free(config.port):
            return config.port
        owner = await anyio.to_thread.run_sync(probes.port_owner, config.port)
        raise await self._adopting.taken(self._spec(name, config, config.port)[0], owner)

    async def wait_ready(self, name: str, wait_seconds: float, progress: Progress | None = None) -> Session:
        """Look until the session is ready, failed or stopped, at most ``wait_seconds``; never ends a slow boot."""
        begun = anyio.current_time()
        session = await self._sights.look(name)
        while session.state not in _SETTLED and anyio.current_time() - begun < wait_seconds:
            if progress is not None:
                waited = anyio.current_time() - begun
                await progress(waited, None, self._place.masked(f"{name}: {session.stage}"))
            await anyio.sleep(POLL_S)
            session = await self._sights.look(name)
        return session

    async def estimate(self, name: str) -> float | None:
        """Seconds the latest boots took, the median; None before the first."""
        took = sorted(await self._place.run(lambda con: sessions.boots(con, name)))
        return took[len(took) // 2] if took else None


def _adopted_lives(row: SessionRow | None) -> bool:
    return bool(row and row.adopted and row.stopped_at is None and identity.is_alive(row.adopted.process))


def _next_generation(row: SessionRow | None, last: Job | None) -> int:
    return max(last.generation if last else 0, row.first_generation if row else 0) + 1


def _newer(folder: Path, patterns: list[str], begun: float, now: float) -> list[str]:
    """Blocks while it walks. A time in the future says nothing of when a file was edited."""
    found: dict[str, float] = {}
    for pattern in patterns:
        for path in folder.glob(pattern):
            with suppress(OSError):  # gone meanwhile
                if path.is_file() and begun < (at := path.stat().st_mtime) <= now:
                    found[path.relative_to(folder).as_posix()] = at
    return sorted(found, key=lambda name: -found[name])
