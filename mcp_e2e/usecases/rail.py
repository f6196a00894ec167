"""The guard rail before a command runs: the plainly destructive needs a person's word, our own state is nobody's."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from sqlite3 import Connection

import anyio.to_thread

from mcp_e2e.decisions.policy import Concern, concerns
from mcp_e2e.errors import Forbidden, NeedsConfirmation, NotFound, StoreError
from mcp_e2e.model.jobs import ResourceLimits
from mcp_e2e.process import jobs
from mcp_e2e.settings import ExecConfig
from mcp_e2e.store import sessions
from mcp_e2e.store.sessions import SessionRow
from mcp_e2e.usecases.workplace import Workplace

MIB = 1 << 20


class Rail:
    def __init__(self, place: Workplace) -> None:
        self._place = place

    async def check(self, command: str | None, argv: Sequence[str] | None, cwd: Path, *, confirmed: bool) -> None:
        """Before anything starts, by ``[exec] policy``.

        Raises:
            Forbidden: it would touch our own state or processes, or is destructive where that is refused.
            NeedsConfirmation: it may destroy what cannot be got back, and nobody has agreed yet.
        """
        policy = self._place.settings().settings.exec.policy
        if policy == "off":
            return
        running = await self._place.run(_services)
        found = await anyio.to_thread.run_sync(self._concerns, command, argv, cwd, running)
        tampering = [concern.what for concern in found if concern.kind == "tampering"]
        if tampering:
            raise Forbidden(f"the command was not run: it {'; it '.join(tampering[:3])}", policy="tampering")
        if found and policy == "refuse":
            raise Forbidden(
                f"the command was not run: it {found[0].what}",
                remedy='[exec] policy = "refuse" holds for agents; the user can run it in their own terminal.',
                policy="destructive",
            )
        if found and not confirmed:
            raise NeedsConfirmation(f"the command was not run yet: it {found[0].what}", policy="destructive")

    def _concerns(
        self, command: str | None, argv: Sequence[str] | None, cwd: Path, running: list[SessionRow]
    ) -> tuple[Concern, ...]:
        loaded = self._place.settings()
        return concerns(
            command=command,
            argv=argv,
            cwd=str(cwd),
            project=str(loaded.project.resolve()),
            state_dir=str(loaded.state_dir.resolve()),
            home=str(Path(self._place.environ.get("HOME") or "~").expanduser()),
            protected=self._protected(running),
        )

    def _protected(self, running: list[SessionRow]) -> dict[int, str]:
        """Processes that are not the command's to signal: this server, and the services with their keepers."""
        found = {os.getpid(): "this server"}
        for row in running:
            if row.adopted is not None:
                found[row.adopted.process.pid] = f"service {row.service}, which somebody else started"
            with suppress(NotFound, StoreError):
                job = jobs.look(self._place.layout.jobs, row.job or "")
                found |= {job.process.pid: f"service {row.service}"} if job.process else {}
                found |= {job.keeper.pid: f"the keeper of service {row.service}"} if job.keeper else {}
        return found


def _services(con: Connection) -> list[SessionRow]:
    rows = (sessions.get(con, name) for name in sessions.unstopped(con))
    return [row for row in rows if row is not None]


def limits(config: ExecConfig) -> ResourceLimits:
    """What the whole tree of a command may use."""
    return ResourceLimits(
        memory_bytes=config.memory_mb * MIB if config.memory_mb else None,
        processes=config.processes,
        file_bytes=config.file_mb * MIB if config.file_mb else None,
    )
