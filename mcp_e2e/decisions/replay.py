"""Judge a recorded history without running anything: the live rules and nothing else (CONTRACT 7).

One ``Replay`` is one trace. Each project in it has its own window, breaker and plan. Who called is not looked at; an
equal call while another one runs joins it, if it ends with it.
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mcp_e2e.decisions import breaker as machine
from mcp_e2e.decisions import guard, history, tools
from mcp_e2e.decisions.course import Course, under_way
from mcp_e2e.model.calls import Breaker, BreakerState, Call, Limits, PastCall, Red, Result, Ruling, Window
from mcp_e2e.model.runs import Verdict

Step = Mapping[str, Any]

LATE_S = 2.0
"""Seconds by which a joined call may end after what it joined."""
_VERDICTS = {
    "pass": Verdict.PASSED,
    "fail": Verdict.FAILED,
    "error": Verdict.ERRORED,
    "timeout": Verdict.TIMED_OUT,
    "skip": Verdict.CANCELLED,
    "cancelled": Verdict.CANCELLED,
}
_UNTOLD = frozenset({"refused", "throttled", "abandoned"})


@dataclass
class Scope:
    """One project of a trace as far as it has been judged."""

    breaker: Breaker = field(default_factory=Breaker)
    past: list[PastCall] = field(default_factory=list)
    course: Course = field(default_factory=Course)
    tree: str = ""
    edits: int = 0  # since that tree was seen
    live: bool = False
    under_way: list[PastCall] = field(default_factory=list)
    strays: bool = False  # calls overlap in time and are no joins: its times are not to be trusted
    calls: int = 0


class Replay:
    """``configured``: the limits a person has set; without a file the defaults."""

    def __init__(self, configured: Limits | None = None) -> None:
        self._configured = configured or Limits()
        self._scopes: dict[str, Scope] = {}

    def judge(self, steps: Sequence[Step]) -> Iterator[dict[str, Any]]:
        """One line for each call: ``{i, ruling, rule, state}``, the state as the call meets or opens it."""
        for step in steps:
            if "ev" in step:
                for scope in self._meant(step):
                    _event(scope, step)
            elif "tool" in step:
                yield self._call(self._meant(step)[0], step)

    def _meant(self, step: Step) -> list[Scope]:
        """The project's scope; an event that names no project is for all of them."""
        if "ev" in step and step.get("project") is None:
            return list(self._scopes.values())
        return [self._scopes.setdefault(_project(step), Scope())]

    def _call(self, scope: Scope, step: Step) -> dict[str, Any]:
        call = _as_call(scope, step)
        window = Window(
            breaker=scope.breaker,
            past=tuple(scope.past[-history.WINDOW :]),
            limits=machine.limits_in_force(scope.breaker, self._configured),
        )
        ruling = guard.observed(window, guard.judge(window, call))
        scope.calls += 1
        if ruling.opens:
            scope.breaker = machine.open_by(
                scope.breaker, str(ruling.rule), call.at, ruling.evidence, configured=self._configured, incident="i-0"
            )
        state = scope.breaker.state.value
        row = _row(scope, call, ruling)
        if ruling.kind in {"allow", "advise"}:
            row = self._done(scope, call, row, step)
        scope.past.append(row)
        if row.ran:
            scope.under_way.append(row)
        return {"i": step.get("i"), "ruling": ruling.kind, "rule": ruling.rule, "state": state}

    def _done(self, scope: Scope, call: Call, row: PastCall, step: Step) -> PastCall:
        """The row with what the call told, and what that means for plan and breaker."""
        facts = step.get("result")
        facts = dict(facts) if isinstance(facts, Mapping) else {"output": facts} if facts else {}
        if step.get("kind") is not None:
            facts.setdefault("kind", step["kind"])
        outcome = str(step.get("outcome") or "ok")
        if outcome in _UNTOLD:  # of our own ledger: it was stopped or died, so nobody knows
            outcome = "cancelled"
        if call.tool == "run_test" and not call.subject and facts.get("test"):  # it says only now which one was due
            args = {**call.args, "test": facts["test"]}
            call = replace(call, args=args, identity=tools.identity(call.tool, args), subject=str(facts["test"]))
            row = replace(row, identity=call.identity, subject=call.subject)
        told = tools.result(call.tool, call.identity, outcome, facts)
        ended = call.at + _number(step.get("dur"))
        if call.joins and "identity" not in step and ended > _end_joined(scope, call) + LATE_S:
            scope.strays = True  # it went on after what it was taken to join, so it was work of its own
            call, row = replace(call, joins=False, free=False), replace(row, free=False)
        done = history.settled(row, told, ended, scope.past[-history.WINDOW :])
        _follow(scope.course, call, told, facts)
        if call.tool == "run_test" and not call.joins and told.outcome in _VERDICTS and told.fault != "misuse":
            self._verdict(scope, call, told, ended)
        going = under_way(facts)
        scope.live = going if going is not None else scope.live and call.tool != "stop_session"
        return done

    def _verdict(self, scope: Scope, call: Call, told: Result, at: float) -> None:
        verdict = Verdict.LOST if told.fault == "infra" else _VERDICTS[told.outcome]
        test = call.subject or "?"
        if scope.course.survey and scope.breaker.state is not BreakerState.HALF_OPEN:
            if not scope.course.over:
                return
            verdict, test = (Verdict.FAILED if scope.course.survey_reds else Verdict.PASSED), "survey"
            scope.course.survey = False
        red = Red(str(scope.calls), test, verdict.value, told.signature or told.outcome, at, call.caller)
        scope.breaker = machine.observe(
            scope.breaker, verdict, red, configured=self._configured, incident=f"i-{scope.calls}"
        )


