"""What each tool's call is, and what its result tells."""

from typing import Any

import pytest

from mcp_e2e.decisions.guard import ALWAYS_ALLOWED
from mcp_e2e.decisions.tools import NOTHING_SAID, TOOLS, identity, result, subject, tool
from mcp_e2e.model.calls import Result

Args = dict[str, Any]

SAME_WORK: dict[str, tuple[str, Args, Args]] = {
    "a wait": ("run_test", {"test": "a"}, {"test": "a", "wait_seconds": 50, "timeout_s": 900}),
    "old arguments": ("run_test", {"test": "a"}, {"test": "a", "headed": True, "retries": 3, "request_id": "x"}),
    "no parameters": ("run_test", {"test": "a"}, {"test": "a", "params": {}}),
    "order of parameters": ("run_test", {"params": {"a": 1, "b": 2.0}}, {"params": {"b": 2, "a": 1}}),
    "a checkpoint with it": ("run_test", {"test": "a"}, {"test": "a", "checkpoint": {"note": "fine"}}),
    "a time limit": ("safe_exec", {"command": "make x"}, {"command": "make x", "timeout_s": 9, "wait_seconds": 1}),
    "a comment": ("safe_exec", {"command": "make x"}, {"command": " make x  # again"}),
    "the folder itself": ("safe_exec", {"command": "ls", "cwd": "."}, {"command": "ls", "cwd": "./src/.."}),
    "slashes": ("safe_exec", {"command": "ls", "cwd": "a/b"}, {"command": "ls", "cwd": "a\\b\\"}),
    "a plan's default": ("plan_run", {"tests": ["a"]}, {"tests": ["a"], "mode": "strict", "new": True}),
    "an empty service": ("start_session", {}, {"service": None, "wait_seconds": 0}),
    "a report's default": ("report", {}, {"format": "summary"}),
    "when it is looked at": ("status", {}, {"client_ts": 3}),
    "labels of an unknown tool": ("deploy", {"to": "x"}, {"to": "x", "request_id": 1, "client_ts": 2.5, "label": "b"}),
}
OTHER_WORK: dict[str, tuple[str, Args, Args]] = {
    "test": ("run_test", {"test": "a"}, {"test": "b"}),
    "id with a uuid": ("run_test", {"test": f"t[{'0' * 8}]"}, {"test": f"t[{'1' * 8}]"}),
    "parameter": ("run_test", {"test": "a", "params": {"seed": 1}}, {"test": "a", "params": {"seed": 2}}),
    "command": ("safe_exec", {"command": "make x"}, {"command": "make y"}),
    "argv": ("safe_exec", {"argv": ["a", "b"]}, {"argv": ["b", "a"]}),
    "folder": ("safe_exec", {"command": "ls", "cwd": "a"}, {"command": "ls", "cwd": "b"}),
    "environment": ("safe_exec", {"command": "ls", "env": {"A": "1"}}, {"command": "ls", "env": {"A": "2"}}),
    "service": ("start_session", {"service": "api"}, {"service": "comfyui"}),
    "count": ("plan_run", {"tests": ["a"], "count": 1}, {"tests": ["a"], "count": 2}),
    "order of a plan": ("plan_run", {"tests": ["a", "b"]}, {"tests": ["b", "a"]}),
    "survey": ("plan_run", {"tests": ["a"]}, {"tests": ["a"], "mode": "survey"}),
    "note": ("checkpoint", {"note": "a"}, {"note": "b"}),
    "page": ("job", {"id": "j", "offset": 0}, {"id": "j", "offset": 4000}),
    "action": ("job", {"id": "j"}, {"id": "j", "action": "cancel"}),
    "run": ("report", {"run": "r-1"}, {"run": "r-2"}),
    "argument of an unknown tool": ("deploy", {"to": "x"}, {"to": "y"}),
    "notebook of an unknown tool": ("run_notebook", {"notebook": "a.ipynb"}, {"notebook": "b.ipynb"}),
    "tool": ("deploy", {}, {"": 1}),
}


@pytest.mark.parametrize(("name", "one", "two"), SAME_WORK.values(), ids=SAME_WORK)
def test_what_selects_no_work_is_no_part_of_the_identity(name: str, one: Args, two: Args) -> None:
    """Waits, limits, labels, ids of requests, defaults, order."""
    assert identity(name, one) == identity(name, two)


@pytest.mark.parametrize(("name", "one", "two"), OTHER_WORK.values(), ids=OTHER_WORK)
def test_what_selects_work_is_the_identity(name: str, one: Args, two: Args) -> None:
    """A call with another one is another call."""
    assert identity(name, one) != identity(name, two)


