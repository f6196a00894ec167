"""What outside notices are read from: the events table, where open attempts stand, and the configuration's files.

Services, jobs and servers change without a call. Whoever follows looks at them now and then and tells what is new as
an event, so that it is one truth for all who follow, in any process.
"""

import math
from functools import partial
from pathlib import Path
from sqlite3 import Connection

import anyio
import anyio.to_thread

from mcp_e2e.decisions.notices import Marks, changed
from mcp_e2e.errors import ConfigError, E2EError
from mcp_e2e.model.services import Session
from mcp_e2e.process import jobs, locks
from mcp_e2e.store import attempts, events, observed
from mcp_e2e.usecases.sights import Sights
from mcp_e2e.usecases.workplace import Workplace

OBSERVE_S = 1.0
_JOB, _SERVICE, _SERVERS = "job/", "service/", "servers"


class Notices:
    def __init__(self, place: Workplace, sights: Sights) -> None:
        self._place = place
        self._sights = sights
        self._observed = -math.inf

    async def marks(self) -> Marks:
        """How things stand, for ``since``."""
        config = self._place.source.stamp()
        try:
            await self._observe()
            number, live = await self._place.run(_moving)
        except E2EError as error:
            return Marks(config=config, fault=error.message)
        return Marks(number, live, config)

    async def since(self, before: Marks) -> tuple[Marks, set[str]]:
        """How things stand now, and which resources (``status``, ``runs/{run}``) read otherwise than ``before``."""
        after = await self.marks()
        runs: set[str] = set()
        if after.event != before.event and not after.fault:
            runs = await self._place.run(partial(events.runs_since, number=before.event))
        return after, changed(before, after, runs)

    async def _observe(self) -> None:
        """Look at what changes without a call; each ``OBSERVE_S`` at most."""
        if self._place.reads_only or anyio.current_time() - self._observed < OBSERVE_S:
            return
        self._observed = anyio.current_time()
        await self._place.open()
        layout = self._place.layout
        known = await self._place.run(partial(observed.under, prefix=_JOB))  # before the look: others look as well
        live = await anyio.to_thread.run_sync(_live, layout.jobs)
        servers = await anyio.to_thread.run_sync(_servers, layout.leases)
        await self._place.run(partial(_note, now=self._place.now(), known=known, live=live, servers=servers))
        for name in self._services():
            await self._place.run(partial(_note_service, now=self._place.now(), session=await self._sights.look(name)))

    def _services(self) -> list[str]:
        try:
            return list(self._place.settings().settings.services)
        except ConfigError:  # which is told; what runs is looked at again once it is corrected
            return []


def _moving(con: Connection) -> tuple[int, dict[str, str]]:
    live = {attempt.id: f"{attempt.state} {dict(attempt.progress)}" for attempt in attempts.unfinished(con)}
    return events.last(con), live


def _live(folder: Path) -> set[str]:
    return {job.id for job in jobs.list_jobs(folder, ended_since=math.inf) if job.live}


def _servers(folder: Path) -> list[str]:
    """Servers that live; command lines come and go within a look."""
    found = locks.leases(folder, sweep=False)
    return [lease.id for lease in found if lease.alive and lease.description.get("door") == "mcp"]


def _note(con: Connection, now: float, known: set[str], live: set[str], servers: list[str]) -> None:
    for job in live:
        observed.note(con, f"{_JOB}{job}", "live", "job.started", now, job=job)
    for subject in sorted(known - {f"{_JOB}{job}" for job in live}):
        observed.forget(con, subject, "job.ended", now, job=subject.removeprefix(_JOB))
    observed.note(con, _SERVERS, " ".join(servers), "servers", now, servers=len(servers))


def _note_service(con: Connection, now: float, session: Session) -> None:
    stage = session.stage.split(",")[0]  # "died, restarting in 3 s" is one state, not three
    state = f"{session.state} {session.generation} {stage}"
    facts = {"service": session.service, "state": session.state.value, "stage": stage, "generation": session.generation}
    observed.note(con, f"{_SERVICE}{session.service}", state, "session.state", now, **facts)
