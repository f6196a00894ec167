"""Our labelled traces are judged as their labels say, whatever an agent changes that is no work."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.decisions.histories import Step, first_stop

Trace = dict[str, Any]
Change = Callable[[list[Step]], list[Step]]
FOLDER = Path(__file__).parent / "traces"


def traces(name: str) -> list[Trace]:
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text("utf-8").splitlines()]


LOOPS, HONEST = traces("loops"), traces("honest")
ALL = {trace["id"]: trace for trace in LOOPS + HONEST}


@cache
def judged(name: str) -> int | None:
    return first_stop(ALL[name]["steps"])


def turned(value: Any) -> Any:
    """The same value, its keys in the opposite order at every depth."""
    return {key: turned(value[key]) for key in reversed(value)} if isinstance(value, dict) else value


def with_turned_arguments(steps: list[Step]) -> list[Step]:
    return [{**step, "args": turned(step.get("args") or {})} if "tool" in step else step for step in steps]


def with_request_ids(steps: list[Step]) -> list[Step]:
    """As older clients add them: new in each call, and no work."""
    news = [{"request_id": f"r-{at:04}", "client_ts": 1.7e9 + at, "headed": bool(at % 2)} for at in range(len(steps))]
    return [
        {**step, "args": {**new, **(step.get("args") or {})}} if "tool" in step else step
        for step, new in zip(steps, news, strict=True)
    ]


def with_a_new_caller_per_call(steps: list[Step]) -> list[Step]:
    """Two calls of one caller that overlap stay one caller's: a process that still waits has not been replaced."""
    changed: list[Step] = []
    running: list[tuple[float, tuple[Any, ...], int]] = []
    for at, step in enumerate(steps):
        if "tool" not in step:
            changed.append(step)
            continue
        who = (step.get("project"), step.get("pid"), step.get("session"))
        running = [row for row in running if row[0] > step["t"]]
        new = next((row[2] for row in running if row[1] == who), 9000 + at)
        running.append((step["t"] + step.get("dur", 0.0), who, new))
        changed.append({**step, "pid": new, "session": f"s-{new}"})
    return changed


def with_a_restart_after_each_call(steps: list[Step]) -> list[Step]:
    changed: list[Step] = []
    for step in steps:
        restart = {"ev": "server_restart", "t": step["t"], "project": step.get("project")}
        changed += [step, restart] if "tool" in step else [step]
    return changed


CHANGES: tuple[Change, ...] = (
    with_turned_arguments,
    with_request_ids,
    with_a_new_caller_per_call,
    with_a_restart_after_each_call,
)


def test_there_are_enough_of_both() -> None:
    """At least forty loops and forty honest histories, each with a name of its own and a due call that it has."""
    assert min(len(LOOPS), len(HONEST)) >= 40
    assert len(ALL) == len(LOOPS) + len(HONEST)
    for trace in LOOPS:
        calls = [step["i"] for step in trace["steps"] if "tool" in step]
        assert {trace["earliest"], trace["due"]} <= set(calls)


@pytest.mark.parametrize("trace", LOOPS, ids=lambda trace: trace["id"])
def test_every_loop_is_stopped_in_time(trace: Trace) -> None:
    """Not before it is one, and not later than its label says."""
    stop = judged(trace["id"])

    assert stop is not None
    assert trace["earliest"] <= stop <= trace["due"]


@pytest.mark.parametrize("trace", HONEST, ids=lambda trace: trace["id"])
def test_no_honest_history_is_stopped(trace: Trace) -> None:
    """Neither refused nor throttled, at any call."""
    assert judged(trace["id"]) is None


def moved(change: Change, names: list[str]) -> dict[str, tuple[int | None, int | None]]:
    """The first stops before and after, where they differ."""
    stops = {name: (judged(name), first_stop(change(ALL[name]["steps"]))) for name in names}
    return {name: (before, after) for name, (before, after) in stops.items() if before != after}


def test_what_is_no_work_changes_no_first_stop() -> None:
    """Order of arguments, ids of requests, who called, a new server between: all at once, for every trace."""

    def changed(steps: list[Step]) -> list[Step]:
        for change in CHANGES:
            steps = change(steps)
        return steps

    assert moved(changed, list(ALL)) == {}


@pytest.mark.parametrize("nth", range(len(CHANGES)), ids=lambda nth: CHANGES[nth].__name__)
def test_no_such_change_alone_does(nth: int) -> None:
    """Each for its share of half of the traces: two changes that undo each other would be seen."""
    assert moved(CHANGES[nth], list(ALL)[nth :: 2 * len(CHANGES)]) == {}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_each_change_changes_something(change: Change) -> None:
    """Else the tests above would say nothing."""
    before = [step for trace in LOOPS for step in trace["steps"]]
    after = [step for trace in LOOPS for step in change(trace["steps"])]

    assert json.dumps(after) != json.dumps(before)
    assert [step["i"] for step in after if "tool" in step] == [step["i"] for step in before if "tool" in step]
