"""May this call run? A table of small rules over the ledger's window; the strictest ruling wins.

Laws:
- tools that only look, record or end work are never refused; idle looks are answered from the last result;
- a call that joins work which exists already is never stopped: it starts nothing;
- nothing but a tool's declared arguments, its results and the world takes part: no session, process, label or order;
- a stopped call changes no later ruling but the count of R10; a changed world or an unseen result is progress;
- only R1, R9 and R10 open the breaker, and only a person closes it;
- a person at the command line is judged by the breaker alone, and may start, stop and run commands while it is open.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from mcp_e2e.decisions.history import is_news, of_today
from mcp_e2e.decisions.rules import churn, cycles, errors, looks, opening, repeats
from mcp_e2e.decisions.tools import tool
from mcp_e2e.model.calls import Breaker, BreakerState, Call, Ruling, Window

ALWAYS_ALLOWED = ("status", "report", "checkpoint", "next_test", "stop_session", "job")
ALLOWED_AT_THE_COMMAND_LINE = ("start_session", "safe_exec", "drop_run")
HAMMERING = 3

_SEVERITY = {"allow": 0, "advise": 1, "throttle": 2, "refuse": 3}


@dataclass(frozen=True)
class Rule:
    """``law`` is the rule in one sentence, as docs and refusals say it."""

    name: str
    law: str
    judge: Callable[[Window, Call], Ruling | None]


RULES: tuple[Rule, ...] = (
    Rule(
        "R1",
        "Three red tests in a row stop all work for every agent here until a person clears it.",
        opening.three_reds,
    ),
    Rule(
        "R2",
        "The same work on unchanged files may fail twice or pass four times; repeating it tells nothing more.",
        repeats.repeat,
    ),
    Rule(
        "R3",
        "A test that failed three times in the same way on the same files, or five times over edits, is stuck.",
        repeats.same_failure,
    ),
    Rule("R4", "Going round the same calls with the same results leads nowhere.", cycles.cycle),
    Rule("R5", "The same error three times in a row does not go away by calling the tool again.", errors.same_error),
    Rule("R6", "Looking again at what has not changed shows the same.", looks.idle_look),
    Rule("R7", "Other commands that all give the same output tell nothing more.", repeats.stagnation),
    Rule("R8", "Starting anew without a change and without a new verdict leads to the same place.", churn.churn),
    Rule("R9", "Thirty calls in a row that told nothing new are a loop.", opening.drought),
)
LAWS = {rule.name: rule.law for rule in RULES} | {
    "R10": "Three refused calls without anything new between stop all work until a person clears it.",
}


def exempt(call: Call) -> bool:
    """True for calls that no rule but R6 may stop."""
    by_hand = call.door == "cli" and call.tool in ALLOWED_AT_THE_COMMAND_LINE
    return call.tool in ALWAYS_ALLOWED or call.joins or by_hand


def judge(window: Window, call: Call, rules: tuple[Rule, ...] = RULES) -> Ruling:
    """The strictest of what the rules say; ``allow`` when none speaks."""
    asked = _asked(call, rules, window.breaker)
    spoken = [ruling for rule in asked if (ruling := rule.judge(window, call)) is not None]
    strictest = max(spoken, key=lambda ruling: _SEVERITY[ruling.kind], default=Ruling())
    if strictest.kind == "refuse":
        return _hammered(window, call, strictest)
    if strictest.kind == "advise" and _advised(window, call, strictest):
        strictest = Ruling()
    return replace(strictest, takes_probe=any(ruling.takes_probe for ruling in spoken))


def _asked(call: Call, rules: tuple[Rule, ...], breaker: Breaker) -> tuple[Rule, ...]:
    if exempt(call):
        return () if call.person else tuple(rule for rule in rules if rule.name == "R6")
    alone = call.person or breaker.state is BreakerState.OPEN  # then R1 refuses whatever the others say
    return tuple(rule for rule in rules if rule.name == "R1") if alone else rules


def _advised(window: Window, call: Call, advice: Ruling) -> bool:
    """Whether it has been said already since anything was new: once is enough."""
    for row in reversed(window.past):
        told = row.ran and row.shown is not None and is_news(row)
        if told or row.world != call.world or not of_today(row, call):
            return False
        same = row.identity == call.identity or advice.rule == "R4"  # of a round one of its calls is advised
        if same and (row.ruling, row.rule) == ("advise", advice.rule) and row.outcome not in {"abandoned", "cancelled"}:
            return True
    return False


def observed(window: Window, ruling: Ruling) -> Ruling:
    """The ruling where the guard only watches: nothing is stopped but by the open breaker."""
    watching = not window.limits.enforce and window.breaker.state is BreakerState.CLOSED
    return Ruling() if watching and ruling.kind in {"refuse", "throttle"} else ruling


def _hammered(window: Window, call: Call, refusal: Ruling) -> Ruling:
    """R10: the third refusal since anything new opens the breaker."""
    if window.breaker.state is BreakerState.OPEN or refusal.rule == "R1" or refusal.opens:
        return refusal
    before = 0
    for row in reversed(window.past):
        if not of_today(row, call) or (row.ran and row.shown is not None and not row.free and is_news(row)):
            break
        before += row.ruling == "refuse"
    if before + 1 < HAMMERING:
        return refusal
    evidence = (f"{before + 1} calls refused, nothing new between", *refusal.evidence)
    return replace(
        refusal, rule="R10", evidence=evidence, cleared_by=(opening.A_PERSON,), opens=True, retry_after_s=None
    )


def work(call: Call) -> bool:
    """Whether the call may change or start something, so that the world it meets matters."""
    return tool(call.tool).kind not in {"look", "record"}
