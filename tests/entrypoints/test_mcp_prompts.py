"""The prompts name only what exists, and arguments are checked here because the SDK does not."""

import re

import pytest
from mcp import MCPError

from mcp_e2e.entrypoints.mcp import prompts
from mcp_e2e.entrypoints.mcp.schemas import output_schema
from mcp_e2e.entrypoints.mcp.tools import TOOLS
from mcp_e2e.model.prompts import Template
from mcp_e2e.usecases.prompting import folder, templates

PROMPTS = templates()
FIELDS = {name for tool in TOOLS.values() for name in output_schema(tool.answer)["properties"]}
every_prompt = pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)


def test_the_four_prompts_of_the_contract_are_there() -> None:
    """One file each, named like its prompt."""
    assert set(PROMPTS) == {"run-e2e", "debug-failure", "resume-run", "set-up"}
    assert {path.stem for path in folder().glob("*.md")} == set(PROMPTS)


@every_prompt
def test_every_tool_a_prompt_names_exists(prompt: Template) -> None:
    """What stands in backticks is a tool, or a field of an answer with its value."""
    named = [word.partition(":")[0] for word in re.findall(r"`([^`]+)`", prompt.text)]
    assert set(named) & set(TOOLS)
    assert [word for word in named if word not in TOOLS and word not in FIELDS] == []


@every_prompt
def test_the_text_uses_exactly_the_arguments_it_declares(prompt: Template) -> None:
    """Nothing is asked for in vain, nothing is left unfilled."""
    assert set(re.findall(r"\{\{(\w+)\}\}", prompt.text)) == {argument.name for argument in prompt.arguments}
    filled = prompt.filled({argument.name: "VALUE" for argument in prompt.arguments})
    assert "{{" not in filled
    assert ("VALUE" in filled) is bool(prompt.arguments)


@every_prompt
def test_an_optional_argument_left_out_reads_as_its_default(prompt: Template) -> None:
    """Empty counts as left out: some editors send empty texts."""
    needed = {argument.name: "x" for argument in prompt.arguments if argument.required}
    optional = {argument.name: " " for argument in prompt.arguments if not argument.required}
    assert prompt.filled(needed | optional) == prompt.filled(needed)
    assert all(argument.default in prompt.filled(needed) for argument in prompt.arguments)


@every_prompt
def test_the_list_says_what_an_editor_shows(prompt: Template) -> None:
    """Title, description, and which arguments must be given."""
    (listed,) = [each for each in prompts.listed() if each.name == prompt.name]
    assert listed.title
    assert listed.description
    assert [a.required for a in listed.arguments or ()] == [a.required for a in prompt.arguments]


@every_prompt
def test_no_prompt_tells_how_to_clear_a_refusal(prompt: Template) -> None:
    """Only a person does that, and whoever reads a prompt would try."""
    assert "reset" not in prompt.text
    assert "elicitation" not in prompt.text


def test_whoever_runs_tests_is_told_what_is_refused() -> None:
    """Before it happens: the free retry, what clears a refusal, and what three of them do."""
    for name in ("run-e2e", "debug-failure"):
        text = " ".join(PROMPTS[name].text.split())
        assert "one retry is free" in text
        assert "A refusal says what clears it" in text
        assert "three refusals" in text


def test_a_value_is_put_in_as_it_is() -> None:
    """Braces, backslashes and names of other arguments in it mean nothing."""
    said = PROMPTS["debug-failure"].filled({"test": r"\1 {{hint}}", "hint": "h"})
    assert r"The end-to-end test \1 {{hint}} fails" in said


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("debug-failure", None, "needs the argument 'test'"),
        ("debug-failure", {"test": "  "}, "needs the argument 'test'"),
        ("debug-failure", {"tset": "a"}, "did you mean 'test'?"),
        ("debug-failures", None, "did you mean 'debug-failure'?"),
        ("zzz", None, "run-e2e"),
    ],
)
def test_a_wrong_request_is_answered_with_invalid_params(name: str, values: dict[str, str] | None, said: str) -> None:
    """-32602 with the name that was meant."""
    with pytest.raises(MCPError) as caught:
        prompts.get(name, values)
    assert caught.value.code == -32602
    assert said in caught.value.message


def test_a_wrong_request_is_not_sent_back_whole() -> None:
    """What a client sent may be large; the error is not, and names beginning and end."""
    with pytest.raises(MCPError) as caught:
        prompts.get("run" + "x" * 1_000_000 + "!", None)
    assert len(caught.value.message) < 2_000
    assert "prompt 'runxxx" in caught.value.message
    assert "characters left out" in caught.value.message
