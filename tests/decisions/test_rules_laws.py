"""What changes no ruling, over any history."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decisions.histories import VERDICTS, Step, histories, lines

FEW = settings(max_examples=12, deadline=None)
NEW_ARGUMENTS = ("request_id", "client_ts", "headed", "label", "timeout_s", "retries")


def calls(steps: list[Step]) -> list[Step]:
    return [step for step in steps if "tool" in step]


@FEW
@given(histories(), st.data())
def test_arguments_that_are_no_work_change_no_ruling(steps: list[Step], data: st.DataObject) -> None:
    """Another order of arguments, at any depth, and ones that no tool has declared."""
    changed = []
    for step in steps:
        args = dict(reversed(step.get("args", {}).items()))
        if "params" in args:
            args["params"] = dict(reversed(args["params"].items()))
        added = data.draw(st.dictionaries(st.sampled_from(NEW_ARGUMENTS), st.integers(), max_size=3))
        changed.append({**step, "args": added | args} if "tool" in step else step)

    assert lines(changed) == lines(steps)


@FEW
@given(histories())
def test_who_calls_changes_no_ruling(steps: list[Step]) -> None:
    """A new session and a new process for each call."""
    assert lines([{**step, "pid": at, "session": f"s{at}"} for at, step in enumerate(steps)]) == lines(steps)


@FEW
@given(histories())
def test_a_new_server_changes_no_ruling(steps: list[Step]) -> None:
    """After each step."""
    restarted = [step for one in steps for step in (one, {"ev": "server_restart", "t": one["t"]})]

    assert lines(restarted) == lines(steps)


@FEW
@given(histories(least=10), st.sampled_from(VERDICTS), st.floats(0, 999))
def test_what_a_stopped_call_would_have_told_changes_no_ruling(steps: list[Step], verdict: Step, dur: float) -> None:
    """The guard never saw it."""
    said = iter(lines(steps))
    told = {"outcome": verdict["outcome"], "result": verdict["result"], "dur": dur}
    changed = [
        {**step, **told} if "tool" in step and next(said)[0] in {"refuse", "throttle"} else step for step in steps
    ]

    assert lines(changed) == lines(steps)


@FEW
@given(histories(least=10))
def test_without_its_stopped_calls_a_history_is_judged_alike(steps: list[Step]) -> None:
    """Up to the call at which their number opens the breaker: R10 is all they count for."""
    said = lines(steps)
    end = next((at for at, line in enumerate(said) if line[1] == "R10"), len(said))
    ran = [kind in {"allow", "advise"} for kind, _, _ in said[:end]]
    last = calls(steps)[end]["i"] if end < len(said) else len(steps)
    verdicts = iter(ran)
    kept = [step for step in steps if step["i"] < last and ("ev" in step or next(verdicts))]

    assert lines(kept) == [line for line, went in zip(said, ran, strict=False) if went]


def test_the_laws_are_tried_on_histories_that_loop() -> None:
    """Else they would hold of anything: of twenty-five at least six are stopped, for a repetition and for hammering."""
    stopped: list[set[str]] = []

    @settings(max_examples=25, database=None, deadline=None, derandomize=True)
    @given(histories(least=20))
    def look(steps: list[Step]) -> None:
        stopped.append({f"{kind} {rule}" for kind, rule, _ in lines(steps) if kind in {"refuse", "throttle"}})

    look()
    assert sum(map(bool, stopped)) >= 6
    assert set().union(*stopped) >= {"refuse R2", "refuse R10"}
