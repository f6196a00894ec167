from hypothesis import given
from hypothesis import strategies as st

from mcp_e2e.decisions.warmth import LONGEST, MOST, told, warm
from mcp_e2e.model.work import NodeError, PromptFacts

LOADS = [("1", "base.safetensors"), ("2", "style.safetensors")]


def ended(*, executed=(), cached=(), status="success", failing=None):
    error = NodeError(failing, "SaveImage", "ValueError", "no") if failing else None
    return PromptFacts("p", status, tuple(executed), tuple(cached), error=error)


def test_all_loaders_from_the_cache_is_warm_and_one_executed_is_cold():
    """A chain counts as a whole: a LoRA loaded on top of a resident checkpoint was loaded all the same."""
    assert warm(LOADS, ended(cached=["1", "2"], executed=["3"])) is True
    assert warm(LOADS, ended(cached=["1"], executed=["2", "3"])) is False
    assert warm(LOADS, ended(executed=["1", "2", "3"])) is False


def test_without_models_or_before_the_server_has_told_nothing_is_known():
    """Null is neither warm nor cold."""
    assert warm([], ended(cached=["1"], executed=["2"])) is None
    assert told(LOADS, None) == {"models": ["base.safetensors", "style.safetensors"], "warm": None}
    assert told([], ended(executed=["2"])) == {"models": [], "warm": None}


def test_a_loader_that_no_output_needs_says_nothing():
    """It was neither cached nor executed, so it cost nothing and saved nothing."""
    assert warm(LOADS, ended(cached=["1"], executed=["3"])) is True
    assert warm(LOADS, ended(executed=["3"])) is None


def test_a_failing_prompt_is_warm_only_when_every_loader_was_cached():
    """What was not reached before the error is not known; a loader that itself failed was being executed."""
    assert warm(LOADS, ended(status="error", cached=["1", "2"], failing="3")) is True
    assert warm(LOADS, ended(status="error", cached=["1"], failing="3")) is None
    assert warm(LOADS, ended(status="error", cached=["1"], failing="2")) is False
    assert warm(LOADS, ended(status="interrupted", executed=["1"])) is False


def test_a_workflow_of_very_many_models_names_the_first_of_them():
    """A bound that no graph can break."""
    assert len(told([(str(n), f"{n}.ckpt") for n in range(3 * MOST)], None)["models"]) == MOST


@given(st.lists(st.tuples(st.text(max_size=2), st.text(max_size=300)), max_size=40))
def test_models_are_sorted_once_each_and_few(loads):
    """Evidence is stored and answered: it has a bound, and equal sets are equal lists."""
    models = told(loads, None)["models"]
    assert models == sorted(set(models)) == told(loads[::-1], None)["models"]
    assert len(models) <= MOST
    assert all(len(name) <= LONGEST for name in models)
