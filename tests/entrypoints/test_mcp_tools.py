"""What ``tools/list`` says is small, closed and true."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mcp.types import ListToolsResult

from mcp_e2e.decisions import guard
from mcp_e2e.entrypoints.mcp.schemas import fits, input_schema, output_schema
from mcp_e2e.entrypoints.mcp.server import INSTRUCTIONS
from mcp_e2e.entrypoints.mcp.tools import TOOLS, Tool
from mcp_e2e.entrypoints.mcp.usage import parse
from mcp_e2e.errors import UsageError
from mcp_e2e.model.calls import Limits

NAMES = [
    "start_session",
    "stop_session",
    "status",
    "plan_run",
    "next_test",
    "run_test",
    "checkpoint",
    "report",
    "safe_exec",
    "job",
]
every_tool = pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)


def test_the_ten_tools_of_the_contract_are_listed_in_its_order() -> None:
    """The order an agent reads is the order of work."""
    assert list(TOOLS) == NAMES


def test_the_whole_list_is_at_most_16_kilobytes() -> None:
    """Measured as a client gets it, written as wastefully as JSON allows."""
    listed = ListToolsResult(tools=[tool.listed() for tool in TOOLS.values()])
    assert len(json.dumps(listed.model_dump(by_alias=True, mode="json", exclude_none=True)).encode()) <= 16 * 1024


def test_the_instructions_are_at_most_1500_characters_and_name_only_tools_that_exist() -> None:
    """A client cuts longer ones."""
    assert len(INSTRUCTIONS) <= 1500
    assert {word for word in NAMES if word in INSTRUCTIONS} >= {
        "plan_run",
        "run_test",
        "checkpoint",
        "report",
        "status",
    }


def test_what_the_instructions_promise_of_the_guard_is_what_it_does() -> None:
    """One retry, three reds, three refusals; and never how to clear them."""
    assert "one retry is free" in INSTRUCTIONS.replace("\n", " ")
    assert Limits().attempts == 2
    assert "Three red tests in a row stop all work" in INSTRUCTIONS
    assert "so do three refusals" in INSTRUCTIONS
    assert Limits().consecutive_failures == guard.HAMMERING == 3
    assert "breaker reset" not in INSTRUCTIONS + "".join(tool.description for tool in TOOLS.values())


@every_tool
def test_a_description_has_at_most_60_words(tool: Tool) -> None:
    """Titles and descriptions are one line each."""
    assert 0 < len(tool.description.split()) <= 60
    assert "  " not in tool.description
    assert "\n" not in tool.description
    assert tool.title


@every_tool
def test_an_input_schema_is_closed_and_compact(tool: Tool) -> None:
    """No titles, no references, no "or null", and every property known by its one type."""
    schema = input_schema(tool.arguments)
    Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    written = json.dumps(schema)
    assert not [word for word in ('"title"', "$defs", "$ref", "oneOf", "null", '"ge"', '"type": [') if word in written]
    assert all("type" in prop for prop in schema["properties"].values())


@every_tool
def test_an_output_schema_is_open_and_asks_only_for_next_step(tool: Tool) -> None:
    """One schema for success, error and refusal."""
    schema = output_schema(tool.answer)
    Draft202012Validator.check_schema(schema)
    assert schema["required"] == ["next_step"]
    assert "additionalProperties" not in schema
    assert set(tool.answer.model_fields) <= set(schema["properties"])
    assert {"code", "message", "remedy", "refused"} <= set(schema["properties"])


@every_tool
def test_every_hint_is_said(tool: Tool) -> None:
    """A client's defaults are guesses; ours are statements."""
    said = tool.hints.model_dump(exclude={"title"})
    assert None not in said.values()
    if tool.hints.read_only_hint:
        assert not tool.hints.destructive_hint


