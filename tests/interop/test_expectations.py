"""What `make interop` makes of the conformance suite's results: nothing fails or passes unnoticed."""

from collections.abc import Sequence

import pytest

from tests.interop.expectations import FILE, WIRE, Check, Expectations
from tests.interop.outcome import EXPECTED, FAILED, PASSED, VACUOUS

EXPECTATIONS = Expectations.read(
    """
    [fails]
    image = "needs a tool"
    "stateless:sampling" = "needs another tool"
    [vacuous]
    text = "any answer would do"
    """
)
GOOD = Check("good", "SUCCESS")
BAD = Check("bad", "FAILURE", "no")
HOLLOW = Check("hollow", "SUCCESS", hollow=True)
ON_THE_WIRE = Check(WIRE, "SUCCESS")
SAMPLING = Check("sampling", "FAILURE")


@pytest.mark.parametrize(
    ("scenario", "checks", "kind"),
    [
        ("ping", [GOOD, ON_THE_WIRE], PASSED),
        ("ping", [GOOD, Check("later", "SKIPPED"), Check("note", "INFO")], PASSED),
        ("ping", [GOOD, BAD], FAILED),
        ("ping", [GOOD, Check("should", "WARNING")], FAILED),
        ("ping", [HOLLOW, ON_THE_WIRE], FAILED),
        ("ping", [Check("later", "SKIPPED"), ON_THE_WIRE], FAILED),
        ("ping", [], FAILED),
        ("image", [BAD, ON_THE_WIRE], EXPECTED),
        ("image", [HOLLOW, BAD], EXPECTED),
        ("image", [BAD, Check(WIRE, "FAILURE")], FAILED),
        ("image", [GOOD, BAD], FAILED),
        ("image", [GOOD], FAILED),
        ("image", [HOLLOW], FAILED),
        ("stateless", [GOOD, SAMPLING], EXPECTED),
        ("stateless", [GOOD, SAMPLING, BAD], FAILED),
        ("stateless", [GOOD, Check("sampling", "SUCCESS")], FAILED),
        ("stateless", [GOOD, Check("sampling", "SKIPPED")], FAILED),
        ("text", [HOLLOW, ON_THE_WIRE], VACUOUS),
        ("text", [GOOD], FAILED),
        ("text", [BAD], FAILED),
    ],
)
def test_a_scenario_is_what_the_list_says_or_it_fails(scenario: str, checks: Sequence[Check], kind: str) -> None:
    """Both ways: what is not listed has to pass, and what is listed must not."""
    assert EXPECTATIONS.judge(scenario, checks).kind == kind


def test_an_entry_that_no_run_had_fails() -> None:
    """A scenario or a check by that name may have been renamed: the entry would hide its successor."""
    runs = [{"image": [BAD], "stateless": [GOOD]}, {"ping": [GOOD]}]

    assert [outcome.title for outcome in EXPECTATIONS.never_run(runs)] == ["stateless:sampling", "text"]
    assert list(EXPECTATIONS.never_run([*runs, {"text": [HOLLOW], "stateless": [SAMPLING]}])) == []


@pytest.mark.parametrize("text", ['[fails]\na = ""\n[vacuous]', "[fails]\na = 1\n[vacuous]", "[fails]", "[other]"])
def test_every_entry_has_a_reason(text: str) -> None:
    """A list without reasons is a list of bugs."""
    with pytest.raises(ValueError, match=FILE.name):
        Expectations.read(text)


def test_the_list_that_is_used_can_be_read() -> None:
    """No scenario is both: a failure and a pass."""
    used = Expectations.read(FILE.read_text("utf-8"))

    assert used.fails
    assert not used.fails.keys() & used.vacuous.keys()
