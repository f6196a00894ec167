"""Facts in, verdict out; the agent has no say in it."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_e2e.decisions import verdict
from mcp_e2e.decisions.expectations import Shown
from mcp_e2e.model.jobs import ExitReason, ExitRecord, Job, JobState
from mcp_e2e.model.runs import Verdict
from mcp_e2e.model.work import Artifact, Collected, ImageFacts, NodeError, OutputFile, PromptFacts

ENDED = ExitRecord("exited", 0, None, 0.0, 1.0, 1.0)
DONE = PromptFacts(
    "p-1",
    "success",
    executed=("1", "2"),
    cached=(),
    outputs=(OutputFile("2", "x.png", "", "output"),),
    output_nodes=("2",),
)


def image(width: int = 512, height: int = 512, *, blank: bool = False) -> Collected:
    picture = Artifact("x.png", Path("/x.png"), "0" * 64, 10, "image/png", ImageFacts(width, height, blank))
    return Collected((picture,))


@pytest.mark.parametrize(
    ("reason", "code", "signal", "expected", "kind"),
    [
        ("exited", 0, None, Verdict.PASSED, None),
        ("exited", 1, None, Verdict.FAILED, "assertion"),
        ("exited", None, 11, Verdict.ERRORED, "execution_error"),
        ("timeout", None, 9, Verdict.TIMED_OUT, "timeout"),
        ("timeout", 0, None, Verdict.TIMED_OUT, "timeout"),
        ("stopped", None, 15, Verdict.CANCELLED, "cancelled"),
    ],
)
def test_a_command_is_judged_by_how_it_ended(
    reason: ExitReason, code: int | None, signal: int | None, expected: Verdict, kind: str | None
) -> None:
    """Exit 0 within its time is the only pass."""
    judged = verdict.of_command("t", replace(ENDED, reason=reason, exit_code=code, signal=signal), "some output")

    assert judged.verdict is expected
    assert (judged.failure.kind if judged.failure else None) == kind


def test_a_red_test_that_slept_is_lost_and_a_green_one_is_green() -> None:
    """A connection that broke over a night shows nothing about what is tested; a pass is a pass."""
    slept = replace(ENDED, exit_code=1, suspended_s=verdict.SUSPENDED_S)
    found = verdict.of_command("t", slept, "ConnectionResetError")
    assert (found.verdict, found.failure and found.failure.kind) == (Verdict.LOST, "suspended")
    assert verdict.of_command("t", replace(slept, suspended_s=verdict.SUSPENDED_S - 1), "").verdict is Verdict.FAILED
    assert verdict.of_command("t", replace(slept, exit_code=0), "").verdict is Verdict.PASSED


@pytest.mark.parametrize(("reason", "kind"), [("memory", "out_of_memory"), ("processes", "execution_error")])
def test_a_test_that_outgrew_its_limit_failed_by_it(reason: ExitReason, kind: str) -> None:
    """The limit is named, whatever its output said last."""
    found = verdict.of_command("t", replace(ENDED, reason=reason, exit_code=None, signal=9), "fine")
    assert (found.verdict, found.failure and found.failure.kind) == (Verdict.FAILED, kind)
    assert found.failure is not None
    assert "[exec]" in found.failure.message


def test_the_message_of_a_failed_command_quotes_the_line_that_tells() -> None:
    """An agent reads the cause before it opens the log."""
    log = "collecting\nE   AssertionError: 3 images instead of 4\ndone"

    judged = verdict.of_command("t", replace(ENDED, exit_code=1), log)

    assert judged.failure is not None
    assert judged.failure.message == "exit code 1: E   AssertionError: 3 images instead of 4"
    assert verdict.of_command("t", replace(ENDED, exit_code=1), "CUDA out of memory").failure.kind == "out_of_memory"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "tally",
    [
        "1 failed in 0.14s",
        "================= 1 failed, 2 passed in 3.20s =================",
        "FAILED (failures=1)",
        "Tests:       1 failed, 3 passed, 4 total",
        "test result: FAILED. 0 passed; 1 failed; 0 ignored",
    ],
)
def test_how_many_failed_is_no_cause(tally: str) -> None:
    """Two causes would have one signature: the line before it tells them apart. Alone it is better than nothing."""

    def message(log: str) -> str | None:
        failure = verdict.of_command("t", replace(ENDED, exit_code=1), log).failure
        return failure.message if failure else None

    cause = "FAILED test_price.py::test_price - assert 42 == 43"
    assert message(f"{cause}\n{tally}\n") == f"exit code 1: {cause}"
    assert message(tally) == f"exit code 1: {tally}"


@pytest.mark.parametrize(
    ("facts", "collected", "expect", "kind"),
    [
        (DONE, image(), {}, None),
        (DONE, image(), {"images": 1, "min_width": 512, "min_height": 512, "not_blank": True}, None),
        (replace(DONE, cached=("2",)), image(), {}, "cached"),
        (DONE, Collected(()), {}, "no_output"),
        (DONE, Collected((), ("x.png is gone",)), {}, "no_output"),
        (DONE, image(), {"images": 2}, "assertion"),
        (DONE, image(width=64), {"min_width": 512}, "assertion"),
        (DONE, image(height=64), {"min_height": 512}, "assertion"),
        (DONE, image(blank=True), {"not_blank": True}, "assertion"),
        (replace(DONE, status="interrupted"), image(), {}, "cancelled"),
        (replace(DONE, status="error"), image(), {}, "execution_error"),
        (
            replace(DONE, status="error", error=NodeError("3", "KSampler", "OutOfMemoryError", "CUDA out of memory")),
            image(),
            {},
            "out_of_memory",
        ),
    ],
)
def test_a_workflow_is_judged_by_history_and_files(
    facts: PromptFacts, collected: Collected, expect: dict[str, Any], kind: str | None
) -> None:
    """Only fresh output that meets what is expected passes; the cache never does."""
    judged = verdict.of_prompt("t", facts, Shown(collected), expect)

    assert (judged.failure.kind if judged.failure else None) == kind
    assert (judged.verdict is Verdict.PASSED) == (kind is None)


def test_a_node_error_names_node_and_class() -> None:
    """That is what has to be repaired."""
    error = NodeError("7", "VAEDecode", "ValueError", "bad latent\n")

    judged = verdict.of_prompt("t", replace(DONE, status="error", error=error), Shown(image()), {})

    assert judged.failure is not None
    assert judged.failure.message == "node 7 (VAEDecode): ValueError: bad latent"


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_numbers_do_not_make_a_new_signature(first: int, second: int) -> None:
    """Durations, counts and addresses differ between equal causes."""
    one = verdict.signature("t", "assertion", f"took {first} ms at 0x{first:x} in /tmp/run{first}/a/out.png")
    other = verdict.signature("t", "assertion", f"took {second} ms at 0x{second:x} in /tmp/run{second}/a/out.png")

    assert one == other


def test_another_quoted_value_is_another_signature() -> None:
    """A changed wrong value is news: the agent did change something."""
    first = verdict.signature("t", "execution_error", "Value not in list: sampler 'eulr' not in ['euler']")
    second = verdict.signature("t", "execution_error", "Value not in list: sampler 'eulr2' not in ['euler']")

    assert first != second


@given(st.text(max_size=300))
def test_every_message_has_a_signature_of_one_line(message: str) -> None:
    """Whatever a program prints."""
    assert "\n" not in verdict.signature("t", "assertion", message)


@pytest.mark.parametrize(
    ("lost_to", "why"),
    [
        ("keeper_killed", "the process that watched it (its keeper) was killed from outside"),
        ("reboot", "the machine restarted while it ran"),
        (None, "its server was killed before it began"),
    ],
)
def test_why_a_job_has_no_record(lost_to: Literal["keeper_killed", "reboot"] | None, why: str) -> None:
    """A job that never began is no machine that restarted."""
    state = JobState.LOST if lost_to else JobState.NEVER_STARTED
    assert verdict.how_lost(Job("j-1", state, Path(), Path(), lost_to=lost_to)) == why
