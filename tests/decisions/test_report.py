from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_e2e.decisions.report import build, outcome_of
from mcp_e2e.model.calls import Breaker, BreakerState
from mcp_e2e.model.runs import RED, Attempt, AttemptState, Checkpoint, Failure, Run, Slot, Verdict

FACTS = {"restarts": 0, "refusals": 0, "now": 500.0, "project": "/srv/comfy", "environment": {"os": "linux"}}
OPEN = Breaker(state=BreakerState.OPEN, incident="i1")
ALLOWED = {
    Verdict.PASSED: ("success", "failure", "skipped"),
    **dict.fromkeys((*RED, Verdict.LOST), ("failure", "skipped")),
    Verdict.SKIPPED: ("skipped",),
    Verdict.CANCELLED: ("skipped",),
    None: ("skipped",),
}


def attempt(slot, n, verdict, *, test="portrait", message="node 3: CUDA error", joined=True, took=2.0, **more):
    failure = None
    if verdict not in {None, Verdict.PASSED, Verdict.SKIPPED}:
        kind = "service_died" if verdict is Verdict.LOST else "assertion"
        failure = Failure(kind, message, f"{test}|{kind}|{message}")
    return Attempt(
        id=f"a{slot}-{n}",
        run="r1",
        slot=slot,
        n=n,
        test=test,
        work=test,
        params={},
        service="comfyui",
        timeout_s=60,
        lease="l",
        by="claude (pid 1)",
        state=AttemptState.RUNNING if verdict is None else AttemptState.DONE,
        created_at=100.0,
        started_at=110.0,
        ended_at=None if verdict is None else 110.0 + took,
        joined_running=joined,
        verdict=verdict,
        failure=failure,
        **more,
    )


def slot(n, *verdicts, result=None, note="", test="portrait", **more):
    attempts = tuple(attempt(n, at, verdict, test=test, **more) for at, verdict in enumerate(verdicts, 1))
    bare = Slot(n, test, attempts)
    if result is None:
        return bare
    return replace(bare, checkpoint=Checkpoint("r1", n, result, bare.verdict, note, 200.0, "claude (pid 1)"))


def run(*slots, state="active", **more):
    return Run("r1", state, "strict", 100.0, "claude (pid 1)", tuple(slots), **more)


def report(*slots, breaker=None, boots=(), state="active", **more):
    facts = {**FACTS, **{key: more.pop(key) for key in list(more) if key in FACTS}}
    return build(run(*slots, state=state, **more), boots=boots, breaker=breaker or Breaker(), **facts)


@st.composite
def slots(draw, n):
    test = draw(st.sampled_from(["portrait", "api-smoke", "upscale"]))
    verdicts = draw(st.lists(st.sampled_from(list(Verdict)), max_size=4))
    last = verdicts[-1] if verdicts else None
    result = draw(st.sampled_from((None, *ALLOWED[last])))
    running = [None] if result is None and draw(st.booleans()) else []
    message = draw(st.sampled_from(["", "node 3: CUDA error", "2 images instead of 1"]))
    note = draw(st.sampled_from(["", "looks wrong"]))
    return slot(n, *verdicts, *running, result=result, note=note, test=test, message=message)


@st.composite
def runs(draw):
    count = draw(st.integers(0, 6))
    state = draw(st.sampled_from(["active", "finished", "dropped", "service_failed"]))
    return run(*(draw(slots(n)) for n in range(1, count + 1)), state=state)


FEW = settings(max_examples=40, deadline=None)
BREAKERS = st.sampled_from([Breaker(state=state) for state in BreakerState])


@FEW
@given(runs(), BREAKERS, st.lists(st.floats(0, 900), max_size=4))
def test_every_slot_appears_once_and_the_counts_add_up(planned, breaker, boots):
    """No slot is lost or told twice, whatever happened in the run."""
    told = build(planned, boots=boots, breaker=breaker, **FACTS)
    assert sorted(line.slot for line in told.tests) == [slot.n for slot in planned.slots]
    counts = told.counts
    assert counts.total == len(planned.slots) == counts.passed + counts.failed + counts.skipped + counts.pending
    assert counts.attempts == sum(len(slot.attempts) for slot in planned.slots)
    assert counts.flaky <= counts.passed


@FEW
@given(runs(), BREAKERS)
def test_passed_is_said_only_where_the_server_saw_every_slot_pass(planned, breaker):
    """Neither a skip, a doubt nor a lost service can make a run green."""
    told = build(planned, boots=[], breaker=breaker, **FACTS)
    for line in told.tests:
        if line.outcome == "passed":
            assert planned.slot(line.slot).verdict is Verdict.PASSED
    if told.overall == "passed":
        assert all(slot.verdict is Verdict.PASSED for slot in planned.slots)
        assert told.success_rate == 1.0
    if told.counts.failed and told.overall == "skipped":
        pytest.fail("a failed slot was called skipped")
    assert told.success_rate is None or 0 <= told.success_rate <= 1
    assert told.success_rate != 1.0 or told.counts.failed == 0


