"""The only way in for calls that change something: judge, write, do, write.

A call is judged on stored history and its row is written before it runs, in one transaction; its outcome follows. So
a call that kills the server still counts, and a refused call runs nothing.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from sqlite3 import Connection
from typing import Any, TypeVar

import anyio

from mcp_e2e.decisions import breaker as machine
from mcp_e2e.decisions import guard, history, refusal, tools
from mcp_e2e.errors import E2EError, Refused
from mcp_e2e.model.answers import Answer
from mcp_e2e.model.calls import Breaker, Call, Ruling, Window
from mcp_e2e.model.runs import Caller
from mcp_e2e.process import locks
from mcp_e2e.store import attempts, ledger, runs
from mcp_e2e.store import breaker as breakers
from mcp_e2e.usecases.incidents import new_incident
from mcp_e2e.usecases.recent import Recent
from mcp_e2e.usecases.replies import status_line
from mcp_e2e.usecases.settlement import settle_dead_calls
from mcp_e2e.usecases.workplace import Workplace
from mcp_e2e.usecases.worlds import Worlds

A = TypeVar("A", bound=Answer)
MOST_OUTPUT = 600  # characters of a command's output that the ledger keeps


@dataclass
class Passage:
    """A judged call on its way. Whoever runs it says how it ended and what it told (CONTRACT 7's words).

    ``bound``: an attempt has taken the call over and ends it with its verdict.
    """

    call: Call
    ruling: Ruling
    call_id: int
    outcome: str = "ok"
    told: dict[str, Any] = field(default_factory=dict)
    bound: bool = False

    @property
    def advice(self) -> str | None:
        return refusal.advice(self.call, self.ruling) if self.ruling.kind == "advise" else None


@dataclass(frozen=True)
class Judged:
    window: Window
    ruling: Ruling
    call_id: int


class Gate:
    def __init__(self, place: Workplace, worlds: Worlds) -> None:
        self._place = place
        self._worlds = worlds
        self._recent = Recent()

    @asynccontextmanager
    async def enter(
        self,
        caller: Caller,
        tool: str,
        args: Mapping[str, Any],
        *,
        work: Mapping[str, Any] | None = None,
        joins: bool = False,
        planned: bool = False,
    ) -> AsyncIterator[Passage]:
        """Let one call through.

        ``work``: what selects its work, where ``args`` do not say it whole. ``joins``: it only waits for existing work.

        Raises:
            Refused: a rule stops the call; nothing of it ran.
        """
        call = await self._call(caller, tool, args, work, joins=joins, planned=planned)
        judged = await self._judged(call)
        if judged.ruling.kind == "refuse":
            raise self._refused(judged, call)
        async with self._passing(Passage(call, judged.ruling, judged.call_id)) as passage:
            yield passage

    async def look(
        self,
        caller: Caller,
        tool: str,
        args: Mapping[str, Any],
        answer: Callable[[Passage], Awaitable[A]],
        as_: type[A],
    ) -> A:
        """A call that only looks or records: never refused; too often with nothing new, it gets the last answer."""
        call = await self._call(caller, tool, args, None)
        judged = await self._judged(call)
        if judged.ruling.kind == "throttle":
            known = await self._place.run(lambda con: ledger.remembered(con, call.identity))
            if known is not None:
                wait = judged.ruling.retry_after_s
                last = as_.model_validate_json(known[1])
                return last.model_copy(update={"advice": refusal.unchanged(wait), "look_again_after_s": wait})
        async with self._passing(Passage(call, judged.ruling, judged.call_id)) as passage:
            fresh = await answer(passage)
        text, now = fresh.model_dump_json(exclude_none=True), self._place.now()
        await self._place.run(lambda con: ledger.remember(con, call.identity, text, now))
        return fresh.model_copy(update={"advice": passage.advice}) if passage.advice else fresh

    async def misused(self, caller: Caller, tool: str, args: Mapping[str, Any], error: E2EError) -> None:
        """Note a call that was wrong before it could be judged.

        Raises:
            Refused: it has been wrong in the same way too often.
        """
        async with self.enter(caller, tool, args) as passage:
            passage.outcome = "error"
            passage.told = {"code": error.code, "error": error.message}

    @asynccontextmanager
    async def _passing(self, passage: Passage) -> AsyncIterator[Passage]:
        try:
            yield passage
        except E2EError as error:
            passage.outcome = "error"
            passage.told |= {"code": error.code, "error": error.message}
            raise
        except BaseException:
            passage.outcome = "cancelled"
            raise
        finally:
            if not passage.bound:
                with anyio.CancelScope(shield=True):
                    await self._place.run(lambda con: self._settle(con, passage))

    async def _call(
        self,
        caller: Caller,
        tool: str,
        args: Mapping[str, Any],
        work: Mapping[str, Any] | None,
        *,
        joins: bool = False,
        planned: bool = False,
    ) -> Call:
        await self._place.open()
        caller = self._place.identified(caller)
        shown = self._place.masked({name: value for name, value in args.items() if value is not None})
        selects = self._place.masked(dict(work)) if work is not None else shown
        call = Call(
            tool=tool,
            identity=tools.identity(tool, selects),
            args=shown,
            at=self._place.now(),
            caller=caller.shown,
            lease=caller.lease,
            door=caller.door,
            subject=tools.subject(tool, selects),
            joins=joins,
            planned=planned,
            person=caller.person,
        )
        return replace(call, world=await self._worlds.now()) if guard.work(call) and not joins else call

    async def _judged(self, call: Call) -> Judged:
        judged = await self._place.run(lambda con: self._judge(con, call))
        if judged.ruling.opens:
            await self._place.keep_incident()
        return judged

    def _judge(self, con: Connection, call: Call) -> Judged:
        settle_dead_calls(con, self._place.layout.leases, call.at)
        window = self._window(con)
        live = bool(attempts.any_open(con))
        world = call.world or (window.past[-1].world if window.past else "")  # a look changes nothing
        call = history.placed(replace(call, live=live, world=world), window.past)
        wanted = guard.judge(window, call)
        ruling = guard.observed(window, wanted)
        if ruling.opens:
            opened = machine.open_by(
                window.breaker,
                str(ruling.rule),
                call.at,
                ruling.evidence,
                configured=self._place.limits(),
                incident=new_incident(),
            )
            breakers.save(con, window.breaker, opened, call.at)
            window = replace(window, breaker=opened, refusals_in_incident=0)
        would = wanted.kind if wanted.kind != ruling.kind else None
        call_id = ledger.write(con, call, ruling, window.breaker, runs.active_id(con), would)
        if ruling.takes_probe:
            breakers.save(con, window.breaker, machine.take_probe(window.breaker, call_id, call.lease), call.at)
        return Judged(window, ruling, call_id)

    def _window(self, con: Connection) -> Window:
        breaker = breakers.load(con)
        past = self._recent.read(con, breaker)
        return Window(
            breaker=breaker,
            past=past,
            limits=machine.limits_in_force(breaker, self._place.limits()),
            probe_alive=self._probe_alive(con, breaker),
            refusals_in_incident=ledger.refusals(con, incident=breaker.incident) if breaker.incident else 0,
        )

    def _probe_alive(self, con: Connection, breaker: Breaker) -> bool:
        """An attempt that holds the permit lives on with whoever takes it over; before that it is its process's."""
        if breaker.probe_attempt is not None:
            attempt = attempts.get(con, breaker.probe_attempt)
            return attempt is not None and attempt.open
        lease = breaker.probe_lease
        return lease is not None and locks.is_alive(self._place.layout.leases, lease)

    def _settle(self, con: Connection, passage: Passage) -> None:
        now = self._place.now()
        breaker = breakers.load(con)
        told = self._place.masked(passage.told)
        result = tools.result(passage.call.tool, passage.call.identity, passage.outcome, told)
        ledger.complete(con, passage.call_id, result, now, breaker.cleared, _kept(told))
        if breaker.probe_call == passage.call_id and breaker.probe_attempt is None:
            breakers.save(con, breaker, machine.release_probe(breaker), now)

    def _refused(self, judged: Judged, call: Call) -> Refused:
        line = status_line(self._place)
        facts = refusal.facts(judged.window, judged.ruling, status_line=line)
        text = refusal.text(judged.window, call, judged.ruling, status_line=line)
        return Refused(refusal.message(judged.window, call, judged.ruling), text=text, by=call.caller, **facts)


def _kept(told: Mapping[str, Any]) -> dict[str, Any]:
    """The facts as the ledger keeps them: of a long output its ends, and what it comes to as a whole."""
    output = str(told.get("output") or "")
    if len(output) <= MOST_OUTPUT:
        return dict(told)
    half = MOST_OUTPUT // 2
    return {**told, "output": f"{output[:half]} … {output[-half:]}", "digest": tools.command_digest(told)}
