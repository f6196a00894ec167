"""One ruling: what is stored is read, the rules are asked, and what they said is written, in one transaction."""

from dataclasses import dataclass, replace
from sqlite3 import Connection

from mcp_e2e.decisions import breaker as machine
from mcp_e2e.decisions import guard, history
from mcp_e2e.model.calls import Breaker, Call, Ruling, Window
from mcp_e2e.process import locks
from mcp_e2e.store import attempts, ledger, runs
from mcp_e2e.store import breaker as breakers
from mcp_e2e.usecases.incidents import in_force, new_incident
from mcp_e2e.usecases.recent import Recent
from mcp_e2e.usecases.settlement import settle_dead_calls
from mcp_e2e.usecases.workplace import Workplace


@dataclass(frozen=True)
class Judged:
    call: Call
    window: Window
    ruling: Ruling
    call_id: int


class Judging:
    """One per process: it remembers the window of the ruling before."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._recent = Recent()

    def judge(self, con: Connection, call: Call) -> Judged:
        """Inside a transaction: what the rules say of ``call``; its row is written unless a look is repeated."""
        window = self._window(con, call.at)
        live = attempts.any_open(con)
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
        if ruling.kind == "throttle":  # written once it is seen that it is one
            return Judged(call, window, ruling, 0)
        call_id = ledger.write(con, call, ruling, window.breaker, runs.active_id(con), would)
        if ruling.takes_probe:
            breakers.save(con, window.breaker, machine.take_probe(window.breaker, call_id, call.lease), call.at)
        return Judged(call, window, ruling, call_id)

    def _window(self, con: Connection, now: float) -> Window:
        breaker = in_force(con, self._place.here.uncleared, now)
        past = self._recent.read(con, breaker)
        if self._recent.has_open:
            settle_dead_calls(con, self._place.layout.leases, now)
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
