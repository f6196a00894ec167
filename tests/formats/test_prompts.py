"""Prompts as files: what the formats ask for, and a block that leaves the rest of a file alone."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_e2e.entrypoints.mcp.schemas import output_schema
from mcp_e2e.entrypoints.mcp.tools import TOOLS
from mcp_e2e.formats.prompts import TARGETS, prompt_file, skill
from mcp_e2e.formats.prompts.agents_block import Unplaceable, block, placed
from mcp_e2e.formats.prompts.header import is_ours
from mcp_e2e.model.prompts import Argument, Template
from mcp_e2e.usecases.prompting import block_source, templates

EVERY = list(templates().values())
FIELDS = {name for tool in TOOLS.values() for name in output_schema(tool.answer)["properties"]}
BLOCK = block(block_source(), EVERY)
TEXTS = {name: text for target in TARGETS.values() for name, text in target(EVERY).items()} | {"AGENTS.md": BLOCK}
every_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
SMALL = Template(
    name="look-at",
    title="Look",
    description='Looks at "it": all of it.',
    when="there is something to see.",
    text="Look at {{what}}, {{how}}; {{what}}!\n",
    arguments=(Argument("what", "The thing.", required=True), Argument("how", "In which way.", default="closely")),
)


def front(text: str) -> dict[str, str]:
    """The frontmatter, whose values are JSON strings, which YAML reads as they are."""
    _, head, _ = text.split("---\n", 2)
    return {name: json.loads(value) for name, value in (line.split(": ", 1) for line in head.splitlines())}


@pytest.mark.parametrize("path", skill.files(EVERY))
def test_a_skill_is_what_the_format_asks_for(path: str) -> None:
    """Its name is its folder's, in lower case with hyphens; the description says what and when, in 1,024 characters."""
    fields = front(TEXTS[path])
    assert set(fields) == {"name", "description"}
    assert path.split("/")[-2:] == [fields["name"], "SKILL.md"]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", fields["name"])
    assert len(fields["name"]) <= 64
    assert len(fields["description"]) <= 1024
    assert " Use when " in fields["description"]


def test_skills_lie_where_agents_look_for_them() -> None:
    """The same text for all of them."""
    assert {path.rpartition("/run-e2e")[0] for path in skill.files(EVERY) if "/run-e2e/" in path} == {
        ".claude/skills",
        ".agents/skills",
    }
    assert len(set(skill.files(EVERY).values())) == len(EVERY)


@every_text
def test_every_tool_that_is_named_exists(text: str) -> None:
    """What stands in backticks is a tool, a field of an answer, a prompt, an argument, or a command of ours."""
    named = [word.partition(":")[0] for word in re.findall(r"`([^`]+)`", text)]
    known = {*TOOLS, *FIELDS, *templates(), "e2e", "mcp-e2e serve", "mcp-e2e prompts export"}
    assert set(named) & set(TOOLS)
    assert [word for word in named if word not in known and not re.fullmatch(r"<\w+>", word)] == []


@every_text
def test_a_file_says_that_it_is_generated_and_nothing_is_left_unfilled(text: str) -> None:
    """By which command; and no template's braces are in it."""
    assert "enerated by `mcp-e2e prompts export`" in text
    assert "{{" not in text
    assert text.endswith("\n")


def test_arguments_of_a_skill_are_plain_words() -> None:
    """What must be said is asked for, what need not be has its default."""
    text = skill.render(SMALL)
    assert front(text)["description"] == 'Looks at "it": all of it. Use when there is something to see.'
    assert "- `<what>`: The thing. Ask if it was not said.\n" in text
    assert "- `<how>`: In which way. If nothing was said: closely.\n" in text
    assert text.endswith("\n\nLook at <what>, <how>; <what>!\n")


def test_arguments_of_a_prompt_file_are_asked_for_once() -> None:
    """In VS Code's own form, however often the text names them."""
    text = prompt_file.render(SMALL)
    assert front(text) == {"description": SMALL.description, "agent": "agent"}
    assert (
        "- `<what>`: ${input:what:The thing.}\n- `<how>`: ${input:how:In which way.} (if that is empty: closely)\n"
        in text
    )
    assert text.count("${input:") == 2


def test_only_the_header_makes_a_file_ours() -> None:
    """A file that talks about it further down is somebody's own."""
    assert is_ours(skill.render(SMALL))
    assert not is_ours("# Mine\n" + "x" * 5000 + skill.render(SMALL))


@given(before=st.text(), after=st.text(), bom=st.booleans(), windows=st.booleans())
def test_all_but_the_block_stays_byte_by_byte(before: str, after: str, *, bom: bool, windows: bool) -> None:
    """Whatever stands around it, BOM and line ends included; put in twice it stays as it is."""
    if "\0" in before + after or "<!-- mcp-e2e" in before + after:
        return
    end = "\r\n" if windows else "\n"
    old = block("An older text.", EVERY).replace("\n", end)
    head, tail = (b"\xef\xbb\xbf" if bom else b"") + (before + end).encode(), after.encode()
    new = placed(head + old.encode() + tail, BLOCK)

    assert new.startswith(head)
    assert new.endswith(tail)
    ours = new[len(head) : len(new) - len(tail)]
    assert ours.replace(b"\r\n", b"\n").decode() == BLOCK
    assert (b"\r\n" in ours) is (b"\r\n" in head + old.encode() + tail)
    assert placed(new, BLOCK) == new


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (b"", "{}"),
        (b"\xef\xbb\xbf", "\ufeff{}"),
        (b"# Mine", "# Mine\n\n{}"),
        (b"# Mine\n", "# Mine\n\n{}"),
        (b"\xef\xbb\xbf# Mine\r\n", "\ufeff# Mine\r\n\r\n{}"),
    ],
)
def test_without_a_block_it_comes_at_the_end(before: bytes, expected: str) -> None:
    """Behind an empty line, and before whatever a person writes later."""
    end = "\r\n" if b"\r\n" in before else "\n"
    new = placed(before, BLOCK)
    assert new.decode() == expected.format(BLOCK.replace("\n", end))
    assert placed(new + b"more", BLOCK) == new + b"more"


def test_a_block_at_the_very_beginning_is_found_behind_a_bom() -> None:
    """It is replaced, not put in again."""
    once = placed(b"\xef\xbb\xbf", BLOCK)
    assert placed(once, BLOCK) == once


@pytest.mark.parametrize(
    ("before", "why"),
    [
        (b"<!-- mcp-e2e:begin -->\nx\n", "begin"),
        (b"<!-- mcp-e2e:end -->\nx\n<!-- mcp-e2e:begin -->\n", "end, begin"),
        (b"<!-- mcp-e2e:begin -->\n<!-- mcp-e2e:end -->\n" * 2, "begin, end, begin, end"),
        ("# Mine".encode("utf-16"), "not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_understood_is_left_alone(before: bytes, why: str) -> None:
    """Rather than guessed at."""
    with pytest.raises(Unplaceable, match=why):
        placed(before, BLOCK)
