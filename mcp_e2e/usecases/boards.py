"""A project watched from outside: what the database tells, read again when it has changed, and looks at services.

Nothing is judged, written or taken: for an App that was opened with ``reads_only``.
"""

from sqlite3 import Connection
from statistics import median

from mcp_e2e.decisions.breaker import failures_left
from mcp_e2e.errors import ConfigError, E2EError, StoreError
from mcp_e2e.model.board import Board, BreakerState, Event, RunningLine, ServiceLine, Stored
from mcp_e2e.model.calls import Limits
from mcp_e2e.model.runs import Attempt
from mcp_e2e.model.services import Session, SessionState
from mcp_e2e.store import attempts, events, runs
from mcp_e2e.store import breaker as breakers
from mcp_e2e.store.changes import version
from mcp_e2e.usecases.runs import Runs
from mcp_e2e.usecases.sights import Sights
from mcp_e2e.usecases.workplace import Workplace

LATELY = 50  # more events than happen between two looks


class Boards:
    def __init__(self, place: Workplace, sights: Sights, runs_: Runs) -> None:
        self._place = place
        self._sights = sights
        self._runs = runs_
        self._seen: tuple[int, int] | None = None
        self._stored = Stored()
        self._services: tuple[ServiceLine, ...] = ()

    async def show(self) -> Board:
        """The board as it is now, its services as they were at the last look.

        What is wrong with the configuration or the state folder is part of it, for it may pass.

        Raises:
            ConfigError: there is no project.
        """
        project = str(self._place.source.where().project)
        problem = None
        try:
            self._place.settings().needs_file()
        except ConfigError as error:
            problem = str(error)
        try:
            limits = self._place.limits()
            self._stored = await self._place.run(lambda con: self._read(con, limits))
        except (ConfigError, StoreError) as error:
            problem = problem or f"{error.message}. {error.advice}"
        return Board(self._place.now(), project, self._stored, self._services, self._place.masked(problem))

    async def look_at_services(self) -> None:
        """One look at each configured service: one request to its address at most."""
        try:
            names = list(self._place.settings().settings.services)
            await self._place.open()
        except (ConfigError, StoreError):  # the board says so
            self._services = ()
            return
        self._services = tuple([await self._service(name) for name in names])

    async def _service(self, name: str) -> ServiceLine:
        try:
            session = await self._sights.look(name)
        except E2EError as error:
            return ServiceLine(name, "unknown", self._place.masked(error.message))
        line = _service(session)
        return ServiceLine(**self._place.masked(vars(line)))

    def _read(self, con: Connection, limits: Limits) -> Stored:
        """What it was when nobody has written since: then nothing else is asked."""
        seen = (id(con), version(con))
        if seen == self._seen:
            return self._stored
        run, breaker = runs.active(con), breakers.load(con)
        stored = Stored(
            position=self._runs.position(run, breaker) if run else None,
            running=tuple(_running(con, attempt) for attempt in attempts.unfinished(con)),
            breaker=BreakerState(
                breaker.state.value,
                breaker.consecutive,
                failures_left(breaker, limits),
                breaker.incident,
                breaker.opened_by,
            ),
            events=tuple(_event(each) for each in events.latest(con, LATELY)),
        )
        self._seen = seen
        return stored


def _running(con: Connection, attempt: Attempt) -> RunningLine:
    took = attempts.durations(con, attempt.test)
    return RunningLine(
        attempt=attempt.id,
        test=attempt.test,
        state=attempt.state.value,
        since=attempt.started_at or attempt.created_at,
        by=attempt.by,
        message=str(attempt.progress.get("message") or ""),
        usual_s=round(median(took), 1) if took else None,
    )


def _service(session: Session) -> ServiceLine:
    ready = session.state is SessionState.READY
    return ServiceLine(
        service=session.service,
        state=session.state.value,
        stage=session.stage,
        generation=session.generation,
        since=(session.ready_at if ready else session.started_at) if session.pid else None,
        slow=session.slow,
        url=session.url if session.state is not SessionState.STOPPED else None,
        cause=session.cause,
    )


def _event(row: dict[str, object]) -> Event:
    body = row["body"] if isinstance(row["body"], dict) else {}
    subject = next((body[key] for key in ("test", "service", "incident") if body.get(key)), row["run"] or "")
    detail = next((body[key] for key in ("verdict", "result", "reason", "total") if body.get(key)), "")
    return Event(int(str(row["seq"])), float(str(row["at"])), str(row["kind"]), str(subject), str(detail))
