"""The only way in for calls that change something: judge, write, do, write.

A call is judged on stored history and its row is written before it runs, in one transaction; its outcome follows. So
a call that kills the server still counts, and a refused call runs nothing.
"""

import json
import shlex
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import anyio

from mcp_e2e.decisions import breaker as machine
from mcp_e2e.decisions import guard, refusal
from mcp_e2e.errors import E2EError, Refused
from mcp_e2e.model.calls import Breaker, Call, Ruling, Window
from mcp_e2e.model.runs import Caller
from mcp_e2e.process import locks
from mcp_e2e.store import attempts, ledger, runs
from mcp_e2e.store import breaker as breakers
from mcp_e2e.usecases.workplace import Workplace

_WINDOW = 200


@dataclass
class Passage:
    """A judged call on its way; whoever runs it says the ``outcome``."""

    call_id: int
    ruling: Ruling
    outcome: str = "ok"


class Gate:
    def __init__(self, place: Workplace) -> None:
        self._place = place

    @asynccontextmanager
    async def enter(
        self,
        caller: Caller,
        tool: str,
        args: Mapping[str, Any],
        *,
        identity: Mapping[str, Any] | None = None,
        joins: bool = False,
    ) -> AsyncIterator[Passage]:
        """Let one call through.

        ``identity``: what selects the call's work (default: ``args``). ``joins``: it only waits for existing work.

        Raises:
            Refused: a rule stops the call; nothing of it ran.
        """
        await self._place.open()
        caller = self._place.identified(caller)
        shown = {name: value for name, value in args.items() if value is not None}
        call = Call(
            tool=tool,
            identity=canonical(tool, shown if identity is None else identity),
            args=shown,
            at=self._place.now(),
            caller=caller.shown,
            lease=caller.lease,
            door=caller.door,
            joins=joins,
        )
        window, ruling, call_id = await self._place.run(lambda con: self._judge(con, call))
        if ruling.kind == "refuse":
            raise self._refused(window, call, ruling)
        passage = Passage(call_id, ruling)
        try:
            yield passage
        except E2EError as error:
            passage.outcome = f"error:{error.code}"
            raise
        except BaseException:
            passage.outcome = "interrupted"
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await self._place.run(lambda con: self._settle(con, passage))

    def _judge(self, con: Connection, call: Call) -> tuple[Window, Ruling, int]:
        window = self._window(con)
        ruling = guard.judge(window, call)
        call_id = ledger.write(con, call, ruling, window.breaker, runs.active_id(con))
        if ruling.takes_probe:
            breakers.save(con, window.breaker, machine.take_probe(window.breaker, call_id, call.lease), call.at)
        return window, ruling, call_id

    def _window(self, con: Connection) -> Window:
        breaker = breakers.load(con)
        incident = breaker.incident
        return Window(
            breaker=breaker,
            past=ledger.window(con, _WINDOW),
            probe_alive=self._probe_alive(con, breaker),
            refusals_in_incident=ledger.refusals(con, incident=incident) if incident else 0,
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
        ledger.complete(con, passage.call_id, passage.outcome, now)
        breaker = breakers.load(con)
        if breaker.probe_call == passage.call_id and breaker.probe_attempt is None:
            breakers.save(con, breaker, machine.release_probe(breaker), now)

    def _refused(self, window: Window, call: Call, ruling: Ruling) -> Refused:
        line = status_line(self._place)
        facts = refusal.facts(window, ruling, status_line=line)
        text = refusal.text(window, call, ruling, status_line=line)
        return Refused(refusal.message(window, call, ruling), text=text, by=call.caller, **facts)


def canonical(tool: str, identity: Mapping[str, Any]) -> str:
    """One text for equal work: keys sorted at every depth."""
    return f"{tool} {json.dumps(dict(identity), sort_keys=True, default=str, ensure_ascii=False)}"


def status_line(place: Workplace) -> str:
    """The full line that shows a person where things stand."""
    project = place.project()
    where = ["--project", str(project)] if project else []
    return shlex.join([*_program(), "status", *where])


def _program() -> list[str]:
    """How this program is started where its folder is not on the PATH of the user's terminal."""
    beside = Path(sys.executable).with_name("mcp-e2e.exe" if sys.platform == "win32" else "mcp-e2e")
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "mcp_e2e"]
