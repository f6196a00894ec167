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
from mcp_e2e.decisions import guard, refusal, tools
from mcp_e2e.errors import E2EError, Refused
from mcp_e2e.model.answers import Answer
from mcp_e2e.model.calls import BreakerState, Call, Result, Ruling
from mcp_e2e.model.runs import Caller
from mcp_e2e.store import breaker as breakers
from mcp_e2e.store import ledger, runs
from mcp_e2e.usecases.judging import Judged, Judging
from mcp_e2e.usecases.replies import status_line
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


def _failed(passage: Passage, error: E2EError) -> None:
    passage.outcome = "error"
    passage.told |= {"code": error.code, "error": error.message}


class Gate:
    def __init__(self, place: Workplace, worlds: Worlds) -> None:
        self._place = place
        self._worlds = worlds
        self._judging = Judging(place)

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
        async with self._passing(Passage(judged.call, judged.ruling, judged.call_id)) as passage:
            yield passage

    async def look(
        self, caller: Caller, tool: str, args: Mapping[str, Any], answer: Callable[[Passage], Awaitable[A]]
    ) -> A:
        """A call that only looks or records: never refused. Too often with nothing new, it is told so."""
        call = await self._call(caller, tool, args, None)
        if self._place.reads_only:
            return await answer(Passage(call, Ruling(), 0))
        judged = await self._judged(call)
        passage = Passage(judged.call, judged.ruling, judged.call_id)
        if judged.ruling.kind == "throttle":
            return await self._again(judged, passage, answer)
        async with self._passing(passage):
            fresh = await answer(passage)
        return fresh.model_copy(update={"advice": passage.advice}) if passage.advice else fresh

    async def _again(self, judged: Judged, passage: Passage, answer: Callable[[Passage], Awaitable[A]]) -> A:
        """A look that would show the last result once more: whether it does is seen before it is written so."""
        try:
            fresh = await answer(passage)
        except E2EError as error:
            _failed(passage, error)
            await self._place.run(lambda con: self._looked(con, judged, passage))
            raise
        if await self._place.run(lambda con: self._looked(con, judged, passage)):
            return fresh
        wait = judged.ruling.retry_after_s
        return fresh.model_copy(update={"advice": refusal.unchanged(wait), "look_again_after_s": wait})

    def _looked(self, con: Connection, judged: Judged, passage: Passage) -> bool:
        """Write the call; True when it showed something else than last time, and counts as allowed."""
        call, past = judged.call, reversed(judged.window.past)
        last = next((row for row in past if row.identity == call.identity and row.shown), None)
        moved = last is None or last.shown != self._result(passage).shown
        ruling = Ruling() if moved else judged.ruling
        passage.call_id = ledger.write(con, call, ruling, judged.window.breaker, runs.active_id(con))
        if moved:
            self._settle(con, passage)
        return moved

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
            _failed(passage, error)
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
        if joins or not guard.work(call) or await self._stopped(call):
            return call
        return replace(call, world=await self._worlds.now())

    async def _stopped(self, call: Call) -> bool:
        """Whether the open breaker refuses it whatever the world."""
        if guard.exempt(call):
            return False
        return (await self._place.run(breakers.load)).state is BreakerState.OPEN

    async def _judged(self, call: Call) -> Judged:
        judged = await self._place.run(lambda con: self._judging.judge(con, call))
        if judged.ruling.opens:
            await self._place.keep_incident()
        return judged

    def _result(self, passage: Passage) -> Result:
        told = self._place.masked(passage.told)
        return tools.result(passage.call.tool, passage.call.identity, passage.outcome, told)

    def _settle(self, con: Connection, passage: Passage) -> None:
        now = self._place.now()
        breaker = breakers.load(con)
        told = _kept(self._place.masked(passage.told))
        ledger.complete(con, passage.call_id, self._result(passage), now, breaker.cleared, told)
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
