"""The project's one circuit breaker, as a pure machine.

Laws:
- three (``limit``) red attempts in a row open it, whoever ran them and whatever was edited in between;
- a pass before that empties the count; lost, skipped and cancelled attempts change nothing;
- only a person's ``reset`` leaves ``open``; neither time nor restart nor checkpoint does;
- after a reset one probe at a time may run: a pass closes, a red opens again, anything else gives the permit back;
- the limit in force is the one stored at the first counted red.
"""

from dataclasses import replace

from mcp_e2e.model.calls import Breaker, BreakerState, Red
from mcp_e2e.model.runs import RED, Verdict


def limit_in_force(breaker: Breaker, configured: int) -> int:
    """Reds that open the breaker: the stored limit while any is counted, else what is configured."""
    return breaker.limit if breaker.limit is not None else configured


def failures_left(breaker: Breaker, configured: int) -> int:
    """Reds until it opens; 0 while open."""
    if breaker.state is BreakerState.OPEN:
        return 0
    if breaker.state is BreakerState.HALF_OPEN:
        return 1
    return max(0, limit_in_force(breaker, configured) - breaker.consecutive)


def observe(breaker: Breaker, verdict: Verdict, red: Red, *, configured: int, incident: str) -> Breaker:
    """The breaker after one finished attempt, which ``red`` describes whatever its verdict.

    ``incident`` names the opening should this verdict cause one.
    """
    if verdict is Verdict.PASSED:
        return _passed(breaker)
    if verdict in RED:
        return _failed(breaker, red, configured, incident)
    return release_probe(breaker) if breaker.probe_attempt == red.attempt else breaker


def _passed(breaker: Breaker) -> Breaker:
    if breaker.state is BreakerState.OPEN:  # a test that was running when it opened: told, but no person has looked
        return breaker
    if breaker == Breaker(generation=breaker.generation):
        return breaker
    return Breaker(generation=breaker.generation + 1)


def _failed(breaker: Breaker, red: Red, configured: int, incident: str) -> Breaker:
    limit = limit_in_force(breaker, configured)
    reds = (*breaker.reds, red)
    counted = replace(breaker, limit=limit, reds=reds)
    if breaker.state is BreakerState.OPEN:
        return counted
    if breaker.state is BreakerState.CLOSED and len(reds) < limit:
        return counted
    return replace(
        counted,
        state=BreakerState.OPEN,
        generation=breaker.generation + 1,
        incident=incident,
        opened_at=red.at,
        opened_by="R1",
        probe_call=None,
        probe_lease=None,
        probe_attempt=None,
    )


def take_probe(breaker: Breaker, call: int, lease: str) -> Breaker:
    """Half-open, with its one permit held by the ledger's call ``call`` of the process ``lease``."""
    return replace(breaker, probe_call=call, probe_lease=lease)


def bind_probe(breaker: Breaker, call: int, attempt: str) -> Breaker:
    """The permit of ``call`` is now its attempt's: it ends with that attempt, whoever carries it."""
    return replace(breaker, probe_attempt=attempt) if breaker.probe_call == call else breaker


def pass_probe(breaker: Breaker, attempt: str, again: str) -> Breaker:
    """A lost probe is made again under its permit."""
    return replace(breaker, probe_attempt=again) if breaker.probe_attempt == attempt else breaker


def release_probe(breaker: Breaker) -> Breaker:
    return replace(breaker, probe_call=None, probe_lease=None, probe_attempt=None)


def reset(breaker: Breaker) -> Breaker:
    """What a person's reset leaves: half-open with no count. The incident's name stays until a probe has passed."""
    return Breaker(state=BreakerState.HALF_OPEN, generation=breaker.generation + 1, incident=breaker.incident)