def test_the_hints_are_true() -> None:
    """Reading tools write nothing; what kills or drops is destructive; what starts programs reaches the world."""
    assert {name for name, tool in TOOLS.items() if tool.hints.read_only_hint} == {"status", "next_test"}
    assert {name for name, tool in TOOLS.items() if tool.hints.destructive_hint} == {
        "stop_session",
        "plan_run",
        "run_test",
        "safe_exec",
        "job",
    }
    assert {name for name, tool in TOOLS.items() if not tool.hints.idempotent_hint} == {
        "plan_run",
        "run_test",
        "safe_exec",
    }
    assert {name for name, tool in TOOLS.items() if tool.hints.open_world_hint} == {
        "start_session",
        "run_test",
        "safe_exec",
    }


@every_tool
def test_the_example_of_a_tool_is_a_correct_call(tool: Tool) -> None:
    """It is what an agent copies after a mistake."""
    Draft202012Validator(input_schema(tool.arguments)).validate(dict(tool.example))
    parse(tool, tool.example)


RIGHT: list[tuple[str, dict[str, Any]]] = [
    ("start_session", {"wait_seconds": 0}),
    ("start_session", {"wait_seconds": 300}),
    ("plan_run", {"tests": ["a*"], "count": 500, "mode": "survey"}),
    ("plan_run", {"count": 3.0}),
    ("plan_run", {"new": True, "reason": "other branch"}),
    ("run_test", {"params": {"seed": 3, "3.inputs.cfg": 7.5, "name": "x", "tiled": True}, "timeout_s": 1}),
    ("checkpoint", {"result": "passed"}),
    ("safe_exec", {"command": '{"not": "parsed"}', "env": {"A": ""}}),
    ("safe_exec", {"argv": ["ls", ""], "wait_seconds": 0}),
    ("job", {"action": "output", "id": "j1", "offset": 0, "grep": "^E"}),
]
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("start_session", {"wait_seconds": -1}),
    ("start_session", {"wait_seconds": 300.5}),
    ("start_session", {"wait_seconds": "45"}),
    ("start_session", {"service": ""}),
    ("start_session", {"service": 3}),
    ("stop_session", {"force": True}),
    ("status", {"verbose": True}),
    ("plan_run", {"count": "3"}),
    ("plan_run", {"count": 0}),
    ("plan_run", {"count": 501}),
    ("plan_run", {"count": 2.5}),
    ("plan_run", {"count": True}),
    ("plan_run", {"tests": "portrait"}),
    ("plan_run", {"tests": []}),
    ("plan_run", {"mode": "Survey"}),
    ("plan_run", {"new": "true"}),
    ("run_test", {"params": {"seed": [1]}}),
    ("run_test", {"params": {"seed": None}}),
    ("run_test", {"timeout_s": 0}),
    ("checkpoint", {}),
    ("checkpoint", {"result": ""}),
    ("report", {"format": "html"}),
    ("safe_exec", {"argv": "ls -l"}),
    ("safe_exec", {"command": "ls", "env": {"A": 1}}),
    ("job", {"action": "kill"}),
    ("job", {"offset": -1}),
]


@pytest.mark.parametrize(("name", "arguments"), RIGHT)
def test_what_the_schema_admits_is_admitted(name: str, arguments: dict[str, Any]) -> None:
    """The schema in the list and the check at the door say the same."""
    Draft202012Validator(input_schema(TOOLS[name].arguments)).validate(arguments)
    parse(TOOLS[name], arguments)


@pytest.mark.parametrize(("name", "arguments"), WRONG)
def test_what_the_schema_rejects_is_rejected(name: str, arguments: dict[str, Any]) -> None:
    """Nothing is converted or guessed."""
    assert not Draft202012Validator(input_schema(TOOLS[name].arguments)).is_valid(arguments)
    with pytest.raises(UsageError):
        parse(TOOLS[name], arguments)


@pytest.mark.parametrize(
    ("value", "kind", "fit"),
    [
        ("x", "string", True),
        (True, "integer", False),
        (True, "number", False),
        (1, "number", True),
        (None, "object", False),
    ],
)
def test_fits_judges_as_json_schema_does(value: Any, kind: str, fit: bool) -> None:
    """Booleans are no numbers; one of several branches is enough."""
    for schema in ({"type": kind}, {"anyOf": [{"type": "array"}, {"type": kind}]}):
        assert fits(value, schema) is fit
        assert Draft202012Validator(schema).is_valid(value) is fit
