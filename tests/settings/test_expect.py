"""``expect``: a closed table whose keys do not contradict each other."""

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mcp_e2e.settings import ExpectConfig, wishes

HEAD = "[services.c]\nkind = 'comfyui'\ncommand = ['x']\n[[tests]]\nid = 't'\nworkflow = 'w.json'\n"
KEYS = sorted(ExpectConfig.model_fields)


@pytest.mark.parametrize(
    ("written", "said", "fix"),
    [
        ("width = 8, min_width = 4", "width: goes not with min_width and max_width", "Keep width"),
        ("min_height = 8, max_height = 4", "min_height: is more than max_height", "Exchange the two."),
        ("golden = true, similar_to = 'a.png'", "golden: goes not with similar_to", "Keep one"),
        ("tolerance = 0.1", "tolerance: has nothing to compare with", "golden = true"),
        ("golden = true, tolerance = 1.5", "must be at most 1", "tolerance: Largest difference"),
        ("command = ['']", "the program is empty", "Name the program"),
        ("command_timeout_s = 5", "there is no command", "Add command"),
        ("videos = -1", "must be at least 0", "videos: How many"),
        ("image = 1", "expect.image: not a known key", "Did you mean 'images'?"),
        ("similar_too = 'a'", "not a known key", "Did you mean 'similar_to'?"),
        ("not_blank = 'yes'", "must be true or false", "not_blank: true"),
    ],
)
def test_what_contradicts_itself_or_is_misspelt_is_explained(project, written: str, said: str, fix: str) -> None:
    """With its line, the nearest key and what to write instead."""
    error = project.error(f"{HEAD}expect = {{ {written} }}\n")

    assert said in error.message
    assert fix in error.advice
    assert error.facts["line"] == 7


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(KEYS), st.integers(0, 30))
def test_a_letter_too_many_in_any_key_is_answered_with_it(project, key: str, at: int) -> None:
    """Also where two keys are nearly alike."""
    at %= len(key) + 1
    error = project.error(f"{HEAD}expect = {{ {key[:at]}9{key[at:]} = 1 }}\n")

    assert error.advice == f"Did you mean '{key}'?"


def test_only_what_is_asked_for_is_carried_along() -> None:
    """A wish that is false is none, and a tolerance goes with what is compared."""
    assert wishes(ExpectConfig()) == {}
    assert wishes(ExpectConfig(images=0, not_blank=False, max_seconds=3)) == {"images": 0, "max_seconds": 3}
    assert wishes(ExpectConfig(golden=True)) == {"golden": True, "tolerance": 0.05}
    assert wishes(ExpectConfig(command=["x"], command_timeout_s=5.0)) == {"command": ["x"]}


def test_a_windows_path_in_double_quotes_is_explained(project) -> None:
    """TOML would take its backslashes for something else."""
    error = project.error(f'{HEAD}expect = {{ similar_to = "golden\\new.png" }}\n')

    assert "a backslash" in error.message
