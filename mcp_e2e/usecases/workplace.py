"""What all use-cases of one process share: configuration, folders, database, lease and background tasks."""

import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import Literal, TypeVar

import anyio
from anyio.abc import TaskGroup

from mcp_e2e.errors import ConfigError, StoreError
from mcp_e2e.model.calls import Breaker, Limits
from mcp_e2e.model.runs import Caller
from mcp_e2e.process.locks import FileLock, Lease
from mcp_e2e.process.redaction import Redactor
from mcp_e2e.process.spare import Spare
from mcp_e2e.settings import Loaded, Source
from mcp_e2e.store import breaker as breakers
from mcp_e2e.store.database import Database, open_database
from mcp_e2e.store.layout import Layout
from mcp_e2e.store.opening import Founding, ReadsOnly
from mcp_e2e.usecases.incidents import Uncleared, in_force, keep
from mcp_e2e.usecases.masking import blanked, redactor_of
from mcp_e2e.usecases.rebuilding import alone, rebuild
from mcp_e2e.usecases.tracing import Tracing

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Opened:
    """The state of a project once its folder and database are open."""

    layout: Layout
    database: Database
    lease: Lease
    uncleared: Uncleared


class Workplace:
    """Opened at the first call that needs it, because a server starts even where the configuration is broken."""

    def __init__(
        self,
        source: Source,
        environ: Mapping[str, str],
        *,
        client: str,
        door: Literal["mcp", "cli"],
        person: bool = False,
        reads_only: ReadsOnly = False,
        tracing: Tracing | None = None,
        tasks: TaskGroup,
        stack: AsyncExitStack,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``reads_only``: inside a job, and for a mere look: the private part of the state folder is not written."""
        self.source = source
        self.reads_only = reads_only
        self.spare = Spare()
        stack.callback(self.spare.close)
        self.environ = environ
        self.hidden: set[str] = set()  # secrets of this process's own
        self.tracing = tracing or Tracing()
        self.tasks = tasks
        self.now = now
        self._client = client
        self._door: Literal["mcp", "cli"] = door
        self._person = person
        self._stack = stack
        self._opening = anyio.Lock()
        self._opened: Opened | None = None

    def settings(self) -> Loaded:
        """The configuration as the file says it now.

        Raises:
            ConfigError: it is missing or wrong.
        """
        return self.source.current()

    @property
    def here(self) -> Opened:
        """The opened state; only after ``open``."""
        if self._opened is None:
            raise RuntimeError("the workplace is not open yet")
        return self._opened

    @property
    def is_open(self) -> bool:
        return self._opened is not None

    @property
    def layout(self) -> Layout:
        return self.here.layout

    async def open(self) -> Opened:
        """Open folder and database once.

        Raises:
            ConfigError: the configuration does not say where.
            StoreError: folder or database cannot be used.
        """
        async with self._opening:
            if self._opened is None:
                layout = Layout(self._state_dir())
                if self.reads_only:
                    self._opened = await self._look_in(layout)
                    return self._opened
                layout.create()
                async with AsyncExitStack() as stack:  # what a failed try has opened is closed again
                    opened, breaker = await self._open(layout, stack)
                    self._stack.push_async_exit(stack.pop_all())
                self._opened = opened
                self._keep(breaker)
            return self._opened

    async def _open(self, layout: Layout, stack: AsyncExitStack) -> tuple[Opened, Breaker]:
        database = await self._database(layout, stack)
        layout.note_founded()
        try:
            lease = Lease.take(layout.leases, {"client": self._client, "door": self._door, "since": self.now()})
        except OSError as error:
            raise StoreError(f"{layout.leases} cannot be written: {error.strerror}") from error
        stack.callback(lease.release)
        uncleared = Uncleared(layout.incidents)
        breaker = await database.run(lambda con: in_force(con, uncleared, self.now()))
        return Opened(layout, database, lease, uncleared), breaker

    async def keep(self) -> None:
        """See to what stands outside the database: that we live, that there is one, why the breaker is open."""
        self.here.lease.keep()
        self.layout.note_founded()
        await self.keep_incident()

    async def _database(self, layout: Layout, stack: AsyncExitStack) -> Database:
        def first(con: Connection) -> None:
            rebuild(con, layout, self.masked, self.limits(), known=self._opened is not None)

        founding = Founding(partial(alone, layout), first)
        opened = open_database(layout.database, founding, reads_only=self.reads_only)
        return await stack.enter_async_context(opened)

    async def _look_in(self, layout: Layout) -> Opened:
        """As ``open``, but nothing is made, taken or written."""
        if not layout.database.exists():
            raise StoreError(f"there is no state in {layout.root} to look at", remedy="Nothing has run here yet.")
        database = await self._database(layout, self._stack)
        nobody = Lease("", FileLock(layout.leases / "nobody.lease"))
        return Opened(layout, database, nobody, Uncleared(layout.incidents))

    def _state_dir(self) -> Path:
        try:
            return self.settings().state_dir
        except ConfigError:  # what ran can still be looked at, recorded and stopped
            known = self.source.known_state_dir()
            if known is None:
                raise
            return known

    async def run(self, work: Callable[[Connection], T]) -> T:
        """One transaction (see ``Database.run``), opening the database first when needed."""
        opened = await self.open()
        if not self.tracing.wanted:
            return await opened.database.run(work)
        project = (self.project() or self.layout.root.parent).name
        result, told = await opened.database.run(lambda con: self.tracing.observed(con, work, project))
        self.tracing.tell(told)
        return result

    @property
    def caller(self) -> Caller:
        """This process as it is before a client has said its name."""
        lease = self._opened.lease.id if self._opened else ""
        return Caller(self._client, os.getpid(), lease, self._door, self._person)

    def identified(self, caller: Caller) -> Caller:
        """``caller`` with the lease of this process, known once the workplace is open."""
        return replace(caller, lease=self.here.lease.id)

    def redactor(self, extra: Mapping[str, str] | None = None) -> Redactor:
        """Knows what must not go out: the secrets of the configuration, while it can be read, and of ``extra``."""
        try:
            loaded = self.settings()
        except ConfigError:
            loaded = None
        return redactor_of(loaded, self.environ, extra, self._doors(loaded))

    def _doors(self, loaded: Loaded | None) -> set[str]:
        """The tokens of HTTP servers on this project: this process's own, and what any other one may use."""
        told = (loaded.environment(self.environ) if loaded else self.environ).get("MCP_E2E_HTTP_TOKEN")
        kept = self._opened.layout.kept_http_token() if self._opened else None
        return self.hidden | {token for token in (told, kept) if token}

    def masked(self, value: T, extra: Mapping[str, str] | None = None) -> T:
        """``value`` without secrets: those of the configuration, tokens, and what ``extra``, an environment, has."""
        return blanked(value, self.redactor(extra))

    async def keep_incident(self) -> None:
        """See to it that an open breaker has its incident file; a full disk is logged, the breaker stays open."""
        if not self.reads_only:
            self._keep(await self.run(breakers.load))

    def _keep(self, breaker: Breaker) -> None:
        try:
            keep(self.layout.incidents, breaker, str(self.project() or ""))
        except OSError as error:
            log.warning("the incident file of %s cannot be written: %s", breaker.incident, error)

    def limits(self) -> Limits:
        """What a person has configured; the defaults while the configuration is broken."""
        try:
            settings = self.settings().settings
        except ConfigError:
            return Limits()
        return Limits(
            consecutive_failures=settings.breaker.consecutive_failures,
            attempts=settings.run.max_attempts_without_checkpoint,
            enforce=settings.guard.mode == "enforce",
            elicitation=settings.breaker.elicitation,
        )

    def project(self) -> Path | None:
        try:
            return self.settings().project
        except ConfigError:
            return None