@FEW
@given(runs(), BREAKERS)
def test_each_standing_failure_belongs_to_exactly_one_cause(planned, breaker):
    """Causes partition the slots in which a failure stands, the one behind most slots first."""
    told = build(planned, boots=[], breaker=breaker, **FACTS)
    behind = Counter(n for cause in told.causes for n in cause.slots)
    assert behind == Counter(line.slot for line in told.tests if line.standing is not None)
    sizes = [len(cause.slots) for cause in told.causes]
    assert sizes == sorted(sizes, reverse=True)
    assert all(cause.attempts >= len(cause.slots) for cause in told.causes)


@FEW
@given(runs(), BREAKERS)
def test_failures_come_first_then_flaky_pending_skipped_and_passed(planned, breaker):
    """What needs a reader's eye stands on top."""
    told = build(planned, boots=[], breaker=breaker, **FACTS)
    order = ["failed", "doubted", "flaky", "pending", "skipped", "passed"]
    ranks = [max(1, order.index("flaky" if line.flaky else line.outcome)) for line in told.tests]
    assert ranks == sorted(ranks)


@FEW
@given(runs(), BREAKERS)
def test_the_advice_is_one_or_two_sentences_and_names_no_way_around_a_person(planned, breaker):
    """An open breaker is cleared by a person who asks status; nothing else is said about it."""
    advice = build(planned, boots=[], breaker=breaker, **FACTS).recommendation
    assert advice
    assert "\n" not in advice
    assert "reset" not in advice
    assert ("a person has to clear it: mcp-e2e status" in advice) == (breaker.state is BreakerState.OPEN)


def test_a_checkpoint_never_improves_what_the_server_saw():
    """A skip over a red is failed, also when a later cancel or a lost service would hide that red."""
    assert outcome_of(slot(1, Verdict.FAILED, result="skipped")) == "failed"
    assert outcome_of(slot(1, Verdict.FAILED, Verdict.CANCELLED, result="skipped")) == "failed"
    assert outcome_of(slot(1, Verdict.TIMED_OUT, Verdict.LOST, result="skipped")) == "failed"
    assert outcome_of(slot(1, Verdict.ERRORED, result="success")) == "failed"
    assert outcome_of(slot(1, Verdict.LOST, result="success")) == "failed"
    assert outcome_of(slot(1, result="success")) == "skipped"


def test_a_skip_without_a_red_verdict_stays_a_skip():
    """A test nobody could judge may be left out."""
    assert outcome_of(slot(1, result="skipped")) == "skipped"
    assert outcome_of(slot(1, Verdict.LOST, result="skipped")) == "skipped"
    assert outcome_of(slot(1, Verdict.FAILED, Verdict.PASSED, result="skipped")) == "skipped"


def test_an_agents_doubt_is_shown_as_doubt_and_is_no_red_of_the_server():
    """It counts as failed, lowers the rate, and has no cause in the server's evidence."""
    told = report(slot(1, Verdict.PASSED, result="failure", note="the face is blurred"))
    assert [line.outcome for line in told.tests] == ["doubted"]
    assert told.tests[0].verdict is Verdict.PASSED
    assert (told.overall, told.success_rate, told.causes) == ("failed", 0.0, ())
    assert "the face is blurred" in told.recommendation


@pytest.mark.parametrize(
    ("overall", "facts"),
    [
        ("passed", {"slots": [slot(1, Verdict.PASSED, result="success")]}),
        ("failed", {"slots": [slot(1, Verdict.FAILED, result="failure"), slot(2)]}),
        ("failed", {"slots": [slot(1, Verdict.FAILED, result="failure")], "breaker": OPEN}),
        ("incomplete", {"slots": [slot(1, Verdict.PASSED, result="success"), slot(2)]}),
        ("incomplete", {"slots": [slot(1, Verdict.PASSED, result="success"), slot(2, result="skipped")]}),
        ("stopped", {"slots": [slot(1, Verdict.FAILED), slot(2)], "breaker": OPEN}),
        ("service_failed", {"slots": [slot(1, Verdict.LOST, Verdict.LOST)], "state": "service_failed"}),
        ("skipped", {"slots": [slot(1, result="skipped"), slot(2, Verdict.CANCELLED, result="skipped")]}),
    ],
)
def test_the_overall_word_says_how_the_run_stands(overall, facts):
    """One word for each way a run can stand."""
    assert report(*facts.pop("slots"), **facts).overall == overall


