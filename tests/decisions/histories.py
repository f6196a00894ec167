"""Recorded histories in the form of a trace (CONTRACT 7), judged call by call as they are told."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Self

from hypothesis import strategies as st

from mcp_e2e.decisions import guard, history
from mcp_e2e.decisions.replay import Replay, Scope, _as_call
from mcp_e2e.model.calls import Breaker, Limits, Ruling, Window

Step = dict[str, Any]
Facts = Mapping[str, Any]

DEFAULTS = Limits()
WATCHING = Limits(enforce=False)
"""Nothing is stopped, so that one rule can be asked where another would have spoken before."""

FREE: tuple[dict[str, Any], ...] = ({"joins": True}, {"person": True})
"""Work that exists already, and a person: no rule but the breaker's stops those."""
CALM: dict[str, Any] = {"live": True}

EULR = "Value not in list: sampler_name: 'eulr' not in ['euler', 'ddim']"


class History:
    """One project's calls, two seconds apart. Every word adds a call or an event and gives the history back."""

    def __init__(self, limits: Limits = DEFAULTS, gap: float = 2.0) -> None:
        self.now, self.gap = 0.0, gap
        self.said: list[str] = []
        self.states: list[str] = []
        self._replay = Replay(limits)
        self._limits = limits

    @property
    def last(self) -> str:
        """The latest ruling: ``allow``, ``advise R2``, ``refuse R2``, ..."""
        return self.said[-1]

    @property
    def state(self) -> str:
        return self.scope.breaker.state.value

    @property
    def breaker(self) -> Breaker:
        return self.scope.breaker

    @property
    def scope(self) -> Scope:
        return self._replay._scopes.setdefault(".", Scope())

    def call(self, tool: str, args: Facts | None = None, outcome: str = "ok", result: Any = None, **more: Any) -> Self:
        step = {"tool": tool, "args": dict(args or {}), "outcome": outcome, "result": result, "dur": 1.0, "pid": 7}
        return self.step({**step, **more})

    def step(self, step: Step) -> Self:
        self.now += self.gap
        for line in self._replay.judge([{"i": len(self.said), "t": self.now, **step}]):
            self.said.append(" ".join(filter(None, (line["ruling"], line["rule"]))))
            self.states.append(self.state)
        self.now += step.get("dur", 0.0)
        return self

    def ruling(self, tool: str, args: Facts | None = None, rule: str | None = None, **flags: Any) -> Ruling:
        """All that the guard, or one of its rules, would say of this call now; nothing is added."""
        step = {"tool": tool, "args": args or {}, "t": self.now + self.gap}
        call = history.placed(replace(_as_call(self.scope, step), **flags), self.scope.past)
        rules = tuple(row for row in guard.RULES if rule in {None, row.name})
        return guard.judge(Window(self.breaker, tuple(self.scope.past), limits=self._limits), call, rules)

    def times(self, count: int, more: Callable[[Self], object]) -> Self:
        for _ in range(count):
            more(self)
        return self

    def red(self, test: str = "portrait", error: str = EULR, **args: Any) -> Self:
        result = {"test": test, "status": "fail", "error": error, "duration_s": 31.5}
        return self.call("run_test", {"test": test, **args}, "fail", result)

    def green(self, test: str = "portrait", **args: Any) -> Self:
        result = {"test": test, "status": "pass", "duration_s": 31.5}
        return self.call("run_test", {"test": test, **args}, "pass", result)

    def lost(self, test: str = "portrait", error: str = "ComfyUI died") -> Self:
        return self.call("run_test", {"test": test}, "error", {"test": test, "error": error}, kind="infra")

    def misused(self, error: str, kind: str = "usage", **args: Any) -> Self:
        return self.call("run_test", args, "error", {"error": error}, kind=kind)

    def ran(self, command: str, output: str = "", exit_code: int = 0) -> Self:
        outcome = "error" if exit_code else "ok"
        return self.call("safe_exec", {"command": command}, outcome, {"exit_code": exit_code, "output": output})

    def starts(self, cause: str = "") -> Self:
        """A session; ``cause``: why it could not start."""
        outcome, state = ("error", "failed") if cause else ("ok", "ready")
        return self.call("start_session", {}, outcome, {"state": state, "cause": cause} if cause else {"state": state})

    def plans(self, *tests: str, count: int | None = None, **result: Any) -> Self:
        args = {"tests": list(tests), **({"count": count} if count else {})}
        return self.call("plan_run", args, "ok", {"count": count or len(tests), "digest": "d1", **result})

    def looks(self, tool: str = "status", state: str = "idle", done: int = 0, **more: Any) -> Self:
        shown = {"state": state, "done": done, "total": 9, "elapsed_s": self.now, "now": self.now}
        return self.call(tool, {}, "ok", shown, **{"dur": 0.0, **more})

    def notes(self, note: str, **args: Any) -> Self:
        return self.call("checkpoint", {"result": "failure", "note": note, **args}, "ok", {"result": "failure"})

    def waits(self, seconds: float) -> Self:
        self.now += seconds
        return self

    def edits(self) -> Self:
        return self.step({"ev": "edit"})

    def restarts(self) -> Self:
        return self.step({"ev": "server_restart"})

    def person_resets(self) -> Self:
        return self.step({"ev": "human_reset"})