def test_equal_arguments_of_two_tools_are_two_identities() -> None:
    """The tool itself selects work."""
    assert len({identity(name, {}) for name in (*TOOLS, "deploy")}) == len(TOOLS) + 1


def test_what_is_always_allowed_looks_or_records() -> None:
    """And all that looks or records is always allowed; an unknown tool is work."""
    assert {name for name, entry in TOOLS.items() if entry.kind in {"look", "record"}} == set(ALWAYS_ALLOWED)
    assert tool("deploy").kind == "command"


@pytest.mark.parametrize(
    ("name", "args", "common"),
    [
        ("run_test", {"test": "a", "params": {"seed": 1}}, "a"),
        ("safe_exec", {"command": "cd x && timeout 9 python -m pytest"}, "pytest"),
        ("safe_exec", {"argv": ["/usr/bin/make", "-C", "x"]}, "make"),
        ("safe_exec", {"argv": 9007199254740993}, "safe_exec"),
        ("deploy", {"to": "x"}, "deploy"),
        ("start_session", {"service": "api"}, ""),
        ("checkpoint", {"note": ""}, ""),
    ],
)
def test_the_subject_is_what_several_identities_share(name: str, args: Args, common: str) -> None:
    """The test, the program."""
    assert subject(name, args) == common


def test_a_note_is_new_when_it_says_something_else() -> None:
    """Another time or id in it is no other note."""
    first, again = (subject("checkpoint", {"note": f"[10:00:0{n}] the sampler is misspelt"}) for n in (1, 2))

    assert first == again != ""
    assert subject("checkpoint", {"note": "the model is missing"}) != first


def told(name: str, outcome: str, **facts: Any) -> Result:
    return result(name, f"{name} {{}}", outcome, facts)


@pytest.mark.parametrize(
    ("name", "outcome", "facts", "fault"),
    [
        ("run_test", "fail", {"error": "boom", "duration_s": 2}, "test"),
        ("run_test", "error", {"error": "boom"}, "test"),
        ("run_test", "timeout", {}, "test"),
        ("run_test", "error", {"error": "invalid parameter 'seed'", "duration_s": 2}, "test"),
        ("run_test", "fail", {"error": "unknown parameter 'seed'"}, "test"),
        ("run_test", "error", {"error": "unknown parameter 'seed'"}, "misuse"),
        ("run_test", "error", {"error": "x", "kind": "usage", "duration_s": 2}, "misuse"),
        ("run_test", "error", {"error": "x", "code": "setup"}, "misuse"),
        ("run_test", "error", {"error": "x", "kind": "schema"}, "misuse"),
        ("run_test", "error", {"error": "unknown parameter", "kind": "infra"}, "infra"),
        ("run_test", "error", {"status": "lost"}, "infra"),
        ("run_test", "denied", {}, "misuse"),
        ("run_test", "pass", {"error": "a warning"}, None),
        ("run_test", "skip", {}, None),
        ("safe_exec", "ok", {"exit_code": 1}, "command"),
        ("safe_exec", "timeout", {}, "command"),
        ("safe_exec", "error", {"error": "x", "code": "config"}, "misuse"),
        ("safe_exec", "ok", {"exit_code": 0, "output": "error: boom"}, None),
        ("deploy", "error", {"error": "boom"}, "command"),
        ("start_session", "error", {"cause": "port taken"}, "infra"),
        ("start_session", "error", {"error": "x", "kind": "config"}, "misuse"),
        ("plan_run", "error", {"error": "no test 'x'"}, "misuse"),
        ("checkpoint", "error", {"error": "no verdict"}, "misuse"),
        ("status", "ok", {"state": "failed"}, None),
    ],
)
def test_whose_failure_it_was(name: str, outcome: str, facts: Args, fault: str | None) -> None:
    """Three ledgers that never mix, and commands."""
    assert told(name, outcome, **facts).fault == fault


@pytest.mark.parametrize(
    ("name", "outcome", "facts", "normal"),
    [
        ("run_test", "ok", {"status": "failed"}, "fail"),
        ("run_test", "ok", {"status": "timed_out"}, "timeout"),
        ("run_test", "ok", {"status": "passed"}, "pass"),
        ("run_test", "ok", {"status": "running"}, "running"),
        ("run_test", "fail", {"status": "passed"}, "fail"),
        ("start_session", "ok", {"state": "starting"}, "running"),
        ("start_session", "ok", {"state": "ready"}, "ok"),
        ("safe_exec", "fail", {"exit_code": 1}, "error"),
        ("safe_exec", "ok", {"exit_code": 2}, "error"),
        ("safe_exec", "ok", {"exit_code": 0}, "ok"),
        ("status", "ok", {"state": "running"}, "ok"),
    ],
)
def test_an_outcome_is_what_the_result_says(name: str, outcome: str, facts: Args, normal: str) -> None:
    """A command that ended badly has not gone well; work that goes on has no verdict; a look has none."""
    assert told(name, outcome, **facts).outcome == normal


