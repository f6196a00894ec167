"""What listens on a service's port already: adopted where it is provably that service, else named and left alone."""

import hashlib
import json
from collections.abc import Sequence
from functools import partial

import anyio.to_thread

from mcp_e2e.adapters.comfyui.command_line import CommandLine, command_line, differences, why_another
from mcp_e2e.adapters.comfyui.looking import look
from mcp_e2e.decisions.lifecycle import state_of
from mcp_e2e.errors import PortTaken
from mcp_e2e.model.services import Adopted, Health, ServiceSpec, Session, SessionState
from mcp_e2e.process import identity, jobs, probes
from mcp_e2e.process.probes import PortOwner
from mcp_e2e.store import sessions
from mcp_e2e.store.sessions import SessionRow
from mcp_e2e.usecases.neighbours import MOST, running_elsewhere, shown
from mcp_e2e.usecases.origins import described, started_as
from mcp_e2e.usecases.workplace import Workplace

_Two = tuple[CommandLine, CommandLine]


class Adopting:
    def __init__(self, place: Workplace) -> None:
        self._place = place

    async def adopt(self, by: str, spec: ServiceSpec, path: str | None, generation: int) -> None:
        """Make what has the port of ``spec`` its session, as that ``generation``; ``path``: the command's $PATH.

        Raises:
            PortTaken: it is not provably this service.
        """
        owner = await anyio.to_thread.run_sync(probes.port_owner, spec.port)
        health = await look(spec.url) if spec.kind == "comfyui" and owner is not None else None
        if owner is None or health is None or not health.answering:
            raise await self.taken(spec, owner)
        found = await anyio.to_thread.run_sync(_proven, spec, path, owner, health)
        ours = await anyio.to_thread.run_sync(self._ours, spec.port)
        if isinstance(found, str) or owner.process is None or ours:
            raise await self.taken(spec, owner, health, found if isinstance(found, str) else None)
        wanted, running = found
        differs = self._place.masked(differences(wanted, running))
        adopted = Adopted(owner.process, said(health.argv), owner.created_at, differs)
        now = self._place.now()
        row = SessionRow(
            spec.name, None, spec.hash, spec.port, spec.url, running.outputs, generation, now, by, adopted=adopted
        )
        await self._place.run(partial(sessions.put, session=row))

    async def taken(
        self, spec: ServiceSpec, owner: PortOwner | None, health: Health | None = None, why: str | None = None
    ) -> PortTaken:
        """The error that names who has the port, of a ComfyUI why it is not this service, and which others run."""
        ours = await anyio.to_thread.run_sync(self._ours, spec.port)
        who = f"by {described(owner)}" if owner else "by another program"
        whose = f"as service {ours} of this project" if ours else "which this project did not start"
        what = f": ComfyUI {health.version}, not provably this service, for {why}" if health and why else ""
        others = await anyio.to_thread.run_sync(running_elsewhere, self._place.layout.jobs)
        beside = [shown(other) for other, _ in others if other.port != spec.port and spec.kind == "comfyui"]
        also = f". Other ComfyUIs here: {', '.join(beside[:MOST])}" if beside else ""
        return PortTaken(
            f"service {spec.name}: port {spec.port} is in use already {who}, {whose}{what}{also}",
            remedy=f"Stop that program yourself, set port = 0, or, to test against it as it is, replace command by "
            f'url = "http://127.0.0.1:{spec.port}" in [services.{spec.name}].',
            port=spec.port,
        )

    def _ours(self, port: int) -> str | None:
        """Which service of this project runs on the port."""
        live = (job for job in jobs.list_jobs(self._place.layout.jobs) if job.live)
        return next((job.labels["service"] for job in live if job.labels.get("port") == str(port)), None)


def _proven(spec: ServiceSpec, path: str | None, owner: PortOwner, health: Health) -> _Two | str:
    """The command lines of service and process when they are one program in one folder, else why they are not.

    Blocks. The answer has to be the process's own: it says what the process was started with, which lives still,
    and nobody else listens there.
    """
    wanted = command_line(spec.argv, spec.cwd, path)
    running = command_line(owner.cmdline, spec.cwd / owner.cwd, owner.path or None) if owner.cwd else None
    if wanted is None:
        return "the service's command names no main.py to compare with"
    if running is None:
        return "its own command line or folder does not tell"
    if health.argv is None or not started_as(owner.cmdline, health.argv):
        return "what answers was not started as the process that listens"
    if owner.process is None or probes.strangers_on(owner.process, spec.port):
        return "more than one process listens there"
    return why_another(wanted, running) or (wanted, running)


def said(argv: Sequence[str] | None) -> str:
    return hashlib.sha256(json.dumps(argv).encode()).hexdigest()


def _alone(adopted: Adopted, port: int) -> bool:
    """Whatever it says by now, nobody else listens there: a custom node has changed ``sys.argv``."""
    return probes.owns_port(adopted.process, port) and not probes.strangers_on(adopted.process, port)


async def look_at_adopted(row: SessionRow, adopted: Adopted, kind: str) -> Session:
    """The session as it stands now: the very process that was adopted, and whether it answers as it did then."""
    alive = identity.is_alive(adopted.process)
    health = await look(row.url) if alive else Health(False, "ended")
    same = said(health.argv) == adopted.said or await anyio.to_thread.run_sync(_alone, adopted, row.port)
    state = state_of(
        job_live=alive, job_exit_reason=None, wanted=True, was_ready=True, answering=health.answering and same
    )
    died = f"the adopted ComfyUI (pid {adopted.process.pid}) has ended, by somebody else; the next start is our own"
    return Session(
        service=row.service,
        kind=kind,
        state=state,
        stage=health.stage if same or not health.answering else "another program answers on the port",
        generation=row.first_generation,
        url=row.url,
        pid=adopted.process.pid if alive else None,
        attached=True,
        adopted=True,
        differs=adopted.differs,
        health=health,
        since=row.started_at,
        started_at=adopted.started_at,
        ready_at=adopted.started_at,
        outputs=row.outputs,
        cause=died if state is SessionState.FAILED else None,
    )