def lines(steps: Sequence[Step], limits: Limits = DEFAULTS) -> list[tuple[str, str | None, str]]:
    """Ruling and rule of each call of a trace of one project, and the state after it."""
    replay, told = Replay(limits), []
    for line in replay.judge(list(steps)):
        (scope,) = replay._scopes.values()
        told.append((line["ruling"], line["rule"], scope.breaker.state.value))
    return told


def first_stop(steps: Sequence[Step]) -> int | None:
    """``i`` of the first call that does not run."""
    stops = (line["i"] for line in Replay().judge(list(steps)) if line["ruling"] in {"throttle", "refuse"})
    return next(stops, None)


def told(outcome: str, test: str, error: str, seed: int | None, kind: str | None) -> Step:
    """A run_test; ``kind``: whose failure it was, if not the test's."""
    args: dict[str, Any] = {"test": test, **({"params": {"seed": seed, "steps": 8}} if seed else {})}
    bad = outcome in {"fail", "error", "timeout"}
    if bad and kind:
        return {"tool": "run_test", "args": args, "outcome": "error", "result": {"error": error, "kind": kind}}
    result = {"test": test, "status": outcome, "duration_s": 9.5, **({"error": error} if bad else {})}
    return {"tool": "run_test", "args": args, "outcome": outcome, "result": result}


def executed(command: str, output: str, exit_code: int) -> Step:
    args = {"command": command, "cwd": "."}
    outcome = "error" if exit_code else "ok"
    return {"tool": "safe_exec", "args": args, "outcome": outcome, "result": {"exit_code": exit_code, "output": output}}


def other(tool: str, args: Facts, state: str) -> Step:
    return {"tool": tool, "args": dict(args), "outcome": "ok", "result": {"state": state, "done": 1}}


TESTS = ("portrait", "landscape", "upscale")
OUTCOMES = ("pass", "pass", "pass", "fail", "error", "timeout", "skip", "cancelled")
KINDS = (None, None, None, "infra", "usage", "setup", "schema")
VERDICTS = [told(*facts) for facts in product(OUTCOMES, TESTS, (EULR, "no image"), (None, 1, 2), KINDS)]
CALLS = st.one_of(
    st.sampled_from(VERDICTS),
    st.sampled_from([executed(*facts) for facts in product(("ls", "make x", "grep a b"), ("", "a", "b"), (0, 1))]),
    st.sampled_from(
        [
            *(other("start_session", {}, state) for state in ("ready", "starting")),
            *(
                other(tool, {}, "idle")
                for tool in ("status", "report", "next_test", "job", "stop_session", "reset_run")
            ),
            *(other("checkpoint", {"note": note, "result": "failure"}, "x") for note in ("a", "b")),
            other("status", {}, "running"),
            other("plan_run", {"tests": ["portrait"], "count": 3}, "planned"),
        ]
    ),
)


@st.composite
def histories(draw: st.DrawFn, least: int = 0) -> list[Step]:
    """One call after the other: a few that go round, as agents do, and now and then another, an edit, a person."""
    rounds = draw(st.lists(CALLS, min_size=1, max_size=3))
    others = draw(st.lists(CALLS, min_size=1, max_size=3))
    rare: list[Step] = [*others, {"ev": "edit"}, {"ev": "human_reset"}]
    gaps = draw(st.tuples(*[st.sampled_from([0.5, 2.0, 12.0, 40.0, 700.0])] * 2))
    steps, now = [], 0.0
    for at, way in enumerate(draw(st.lists(st.integers(0, 20), min_size=least, max_size=40))):
        step = rare[way] if way < len(rare) else rounds[at % len(rounds)]
        now += gaps[way % 2]
        steps.append({"i": at, "t": now, "pid": 7, "session": "s", "dur": 1.0, **step})
        now += 1.0
    return steps
