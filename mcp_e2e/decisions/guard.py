"""May this call run? A table of small rules over the ledger's window; the strictest ruling wins.

Laws:
- tools that only look, record or end work are never refused;
- a call that joins work which exists already is never refused: it starts nothing;
- a person at the command line may start, stop and run commands while the breaker is open, but no tests.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from mcp_e2e.model.calls import BreakerState, Call, Ruling, Window

ALWAYS_ALLOWED = ("status", "report", "checkpoint", "next_test", "stop_session", "job")
ALLOWED_TO_A_PERSON = ("start_session", "safe_exec", "drop_run")

_SEVERITY = {"allow": 0, "advise": 1, "throttle": 2, "refuse": 3}


@dataclass(frozen=True)
class Rule:
    """``law`` is the rule in one sentence, as docs and refusals say it."""

    name: str
    law: str
    judge: Callable[[Window, Call], Ruling | None]


def three_reds(window: Window, call: Call) -> Ruling | None:
    """R1: refuse work while the breaker is open; while half-open let one probe at a time through."""
    breaker = window.breaker
    if breaker.state is BreakerState.OPEN:
        evidence = tuple(f"{red.test} {red.verdict}: {red.message}" for red in breaker.reds[-5:])
        return Ruling("refuse", "R1", evidence, cleared_by=("a person, in a terminal",))
    if breaker.state is BreakerState.HALF_OPEN and call.tool == "run_test":
        if breaker.probe_call is not None and window.probe_alive:
            return Ruling("refuse", "R1", ("the one probe after the reset is running",), cleared_by=("its verdict",))
        return Ruling(takes_probe=True)
    return None


RULES: tuple[Rule, ...] = (
    Rule("R1", "Three red tests in a row stop all work for every agent here until a person clears it.", three_reds),
)


def law_of(rule: str) -> str:
    return next(entry.law for entry in RULES if entry.name == rule)


def exempt(call: Call) -> bool:
    """True for calls that no rule may refuse."""
    by_person = call.door == "cli" and call.tool in ALLOWED_TO_A_PERSON
    return call.tool in ALWAYS_ALLOWED or call.joins or by_person


def judge(window: Window, call: Call, rules: tuple[Rule, ...] = RULES) -> Ruling:
    """The strictest of what the rules say; ``allow`` when none speaks."""
    if exempt(call):
        return Ruling()
    spoken = [ruling for rule in rules if (ruling := rule.judge(window, call)) is not None]
    strictest = max(spoken, key=lambda ruling: _SEVERITY[ruling.kind], default=Ruling())
    return replace(strictest, takes_probe=strictest.kind != "refuse" and any(ruling.takes_probe for ruling in spoken))
