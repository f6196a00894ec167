"""A wrong call is answered so that the next one is right."""

import json
from typing import Any

import pytest

from mcp_e2e.entrypoints.mcp.tools import TOOLS
from mcp_e2e.entrypoints.mcp.usage import find, parse
from mcp_e2e.errors import UsageError


def wrong(name: str, arguments: dict[str, Any] | None) -> UsageError:
    with pytest.raises(UsageError) as caught:
        parse(TOOLS[name], arguments)
    return caught.value


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("run_test", {"wait": 5}, "run_test has no argument 'wait'; did you mean 'wait_seconds'?"),
        ("run_test", {"tests": "portrait"}, "did you mean 'test'?"),
        ("plan_run", {"test": ["portrait"]}, "did you mean 'tests'?"),
        ("safe_exec", {"cmd": "ls"}, "safe_exec has no argument 'cmd'"),
        ("status", {"zzz": 1}, "status has no argument 'zzz'; it takes none"),
        ("checkpoint", {"note": "x"}, "checkpoint needs 'result'"),
        ("checkpoint", {"result": None}, "checkpoint needs 'result'"),
        ("plan_run", {"count": "3"}, 'count must be a whole number from 1 to 500, not "3"'),
        ("plan_run", {"tests": "portrait"}, 'tests must be a list of texts that is not empty, not "portrait"'),
        ("plan_run", {"tests": ["a", 2]}, "tests[1] must be text that is not empty, not 2"),
        ("plan_run", {"mode": "fast"}, 'mode must be "strict" or "survey", not "fast"'),
        ("plan_run", {"new": True}, "new=true needs a reason"),
        ("run_test", {"params": {"seed": [1]}}, "params.seed must be text or a number or true or false, not [1]"),
        ("run_test", {"timeout_s": 0}, "timeout_s must be a number above 0, not 0"),
        ("safe_exec", {}, "safe_exec needs exactly one of command and argv, not neither command nor argv"),
        ("safe_exec", {"command": "a", "argv": ["a"]}, "not both command and argv"),
        ("job", {"action": "cancel"}, "action=cancel needs an id"),
    ],
)
def test_the_message_names_what_is_wrong(name: str, arguments: dict[str, Any], said: str) -> None:
    """In the words of the schema, with the value that was sent."""
    message = wrong(name, arguments).message
    assert said in message
    assert "pydantic" not in message


def test_all_mistakes_are_named_at_once() -> None:
    """So that one more call is enough."""
    message = wrong("plan_run", {"count": 0, "mode": "x", "nwe": True}).message
    assert "count must" in message
    assert "mode must" in message
    assert "'new'" in message


def test_a_misspelt_argument_is_shown_repaired() -> None:
    """The example is the caller's own call put right."""
    error = wrong("run_test", {"wait": 5, "test": "portrait"})
    assert error.facts["example"] == 'run_test({"wait_seconds": 5, "test": "portrait"})'


@pytest.mark.parametrize("arguments", [{"count": "many"}, {"wait": 5, "wait_seconds": 6}, {"tset": "x" * 1000}])
def test_what_cannot_be_repaired_gets_the_tools_own_example(arguments: dict[str, Any]) -> None:
    """It is always a correct call."""
    shown = wrong("run_test", arguments).facts["example"]
    parse(TOOLS["run_test"], json.loads(shown.removeprefix("run_test(").removesuffix(")")))


def test_null_means_left_out() -> None:
    """Some clients send null for every optional argument."""
    assert parse(TOOLS["run_test"], {"test": None, "params": None, "checkpoint": None}) == parse(
        TOOLS["run_test"], None
    )


def test_a_command_that_looks_like_json_stays_a_string() -> None:
    """Nobody parses it on the way."""
    given = parse(TOOLS["safe_exec"], {"command": '["ls", "-l"]'})
    assert given.model_dump()["command"] == '["ls", "-l"]'


def test_values_of_params_keep_their_type() -> None:
    """A seed of 1 is neither true nor "1"."""
    params = {"a": 1, "b": True, "c": "1", "d": 1.5}
    given = parse(TOOLS["run_test"], {"params": params}).model_dump()["params"]
    assert [type(value) for value in given.values()] == [int, bool, str, float]


@pytest.mark.parametrize(
    ("name", "near"),
    [("run", "run_test"), ("runTest", "run_test"), ("start-session", "start_session"), ("exec", "safe_exec")],
)
def test_an_unknown_tool_is_answered_with_the_nearest(name: str, near: str) -> None:
    """And with a call of it."""
    with pytest.raises(UsageError) as caught:
        find(name)
    assert caught.value.advice == f"Did you mean {near}?"
    assert caught.value.facts["example"].startswith(f"{near}(")


def test_a_tool_like_none_is_answered_with_all() -> None:
    """No guess is better than a wild one."""
    with pytest.raises(UsageError) as caught:
        find("zzz")
    assert all(name in caught.value.advice for name in TOOLS)
