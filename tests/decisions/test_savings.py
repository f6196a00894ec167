from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from mcp_e2e.decisions.savings import load_saved, model_uses
from mcp_e2e.model.report import AttemptLine, SlotLine
from mcp_e2e.model.runs import Verdict

BASE = ("base.safetensors",)


def tried(took, warm, *, models=BASE, verdict=Verdict.PASSED):
    return AttemptLine("a", 1, verdict, "claude", duration_s=took, models=models, warm=warm)


def slot(n, *tries, test="portrait"):
    return SlotLine(n, test, "passed", attempts=tries)


def saved(*slots):
    return load_saved(model_uses(slots))


def test_load_time_saved_is_warm_attempts_times_the_difference_of_the_medians():
    """The formula stands in the words beside the number."""
    slots = [
        slot(1, tried(6.0, False)),
        slot(2, tried(2.0, True)),
        slot(3, tried(1.0, True)),
        slot(4, tried(3.0, True)),
    ]
    assert saved(*slots) == (
        12.0,
        "warm attempts x (median cold - median warm) of those that passed: portrait 3 x (6.00 s - 2.00 s) = 12.0 s",
    )


def test_tests_are_reckoned_apart_and_added():
    """A slow test's cold time says nothing about a fast one's."""
    slots = [
        slot(1, tried(6.0, False), tried(2.0, True)),
        slot(2, tried(1.0, False), tried(0.5, True), test="upscale"),
    ]
    total, how = saved(*slots)
    assert total == 4.5
    assert "portrait 1 x (6.00 s - 2.00 s); upscale 1 x (1.00 s - 0.50 s) = 4.5 s" in how


def test_other_models_failed_attempts_and_unknown_warmth_are_not_compared():
    """A cold attempt on another checkpoint, or one that failed early, is no measure."""
    other = tried(9.0, False, models=("other.safetensors",))
    failed, unknown = tried(9.0, False, verdict=Verdict.FAILED), tried(9.0, None)
    assert saved(slot(1, failed, unknown, tried(1.0, True))) == (None, None)
    total, how = saved(slot(1, other, tried(1.0, True)))
    assert total == 0.0
    assert "portrait 0 warm; 1 test without a cold attempt not counted = 0.0 s" in how


def test_nothing_is_claimed_where_no_models_are_known():
    """Attempts of model-free workflows, of commands, and those stored by older versions."""
    assert saved(slot(1, AttemptLine("a", 1, Verdict.PASSED, "x", duration_s=3.0))) == (None, None)
    assert model_uses([slot(1, AttemptLine("a", 1, Verdict.PASSED, "x"))]) == ()


def test_equal_sets_of_models_stand_beside_each_other_with_their_slots():
    """What a schedule can group by."""
    other = ("other.safetensors",)
    uses = model_uses(
        [
            slot(3, tried(1.0, True)),
            slot(1, tried(2.0, False)),
            slot(2, tried(2.0, False, models=other), test="a"),
            slot(4, tried(2.0, False), test="z"),
        ]
    )
    assert [(use.models, use.test, use.slots) for use in uses] == [
        (BASE, "portrait", (1, 3)),
        (BASE, "z", (4,)),
        (other, "a", (2,)),
    ]


TRIES = st.builds(
    tried,
    st.none() | st.floats(-1, 500),
    st.sampled_from([True, False, None]),
    models=st.sampled_from([(), BASE, ("a.ckpt", "b.ckpt")]),
    verdict=st.sampled_from(list(Verdict)),
)
SLOTS = st.lists(
    st.tuples(st.lists(TRIES, max_size=5), st.sampled_from(["portrait", "upscale", "a", "b", "c"])), max_size=8
).map(lambda found: [slot(n, *tries, test=test) for n, (tries, test) in enumerate(found, 1)])


@given(SLOTS)
def test_savings_are_never_negative_and_never_invented(slots):
    """None without a passed cold attempt, nothing without a warm one, and never more than warm attempts times cold."""
    total, how = saved(*slots)
    good = [each for line in slots for each in line.attempts if each.verdict is Verdict.PASSED and each.models]
    timed = [each for each in good if each.duration_s is not None]
    cold, warm = ([each.duration_s for each in timed if each.warm is wanted] for wanted in (False, True))
    assert (total is None) == (how is None) == (not cold)
    if total is not None:
        assert 0 <= total <= len(warm) * max(0, *cold, *warm) - len(warm) * min(0, *cold, *warm) + 0.1 * len(slots)
        assert how.endswith(f"= {total} s")
        assert warm or total == 0


@given(st.lists(st.floats(0, 60), min_size=1, max_size=6), st.lists(st.floats(0, 60), max_size=6))
def test_one_test_on_one_set_is_the_plain_formula(cold, warm):
    """As it is said."""
    tries = [*(tried(took, False) for took in cold), *(tried(took, True) for took in warm)]
    (use,) = model_uses([slot(1, *tries)])
    wanted = len(warm) * (median(cold) - median(warm)) if warm else 0
    assert abs((use.saved_s or 0) - max(0, wanted)) <= 0.06 + 0.001 * len(warm)
    assert (use.cold, use.warm) == (len(cold), len(warm))