def test_work_that_goes_on_is_free_unless_it_is_a_command() -> None:
    """Asking again for a test or a session joins it; each command is new work."""
    assert told("run_test", "ok", status="running").free
    assert told("start_session", "ok", state="starting").free
    assert not told("safe_exec", "ok", state="running").free
    assert not told("run_test", "pass", status="passed").free


def test_a_test_shows_its_verdict_and_its_cause() -> None:
    """Neither how long it took nor where its outputs are."""
    assert told("run_test", "pass", duration_s=1) == told("run_test", "pass", duration_s=2, outputs=["/tmp/b"])
    one, two = (told("run_test", "fail", test="a", error=f"boom after {n} s", duration_s=n) for n in (3, 4))
    assert one == two
    assert told("run_test", "fail", test="a", error="bang").shown != one.shown
    assert told("run_test", "fail", test="a", failure={"message": "boom after 9 s"}, error="x") == one


def test_a_signature_needs_words() -> None:
    """Without evidence two failures are not the same cause; a success has none."""
    assert told("run_test", "timeout").signature is None
    assert told("safe_exec", "error", exit_code=1, output="").signature is None
    assert told("safe_exec", "ok", exit_code=0, output="fine").signature is None
    assert (
        told("run_test", "fail", test="a", error="x").signature
        != told("run_test", "fail", test="b", error="x").signature
    )


def test_misuse_and_infrastructure_sign_alike_whatever_was_asked_for() -> None:
    """Another test dies of the same dead service."""
    one, two = (told("run_test", "error", test=test, error="ComfyUI died", kind="infra") for test in ("a", "b"))

    assert one.signature == two.signature


def test_a_command_shows_its_exit_code_and_output_whichever_command_it_was() -> None:
    """So that ever other commands with one answer are seen; silence shows as such."""
    one = result("safe_exec", "one", "ok", {"exit_code": 0, "output": "3 files"})

    assert one.shown == result("safe_exec", "two", "ok", {"exit_code": 0, "output": "3 files\n", "duration_s": 3}).shown
    assert one.shown != result("safe_exec", "one", "ok", {"exit_code": 0, "output": "4 files"}).shown
    assert (
        told("safe_exec", "error", exit_code=1, output="x").shown
        != told("safe_exec", "error", exit_code=2, output="x").shown
    )
    assert told("safe_exec", "ok", exit_code=0, output=" ").shown.endswith(NOTHING_SAID)
    assert result("safe_exec", "one", "ok", {}).shown != result("safe_exec", "two", "ok", {}).shown
    kept = {"digest": "d", "output": "head ... tail"}
    assert result("safe_exec", "one", "ok", kept).shown == result("safe_exec", "one", "ok", {"digest": "d"}).shown


@pytest.mark.parametrize(
    ("name", "same", "news"),
    [
        ("status", {"now": 5, "elapsed_s": 9, "pid": 4}, {"done": 2}),
        ("start_session", {"boot_s": 3, "generation": 2}, {"cause": "port taken"}),
        ("plan_run", {"id": "r-2"}, {"digest": "d2"}),
        ("next_test", {"params": {}}, {"remaining": 3}),
        ("report", {"path": "x.html"}, {"failed": 1}),
        ("job", {"output": "tick"}, {"next_offset": 80}),
        ("checkpoint", {"at": 5}, {"slot": 2}),
    ],
)
def test_a_result_shows_its_declared_fields_only(name: str, same: Args, news: Args) -> None:
    """Clocks and ids tell nothing."""
    shown = {"state": "ready", "done": 1}

    assert told(name, "ok", **shown, **same) == told(name, "ok", **shown)
    assert told(name, "ok", **{**shown, **news}).shown != told(name, "ok", **shown).shown


def test_what_is_too_long_to_keep_is_told_by_its_digest() -> None:
    """Equal for equal commands of any length, other for others."""
    long = "echo " + "x" * 100_000

    assert len(identity("safe_exec", {"command": long})) < 100
    assert identity("safe_exec", {"command": long}) == identity("safe_exec", {"command": f" {long} "})
    assert identity("safe_exec", {"command": long}) != identity("safe_exec", {"command": long + "y"})
