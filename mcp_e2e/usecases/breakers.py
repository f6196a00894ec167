"""The breaker as a person sees and clears it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from sqlite3 import Connection
from typing import Any

from mcp_e2e.decisions import breaker as machine
from mcp_e2e.errors import UsageError
from mcp_e2e.model.answers import BreakerLine
from mcp_e2e.model.calls import Breaker, BreakerState, Limits
from mcp_e2e.model.runs import Caller
from mcp_e2e.store import breaker as breakers
from mcp_e2e.store import events, ledger
from mcp_e2e.usecases.incidents import mark_reset, new_incident, read_incident
from mcp_e2e.usecases.replies import when
from mcp_e2e.usecases.workplace import Workplace

RESET_LINE = "mcp-e2e breaker reset"


class Breakers:
    def __init__(self, place: Workplace) -> None:
        self._place = place

    async def show(self, *, person: bool = False) -> BreakerLine:
        """State, count and evidence; how to reset it only for a person's terminal."""
        breaker, refused, stopped = await self._place.run(_read)
        is_open = breaker.state is BreakerState.OPEN
        return BreakerLine(
            state=breaker.state.value,
            consecutive_failures=breaker.consecutive,
            failures_left=machine.failures_left(breaker, self._place.limits()),
            incident=breaker.incident,
            opened_at=when(breaker.opened_at) if breaker.opened_at else None,
            opened_by=breaker.opened_by,
            evidence=[
                *(line[:200] for line in breaker.evidence),
                *(f"{red.test} {red.verdict}: {red.message[:160]} ({red.by})" for red in breaker.reds[-5:]),
            ],
            refusals=refused,
            stopped=[f"{each['rule']}: {each['tool']} {each['subject']}".strip() for each in stopped],
            failed_probes=breaker.failed_probes,
            reset=RESET_LINE if (is_open or stopped) and person else None,
        )

    async def incident(self) -> dict[str, Any] | None:
        """The evidence of the present incident, with every call refused since."""
        await self._place.open()
        breaker = await self._place.run(breakers.load)
        if breaker.incident is None:
            return None
        name = breaker.incident
        found = read_incident(self._place.layout.incidents, name) or {"incident": name}
        refused = await self._place.run(lambda con: ledger.of_incident(con, name))
        return found | {
            "refused": [
                {"at": when(call.at), "tool": call.tool, "by": call.caller, "args": dict(call.args)} for call in refused
            ]
        }

    async def may_ask(self, incident: str) -> bool:
        """Whether the client may clear this incident: configured when it was counted, and its record is sound."""
        breaker = await self._place.run(breakers.load)
        same = breaker.state is BreakerState.OPEN and breaker.incident == incident
        asked = machine.limits_in_force(breaker, self._place.limits()).elicitation
        dubious = {breakers.TAMPERED, breakers.LOST} & set(breaker.evidence)
        return same and asked and not dubious and breaker.opened_by != machine.PERSON

    async def lock(self, caller: Caller, *, reason: str) -> BreakerLine:
        """Open the breaker by a person's word; it is cleared like any other incident."""
        await self._place.open()
        shown = self._place.identified(caller).shown

        def work(con: Connection) -> None:
            before, now = breakers.load(con), self._place.now()
            why, limits = [f"{reason} ({shown})"], self._place.limits()
            after = machine.open_by(before, machine.PERSON, now, why, configured=limits, incident=new_incident())
            breakers.save(con, before, after, now, {"by": shown, "reason": reason})

        await self._place.run(work)
        await self._place.keep_incident()
        return await self.show(person=caller.person)

    async def past(self) -> tuple[list[dict[str, Any]], Limits]:
        """Every call ever judged as steps of a trace, with a person's resets in between, and the limits configured."""
        await self._place.open()
        limits = replace(self._place.limits(), enforce=True)  # what would have been refused is what one wants to see
        return await self._place.run(ledger.history), limits

    async def reset(self, caller: Caller, *, actor: Mapping[str, Any], incident: str | None = None) -> BreakerLine:
        """Leave ``open`` for ``half_open`` and forget every count and refusal; ``actor`` (tty, parents) is recorded.

        The door has seen by then that a person asks. ``incident``: the one that was looked at.

        Raises:
            UsageError: nothing is stopped, or another incident has come meanwhile.
        """
        await self._place.open()
        caller = self._place.identified(caller)
        await self._place.run(lambda con: self._reset(con, caller, actor, incident))
        return await self.show(person=True)

    def _reset(self, con: Connection, caller: Caller, actor: Mapping[str, Any], seen: str | None) -> None:
        before = breakers.load(con)
        if seen is not None and before.incident != seen:
            raise UsageError("another incident has come meanwhile", remedy="Look at that one first.")
        if before.state is not BreakerState.OPEN and not ledger.stopped(con, before.cleared):
            raise UsageError(f"the breaker is {before.state.value}, not open", remedy="There is nothing to reset.")
        now = self._place.now()
        if before.incident is not None:  # first: an incident that nobody has cleared would open it again
            mark_reset(self._place.layout.incidents, before.incident, now, caller.shown)
        told = json.loads(json.dumps({"by": caller.shown, **actor}, default=str))
        breakers.save(con, before, machine.reset(before, cleared=ledger.last_id(con)), now, told)
        events.record(
            con,
            "breaker.reset",
            now,
            incident=before.incident,
            by=caller.shown,
            actor=told,
        )


def _read(con: Connection) -> tuple[Breaker, int, list[dict[str, Any]]]:
    breaker = breakers.load(con)
    refused = ledger.refusals(con, incident=breaker.incident) if breaker.incident else 0
    return breaker, refused, ledger.stopped(con, breaker.cleared)
