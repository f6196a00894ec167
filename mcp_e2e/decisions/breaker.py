"""The project's one circuit breaker, as a pure machine.

Laws:
- three (``limit``) red attempts in a row open it, whoever ran them and whatever was edited in between;
- a pass before that empties the count; lost, skipped and cancelled attempts change nothing;
- only a person's ``reset`` leaves ``open``; neither time nor restart nor checkpoint does;
- after a reset one probe at a time may run: a pass closes, a red opens again, anything else gives the permit back;
- the limits in force are those stored at the first counted red, or at the opening.
"""

from collections.abc import Sequence
from dataclasses import replace

from mcp_e2e.model.calls import Breaker, BreakerState, Limits, Red
from mcp_e2e.model.runs import RED, Verdict

PERSON = "a person"
"""``opened_by`` of a breaker that nobody's failures opened: a person has locked it."""


def limits_in_force(breaker: Breaker, configured: Limits) -> Limits:
    """What was stored while reds are counted or the breaker is open, else what is configured."""
    return breaker.limits or configured


def failures_left(breaker: Breaker, configured: Limits) -> int:
    """Reds until it opens; 0 while open."""
    if breaker.state is BreakerState.OPEN:
        return 0
    if breaker.state is BreakerState.HALF_OPEN:
        return 1
    return max(0, limits_in_force(breaker, configured).consecutive_failures - breaker.consecutive)


def observe(breaker: Breaker, verdict: Verdict, red: Red, *, configured: Limits, incident: str) -> Breaker:
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
    if not breaker.reds and breaker.state is BreakerState.CLOSED:
        return breaker
    return Breaker(generation=breaker.generation + 1, cleared=breaker.cleared)


def _failed(breaker: Breaker, red: Red, configured: Limits, incident: str) -> Breaker:
    limits = limits_in_force(breaker, configured)
    counted = replace(breaker, limits=limits, reds=(*breaker.reds, red))
    if breaker.state is BreakerState.OPEN:
        return counted
    if breaker.state is BreakerState.CLOSED and counted.consecutive < limits.consecutive_failures:
        return counted
    probed = breaker.state is BreakerState.HALF_OPEN
    opened = _opened(counted, "R1", red.at, (), incident)
    return replace(opened, failed_probes=breaker.failed_probes + probed)


def open_by(
    breaker: Breaker, rule: str, at: float, evidence: Sequence[str], *, configured: Limits, incident: str
) -> Breaker:
    """Open for another reason than reds in a row; one that is open already stays as it is."""
    if breaker.state is BreakerState.OPEN:
        return breaker
    limits = limits_in_force(breaker, configured)
    return replace(_opened(breaker, rule, at, evidence, incident), limits=limits)


def _opened(breaker: Breaker, rule: str, at: float, evidence: Sequence[str], incident: str) -> Breaker:
    return replace(
        release_probe(breaker),
        state=BreakerState.OPEN,
        generation=breaker.generation + 1,
        incident=incident,
        opened_at=at,
        opened_by=rule,
        evidence=tuple(evidence),
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


def reset(breaker: Breaker, *, cleared: int) -> Breaker:
    """What a person's reset leaves: an open breaker half-open, no count, and nothing up to call ``cleared`` in memory.

    The incident's name stays until a probe has passed.
    """
    if breaker.state is BreakerState.CLOSED:
        return Breaker(generation=breaker.generation + 1, cleared=cleared)
    return Breaker(
        state=BreakerState.HALF_OPEN,
        generation=breaker.generation + 1,
        incident=breaker.incident,
        failed_probes=breaker.failed_probes,
        cleared=cleared,
    )
