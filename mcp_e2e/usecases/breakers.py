"""The breaker as a person sees and clears it."""

import json
from collections.abc import Mapping
from sqlite3 import Connection
from typing import Any

from mcp_e2e.decisions import breaker as machine
from mcp_e2e.errors import UsageError
from mcp_e2e.model.answers import BreakerLine
from mcp_e2e.model.calls import Breaker, BreakerState
from mcp_e2e.model.runs import Caller
from mcp_e2e.store import breaker as breakers
from mcp_e2e.store import events, ledger
from mcp_e2e.usecases.incidents import mark_reset, read_incident
from mcp_e2e.usecases.replies import when
from mcp_e2e.usecases.workplace import Workplace

RESET_LINE = "mcp-e2e breaker reset"


class Breakers:
    def __init__(self, place: Workplace) -> None:
        self._place = place

    async def show(self, *, person: bool = False) -> BreakerLine:
        """State, count and evidence; how to reset it only for a person's terminal."""
        breaker, refused = await self._place.run(_read)
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
            reset=RESET_LINE if is_open and person else None,
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

    async def reset(self, caller: Caller, *, actor: Mapping[str, Any]) -> BreakerLine:
        """Leave ``open`` for ``half_open`` and forget every count and refusal; ``actor`` (tty, parents) is recorded.

        The door has seen by then that a person asks. Raises UsageError when nothing is stopped.
        """
        await self._place.open()
        caller = self._place.identified(caller)
        incident = await self._place.run(lambda con: self._reset(con, caller, actor))
        if incident is not None:
            mark_reset(self._place.layout.incidents, incident, self._place.now(), caller.shown)
        return await self.show(person=True)

    def _reset(self, con: Connection, caller: Caller, actor: Mapping[str, Any]) -> str | None:
        before = breakers.load(con)
        if before.state is not BreakerState.OPEN and not ledger.stopped(con, before.cleared):
            raise UsageError(f"the breaker is {before.state.value}, not open", remedy="There is nothing to reset.")
        now = self._place.now()
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
        return before.incident


def _read(con: Connection) -> tuple[Breaker, int]:
    breaker = breakers.load(con)
    return breaker, ledger.refusals(con, incident=breaker.incident) if breaker.incident else 0
