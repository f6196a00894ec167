"""The words of a refusal: fixed order, at most 120 words, equal each time but for the counts; and those of advice."""

from collections import Counter
from typing import Any

from mcp_e2e.decisions.breaker import PERSON
from mcp_e2e.decisions.guard import ALWAYS_ALLOWED, LAWS
from mcp_e2e.decisions.rules.opening import A_PERSON
from mcp_e2e.model.calls import BreakerState, Call, Ruling, Window

FINAL = 3
"""From this refusal of an incident on it is said in two sentences."""

_NO_HELP_OPEN = (
    "Other arguments, other tools or shells, a new plan, session or server, editing limits, and waiting do not help."
)
_NO_HELP = "Arguments that select no other work, other tools or shells, a new session, run or server do not help."
_PROBING = "Rule R1: after a person's reset one test at a time may run, and that test is running now."


def facts(window: Window, ruling: Ruling, *, status_line: str) -> dict[str, Any]:
    """The contract's structured refusal; ``status_line`` is the full launch line of ``status`` for the user."""
    breaker = window.breaker
    return {
        "refused": True,
        "rule": ruling.rule,
        "state": breaker.state.value,
        "incident": breaker.incident,
        "evidence": list(ruling.evidence),
        "retryable": _probing(window, ruling),
        "retry_after_s": ruling.retry_after_s,
        "owner_action_required": ruling.cleared_by == (A_PERSON,),
        "allowed_tools": list(ALWAYS_ALLOWED),
        "cleared_by": list(ruling.cleared_by),
        "refusals_in_incident": window.refusals_in_incident + 1,
        "next_step": _next_step(window, ruling, status_line),
    }


def message(window: Window, call: Call, ruling: Ruling) -> str:
    """The refusal in one sentence."""
    if _probing(window, ruling):
        return f"{call.tool} was not run. {_PROBING}"
    return f"{call.tool} was not run: {_why(window, ruling)}"


def text(window: Window, call: Call, ruling: Ruling, *, status_line: str) -> str:
    """Not run; rule and evidence; what will not help; what still works; what to do or to tell the user."""
    step = _next_step(window, ruling, status_line)
    if _probing(window, ruling):
        return f"REFUSED: {call.tool} was not run. {_PROBING} {step}"
    is_open = window.breaker.state is BreakerState.OPEN
    if is_open and window.refusals_in_incident + 1 >= FINAL:
        return f"REFUSED: {call.tool} was not run, and no call of yours can change that. {step}"
    return " ".join(
        [
            f"REFUSED: {call.tool} was not run.",
            _why(window, ruling),
            _NO_HELP_OPEN if is_open else _NO_HELP,
            f"Still working: {', '.join(ALWAYS_ALLOWED)}.",
            step,
        ]
    )


def advice(call: Call, ruling: Ruling) -> str:
    """One sentence that rides on the answer of an allowed call, before the next one is refused."""
    return f"Rule {ruling.rule} on {call.tool}: {'; '.join(ruling.evidence)}. {LAWS[str(ruling.rule)]}"


def unchanged(wait_s: float | None) -> str:
    """Said with an answer that is given once more instead of looking again."""
    return f"Nothing has changed: this is the last answer again. Look again in {wait_s or 0:.0f} s, or do something."


def _probing(window: Window, ruling: Ruling) -> bool:
    return window.breaker.state is BreakerState.HALF_OPEN and ruling.rule == "R1"


def _why(window: Window, ruling: Ruling) -> str:
    breaker = window.breaker
    if breaker.state is not BreakerState.OPEN:
        shown = _short("; ".join(ruling.evidence), 220, words=28)
        return f"Rule {ruling.rule}: {shown}. {LAWS.get(str(ruling.rule), '')}"
    if breaker.opened_by == PERSON:
        return f"A person has locked it (incident {breaker.incident}): {_short('; '.join(breaker.evidence), 150)}."
    if breaker.evidence or not breaker.reds:
        shown = "; ".join(_short(line, 150, words=20) for line in breaker.evidence[:2])
        return f"Rule {breaker.opened_by}: {shown or 'see status'} (incident {breaker.incident})."
    causes = Counter(f"{red.test} {red.verdict}: {red.message}" for red in breaker.reds[-3:])
    width = 150 // len(causes)
    shown = "; ".join(
        _short(cause, width) + (f" ({count} times)" if count > 1 else "") for cause, count in causes.items()
    )
    count = f"{breaker.consecutive} red tests in a row on this project (incident {breaker.incident})"
    return f"Rule {ruling.rule}: {count}: {shown}."


def _next_step(window: Window, ruling: Ruling, status_line: str) -> str:
    if _probing(window, ruling):
        return "Call run_test without arguments: it joins that test and answers with its verdict."
    incident = window.breaker.incident
    if window.breaker.state is BreakerState.OPEN:
        told = f"Testing is stopped by incident {incident}; please look at it with: {status_line}"
        return f"Stop now and tell the user: '{told}'."
    told = f"mcp-e2e refuses to go on by rule {ruling.rule}; please look at it with: {status_line}"
    if ruling.cleared_by == (A_PERSON,):
        return f"Leave this test and tell the user: '{told}'."
    wait = f" or wait {ruling.retry_after_s:.0f} s" if ruling.retry_after_s else ""
    cleared = ", ".join(each for each in ruling.cleared_by if each != "waiting")
    return f"What clears it: {cleared}{wait}. If you have none of these, stop and tell the user: '{told}'."


def _short(message: str, width: int, words: int = 10) -> str:
    """One line of at most ``width`` characters, and few words however it is written."""
    line = " ".join(message.split()[:words])
    return line if len(line) <= width else line[: width - 1] + "…"
