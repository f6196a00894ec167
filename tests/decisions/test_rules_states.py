"""What opens and what never does, over any history; what is never stopped."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_e2e.decisions.guard import ALWAYS_ALLOWED
from tests.decisions.histories import CALLS, EULR, TESTS, WATCHING, History, Step, histories, lines, told

FEW = settings(max_examples=12, deadline=None)
GUARD_OPENS = {"R9", "R10"}


@FEW
@given(histories(), st.lists(CALLS, max_size=5))
def test_only_a_person_leaves_open(steps: list[Step], more: list[Step]) -> None:
    """Whatever follows: passes, edits, restarts, years."""
    reds = [told("fail", test, EULR, None, None) for test in TESTS]
    after = [*steps, *more, {"ev": "edit"}, {"ev": "server_restart"}, *more]
    rest = [step for step in after if step.get("ev") != "human_reset"]
    history = [{**step, "t": at * 1e6} for at, step in enumerate([*reds, *rest])]

    assert {state for _, _, state in lines(history)[3:]} <= {"open"}
    assert {state for _, _, state in lines([*history, {"ev": "human_reset"}, *reds[:1]])[-1:]} == {"open"}
    passed = told("pass", "portrait", "", None, None)
    assert lines([*history, {"ev": "human_reset"}, passed])[-1][2] == "closed"


@FEW
@given(histories())
def test_the_exits_are_never_refused(steps: list[Step]) -> None:
    """Looks, records and ends of work, after any step; looks may be answered from the last result."""
    exits = [{"tool": tool, "args": {}, "result": {"state": "idle"}} for tool in ALWAYS_ALLOWED]
    asked = [step for one in steps for step in (one, *({**leave, "t": one["t"]} for leave in exits))]
    said = zip([step for step in asked if "tool" in step], lines(asked), strict=True)

    assert {kind for step, (kind, _, _) in said if step["tool"] in ALWAYS_ALLOWED} <= {"allow", "advise", "throttle"}


@FEW
@given(histories(least=5))
def test_it_opens_for_three_reds_in_a_row_or_a_loop_and_for_nothing_else(steps: list[Step]) -> None:
    """Reds are what the tests showed; a lost or misused attempt is none. After a reset one red is enough."""
    reds, state = 0, "closed"
    said = iter(lines(steps))
    for step in steps:
        if step.get("ev") == "human_reset":
            reds, state = 0, "half_open" if state == "open" else state
        if "tool" not in step:
            continue
        ruling, rule, after = next(said)
        red = passed = False
        if step["tool"] == "run_test" and ruling in {"allow", "advise"}:
            red = step["outcome"] in {"fail", "error", "timeout"} and "kind" not in step["result"]
            passed = step["outcome"] == "pass"
        reds = 0 if passed else reds + red
        opened = after == "open" and state != "open"
        by_reds = red and (reds == 3 or state == "half_open")
        assert opened == (state != "open" and (by_reds or (ruling == "refuse" and rule in GUARD_OPENS)))
        state = after


def failed(kinds: Sequence[str]) -> st.SearchStrategy[list[Step]]:
    drawn = st.builds(
        told, st.just("error"), st.sampled_from(TESTS), st.text(), st.sampled_from([None, 1]), st.sampled_from(kinds)
    )
    return st.lists(drawn, max_size=25)


@FEW
@given(failed(["infra", "usage", "setup", "schema"]))
def test_what_is_no_tests_failure_never_counts_as_red(steps: list[Step]) -> None:
    """A dead service and a wrong call may be refused as loops; no test has failed, and a refusal has to be one."""
    history = History()
    for step in steps:
        history.step({**step, "dur": 1.0})

    assert history.breaker.reds == ()
    refused = sum(said.startswith("refuse") for said in history.said)
    assert history.state == ("open" if refused >= 3 else "closed")


@FEW
@given(st.integers(1, 50), st.booleans(), st.booleans())
def test_nothing_is_said_of_planned_green_slots(count: int, named: bool, asks: bool) -> None:
    """Fifty slots of one test, all green, no edit; whether a checkpoint is its own call or asked for with the next."""
    history = History().plans("portrait", count=count)
    for slot in range(count):
        if asks:
            history.call("next_test", {}, result={"test": "portrait", "remaining": count - slot})
        result = {"test": "portrait", "status": "pass", "duration_s": 31.5}
        history.call("run_test", {"test": "portrait"} if named else {}, "pass", result)
        history.notes("green")

    assert set(history.said) == {"allow"}


@FEW
@given(st.integers(1, 9), st.lists(st.sampled_from(["looks", "notes", "restarts"]), max_size=4))
def test_planning_the_same_again_is_churn(count: int, between: Sequence[str]) -> None:
    """Five times the same plan on unchanged files, each slot green as before; whatever else is said in between."""
    history = History(WATCHING)

    def again() -> None:
        history.plans("portrait", count=count)
        for _ in range(count):
            history.green().notes("green")
        for word in between:
            getattr(history, word)(*(["hm"] if word == "notes" else []))

    for _ in range(5):
        again()
    args = {"tests": ["portrait"], "count": count}

    assert history.ruling("plan_run", args).rule == "R8"
    assert history.ruling("plan_run", {**args, "count": count + 1}).kind == "allow"
    assert history.edits().ruling("plan_run", args).kind == "allow"


@FEW
@given(
    st.lists(st.tuples(st.sampled_from(["status", "report", "job"]), st.floats(10, 4000)), max_size=60), st.booleans()
)
def test_calm_looks_at_live_work_are_never_stopped(looks: list[tuple[str, float]], waits: bool) -> None:
    """Ten seconds apart, however long, also beside a sleep; work that shows no progress is still work."""
    history = History(gap=0.0).call("start_session", {}, result={"state": "starting"})
    history.call("status", {}, result={"state": "running", "done": 0})
    for tool, seconds in looks:
        history.waits(seconds).call(tool, {}, result={"state": "running", "done": 0}, dur=0.0)
        if waits:
            history.waits(10.0).ran("sleep 10")

    assert set(history.said) == {"allow"}


def test_a_long_test_is_live_however_many_calls_came_since_it_began() -> None:
    """Looks that say nothing of its state, every twelve seconds for an hour."""
    history = History(gap=0.0).step({**told("pass", "portrait", "", None, None), "t": 0.0, "dur": 3600.0})
    history.now = 5.0
    history.times(290, lambda h: h.call("report", {}, result={"run": "r-1"}, pid=8, dur=0.0).waits(12.0))

    assert set(history.said) == {"allow"}


def test_one_attempt_is_one_red_however_late_another_joins_it() -> None:
    """Its verdict is told twice and counted once."""
    red = told("fail", "portrait", EULR, None, None)
    history = History(gap=0.0).step({**red, "t": 0.0, "dur": 3600.0, "pid": 1})
    history.now = 5.0
    history.times(25, lambda h: h.looks(state="running", pid=8).waits(12.0)).step({**red, "dur": 9.0, "pid": 8})

    assert (history.last, history.breaker.consecutive) == ("allow", 1)
