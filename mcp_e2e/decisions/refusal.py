"""The words of a refusal: fixed order, at most 120 words, equal each time but for the counts."""

from collections import Counter
from typing import Any

from mcp_e2e.decisions.guard import ALWAYS_ALLOWED, law_of
from mcp_e2e.model.calls import BreakerState, Call, Ruling, Window

_NO_HELP = (
    "Other arguments, other tools or shells, a new plan, session or server, editing limits, and waiting do not help."
)

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
        "retryable": breaker.state is BreakerState.HALF_OPEN,
        "retry_after_s": ruling.retry_after_s,
        "owner_action_required": breaker.state is BreakerState.OPEN,
        "allowed_tools": list(ALWAYS_ALLOWED),
        "cleared_by": list(ruling.cleared_by),
        "refusals_in_incident": window.refusals_in_incident + 1,
        "next_step": _next_step(window, status_line),
    }


def message(window: Window, call: Call, ruling: Ruling) -> str:
    """The refusal in one sentence."""
    breaker = window.breaker
    if breaker.state is BreakerState.HALF_OPEN:
        return f"{call.tool} was not run. {_PROBING}"
    count = f"{breaker.consecutive} red tests in a row opened the breaker (incident {breaker.incident})"
    return f"{call.tool} was not run: {count}. {law_of(ruling.rule or 'R1')}"


def text(window: Window, call: Call, ruling: Ruling, *, status_line: str) -> str:
    """Not run; rule and evidence; what will not help; what still works; what to tell the user."""
    if window.breaker.state is BreakerState.HALF_OPEN:
        return f"REFUSED: {call.tool} was not run. {_PROBING} {_next_step(window, status_line)}"
    return " ".join(
        [
            f"REFUSED: {call.tool} was not run.",
            _why(window, ruling),
            _NO_HELP,
            f"Still working: {', '.join(ALWAYS_ALLOWED)}.",
            _next_step(window, status_line),
        ]
    )


def _why(window: Window, ruling: Ruling) -> str:
    breaker = window.breaker
    causes = Counter(f"{red.test} {red.verdict}: {red.message}" for red in breaker.reds[-3:])
    width = 150 // len(causes)
    shown = "; ".join(
        _short(cause, width) + (f" ({count} times)" if count > 1 else "") for cause, count in causes.items()
    )
    count = f"{breaker.consecutive} red tests in a row on this project (incident {breaker.incident})"
    return f"Rule {ruling.rule}: {count}: {shown}."


def _next_step(window: Window, status_line: str) -> str:
    if window.breaker.state is BreakerState.HALF_OPEN:
        return "Call run_test without arguments: it joins that test and answers with its verdict."
    return (
        f"Stop now and tell the user: 'Testing is stopped by incident {window.breaker.incident}; "
        f"please look at it with: {status_line}'."
    )


def _short(message: str, width: int) -> str:
    """One line of at most ``width`` characters, and few words however it is written."""
    line = " ".join(message.split()[:10])
    return line if len(line) <= width else line[: width - 1] + "…"