def test_the_rate_counts_what_the_server_judged_recorded_or_not():
    """One recorded pass, one red nobody recorded yet, one slot not run: half of the judged passed."""
    told = report(slot(1, Verdict.PASSED, result="success"), slot(2, Verdict.FAILED), slot(3))
    assert told.success_rate == 0.5
    assert report(slot(1), slot(2, Verdict.LOST)).success_rate is None


def test_a_pass_after_a_red_attempt_is_flaky_and_a_pass_after_a_lost_one_is_not():
    """The service dying says nothing about the test."""
    told = report(
        slot(1, Verdict.FAILED, Verdict.PASSED, result="success"),
        slot(2, Verdict.LOST, Verdict.PASSED, result="success"),
    )
    assert {line.slot: line.flaky for line in told.tests} == {1: True, 2: False}
    assert (told.counts.flaky, told.counts.lost, told.overall) == (1, 1, "passed")
    assert "portrait" in told.recommendation


def test_one_cause_behind_many_tests_is_told_as_one():
    """The test's name in a signature does not split a cause."""
    told = report(
        slot(1, Verdict.FAILED, Verdict.FAILED, result="failure"),
        slot(2, Verdict.FAILED, result="failure", test="upscale"),
    )
    (cause,) = told.causes
    assert (cause.tests, cause.slots, cause.attempts) == (("portrait", "upscale"), (1, 2), 3)
    assert told.recommendation.startswith("One cause stands behind 2 failing slots: node 3: CUDA error.")


def test_boot_time_saved_is_joined_attempts_times_the_median_boot():
    """Only ended attempts that found the service up count; nothing is claimed without a measured boot."""
    slots = [
        slot(1, Verdict.PASSED, result="success", joined=False),
        slot(2, Verdict.PASSED, result="success"),
        slot(3, Verdict.FAILED, None),
    ]
    told = report(*slots, boots=[40.0, 60.0, 44.0])
    assert told.boot_saved_s == 88.0
    assert told.boot_saved_how == (
        "2 attempts found the service running x 44.0 s (median of 3 measured boots) = 88.0 s"
    )
    unmeasured = report(*slots)
    assert (unmeasured.boot_saved_s, unmeasured.boot_saved_how) == (None, None)


def test_an_attempt_is_told_with_its_evidence():
    """Artifacts, log and who ran it reach the report; a passing attempt carries no log tail."""
    artifact = {"name": "out.png", "path": "/s/out.png", "uri": "e2e://x", "sha256": "ab", "bytes": 7, "type": "image"}
    evidence = {"artifacts": [artifact], "log": "/s/log", "log_tail": "Traceback"}
    told = report(slot(1, Verdict.FAILED, Verdict.PASSED, evidence=evidence))
    red, green = told.tests[0].attempts
    assert (red.artifacts[0].path, red.artifacts[0].bytes) == ("/s/out.png", 7)
    assert (red.log, red.log_tail, red.by, red.duration_s) == ("/s/log", "Traceback", "claude (pid 1)", 2.0)
    assert green.log_tail is None


def test_a_slot_whose_attempts_were_pruned_keeps_the_verdict_of_its_checkpoint():
    """Retention never turns a red slot into a skipped one."""
    for verdict, outcome in ((Verdict.PASSED, "passed"), (Verdict.FAILED, "failed")):
        point = Checkpoint("r1", 1, "success", verdict, "", 200.0, "x")
        assert outcome_of(Slot(1, "portrait", (), point)) == outcome


def test_the_fullest_memory_of_the_run_is_told_with_its_slot():
    """One sentence: the attempt that came nearest to a limit, not the last one."""
    low, high = ({"unit": "MiB", "device": "cpu", "ram_total": 100, "ram_peak": peak} for peak in (10, 90))
    slots = [slot(n, Verdict.PASSED, result="success", evidence={"memory": each}) for n, each in ((1, low), (2, high))]
    assert report(*slots, slot(3, Verdict.PASSED)).memory_peak == "RAM peak 90 of 100 MiB, in slot 2 portrait"
    assert report(slot(1, Verdict.PASSED)).memory_peak is None


def test_a_slot_is_warm_or_cold_as_its_last_timed_attempt_was():
    """An attempt stored by an older version is neither."""
    told = report(
        slot(1, Verdict.PASSED, evidence={"models": ["a.ckpt"], "warm": False}),
        slot(2, Verdict.PASSED, evidence={}),
        slot(3, Verdict.PASSED, None, evidence={"warm": True}),
    )
    assert {line.slot: line.warm for line in told.tests} == {1: False, 2: None, 3: True}
    assert (told.load_saved_s, [use.slots for use in told.model_uses]) == (0.0, [(1,)])
