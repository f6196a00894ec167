"""Opens the parts in order and hands out the use-cases; the only room that knows all others."""

import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio
import anyio.to_thread

from mcp_e2e.decisions import traces
from mcp_e2e.errors import ConfigError, StoreError
from mcp_e2e.model.runs import Caller
from mcp_e2e.process.leftovers import Leftovers
from mcp_e2e.settings import Loaded, Source
from mcp_e2e.store.opening import ReadsOnly
from mcp_e2e.usecases.attempts import Attempts
from mcp_e2e.usecases.boards import Boards
from mcp_e2e.usecases.boots import Boots
from mcp_e2e.usecases.breakers import Breakers
from mcp_e2e.usecases.catalogue import Catalogue
from mcp_e2e.usecases.checkup import Checkup
from mcp_e2e.usecases.execs import Execs
from mcp_e2e.usecases.execution import Execution
from mcp_e2e.usecases.gate import Gate
from mcp_e2e.usecases.goldens import Goldens
from mcp_e2e.usecases.histories import Histories
from mcp_e2e.usecases.names import Names
from mcp_e2e.usecases.notices import Notices
from mcp_e2e.usecases.reports import Reports
from mcp_e2e.usecases.runs import Runs
from mcp_e2e.usecases.sessions import Sessions
from mcp_e2e.usecases.sights import Sights
from mcp_e2e.usecases.status import Status
from mcp_e2e.usecases.tracing import Tracing
from mcp_e2e.usecases.views import Views
from mcp_e2e.usecases.workplace import Workplace
from mcp_e2e.usecases.worlds import Worlds

if TYPE_CHECKING:
    from mcp_e2e.adapters.telemetry import Telemetry

SETTLE_S = 2.0
FLUSH_S = {"mcp": 0.5, "cli": 5.0}  # at the end, for spans that wait: a client kills a server that lingers
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What was said on the command line; ``cwd`` is where the search for a project begins."""

    project: Path | None = None
    config: Path | None = None
    cwd: Path | None = None


class App:
    """The use-cases of one process."""

    def __init__(self, place: Workplace) -> None:
        worlds = Worlds(place)
        gate = Gate(place, worlds)
        sights = Sights(place)
        catalogue = Catalogue(place)
        self._place = place
        self._leftovers = Leftovers()
        self.misused = gate.misused
        self._boots = boots = Boots(place, sights)
        self._execution = Execution(place, boots, sights, catalogue, worlds)
        self.sessions = Sessions(place, gate, sights, boots, self._execution.take_over)
        self.runs = Runs(place, gate, catalogue)
        self.attempts = Attempts(place, gate, catalogue, self.runs, self._execution)
        self.reports = Reports(place, gate, self.runs)
        self.histories = Histories(place)
        self.boards = Boards(place, sights, self.runs)
        self.execs = Execs(place, gate)
        self.breaker = Breakers(place)
        self.goldens = Goldens(place, catalogue)
        self.status = Status(place, gate, sights, catalogue, self.runs, self.breaker)
        self.checkup = Checkup(place, sights, catalogue)
        self.views = Views(place, self.runs, self.reports)
        self.names = Names(place)
        self.notices = Notices(place, sights)

    @property
    def caller(self) -> Caller:
        return self._place.caller

    def settings(self) -> Loaded:
        return self._place.settings()

    @property
    def state_dir(self) -> Path:
        return self._place.layout.root

    async def private(self) -> Path:
        """The folder for what only this user may read. Raises ConfigError, StoreError."""
        return (await self._place.open()).layout.private

    def hide(self, secret: str) -> None:
        """Blank ``secret`` in whatever goes out from now on."""
        self._place.hidden.add(secret)

    async def settle(self) -> None:
        """Go on with what processes that are gone left open. Raises ConfigError, StoreError."""
        await self._place.open()
        await self._place.keep()
        await self._boots.adopt_orphans()
        await self._execution.take_over()

    async def end_leftovers(self) -> None:
        """Apart from settling: what ignores TERM takes its time, and nobody else is to wait for that."""
        if self._place.is_open:
            await self._leftovers.end(self._place.layout.jobs)

    async def stand_by(self) -> None:
        """A spare keeper; and now and then what is to be done though nobody asks for it."""
        await anyio.to_thread.run_sync(self._place.spare.prepare)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_again_and_again, self.settle)
            tasks.start_soon(_again_and_again, self.end_leftovers)


async def _again_and_again(work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await work()
        except (ConfigError, StoreError) as error:  # every call that needs it says so; a server starts all the same
            log.debug("nothing to do by itself: %s", error)
        except Exception:  # a defect here must not end the server that others wait on
            log.exception("what servers do by themselves failed: %s", work.__name__)
        await anyio.sleep(SETTLE_S)


def telemetry(environ: Mapping[str, str]) -> "Telemetry | None":
    """Where spans go, if the standard variables or whoever has loaded the SDK before us asks for any."""
    names = traces.exporters(environ)
    if not names and "opentelemetry.sdk.trace" not in sys.modules:
        return None
    try:
        from mcp_e2e.adapters import telemetry as sending  # noqa: PLC0415  a fifth of a second
    except ImportError as error:
        log.warning("no traces are sent, though OTEL_* asks for them: pip install 'mcp-e2e[otel]' (%s)", error)
        return None
    try:
        return sending.opened(names, environ)
    except Exception as error:  # what the SDK does not take in OTEL_* must not keep us from working
        log.warning("no traces are sent: %s", error)
        return None


@asynccontextmanager
async def open_app(
    options: Options,
    environ: Mapping[str, str],
    *,
    client_name: str = "mcp-e2e",
    door: Literal["mcp", "cli"] = "mcp",
    settles: bool = True,
    person: bool = False,
    reads_only: ReadsOnly = False,
) -> AsyncIterator[App]:
    """The use-cases, until the block ends; background work is then left to whoever comes next.

    ``person``: the calls are a person's own. ``reads_only``: whatever would write the state folder is an error.
    ``settles``: take over the open attempts of dead processes, as servers do. Opening reads no configuration: a
    broken one is an error of each call that needs it.
    """
    source = Source(
        environ,
        options.cwd or Path.cwd(),
        project=str(options.project) if options.project else None,
        config=str(options.config) if options.config else None,
    )
    spans = None if reads_only else telemetry(environ)
    under = traces.parse(environ.get("TRACEPARENT"), environ.get("TRACESTATE")) if door == "cli" else None
    async with AsyncExitStack() as stack, anyio.create_task_group() as tasks:
        if spans is not None:
            stack.push_async_callback(spans.close, FLUSH_S[door])
        place = Workplace(
            source,
            environ,
            client=client_name,
            door=door,
            person=person,
            reads_only=reads_only,
            tracing=Tracing(spans, under),
            tasks=tasks,
            stack=stack,
        )
        app = App(place)
        if settles:
            tasks.start_soon(app.stand_by)
        try:
            yield app
        finally:
            tasks.cancel_scope.cancel()