def _as_call(scope: Scope, step: Step) -> Call:
    name = str(step["tool"])
    given = step.get("args")
    args = dict(given) if isinstance(given, Mapping) else {}
    if tools.tool(name).kind == "test" and not args.get("test") and (due := scope.course.due()):
        args["test"] = due
    call = Call(
        tool=name,
        identity=tools.identity(name, args),
        args=args,
        at=_number(step.get("t")),
        caller=str(step.get("session") or ""),
        lease="",
        subject=tools.subject(name, args),
        world=_world(scope, step),
        planned=name == "run_test" and scope.course.plans(str(args.get("test") or "")),
    )
    if "identity" in step:  # of our own ledger, which knows more than a recorded history
        known = {name: step[name] for name in ("identity", "planned", "free", "person", "joins")}
        return replace(call, **known)
    scope.under_way = [row for row in scope.under_way if (row.ended_at or row.at) > call.at]
    busy = not scope.strays and any(row.tool == "run_test" for row in scope.under_way)
    joins = not scope.strays and any(row.identity == call.identity for row in scope.under_way)
    return history.placed(replace(call, joins=joins, live=scope.live or busy), scope.past)


def _end_joined(scope: Scope, call: Call) -> float:
    """When the work ended that the call was taken to join."""
    return max(row.ended_at or row.at for row in scope.under_way if row.identity == call.identity)


def _row(scope: Scope, call: Call, ruling: Ruling) -> PastCall:
    return PastCall(
        id=scope.calls,
        at=call.at,
        tool=call.tool,
        identity=call.identity,
        ruling=ruling.kind,
        rule=ruling.rule,
        subject=call.subject,
        world=call.world,
        planned=call.planned and ruling.kind in {"allow", "advise"},
        free=call.free,
    )


def _follow(course: Course, call: Call, told: Result, facts: Mapping[str, Any]) -> None:
    """Keep the plan's place."""
    if call.joins:
        return
    match call.tool:
        case "plan_run" if told.outcome == "ok":
            course.planned(call.args, facts)
        case "reset_run" if told.outcome == "ok":
            course.drop()
        case "next_test":
            course.looked(facts)
        case "checkpoint" if told.outcome == "ok":
            course.recorded(call.args.get("test"), skipped=call.args.get("result") == "skipped")
        case "run_test" if told.outcome in _VERDICTS and told.fault in {None, "test"}:
            test = str(call.args.get("test") or facts.get("test") or "")
            course.verdict(test, told.outcome, recorded=bool(call.args.get("checkpoint")))


def _event(scope: Scope, step: Step) -> None:
    match step["ev"]:
        case "edit":
            scope.edits += 1
        case "human_reset":
            scope.breaker = machine.reset(scope.breaker, cleared=scope.calls)
            scope.past.clear()


def _world(scope: Scope, step: Step) -> str:
    if step.get("tree") is not None:
        scope.tree, scope.edits = str(step["tree"]), 0
    return f"{scope.tree} and {scope.edits} edits" if scope.edits else scope.tree


def _project(step: Step) -> str:
    return posixpath.normpath(str(step.get("project") or "").replace("\\", "/"))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
