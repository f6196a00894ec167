"""Placeholders, image facts, history facts: no server needed."""

import pytest

from mcp_e2e.adapters.comfyui.collecting import safe_name
from mcp_e2e.adapters.comfyui.outputs import prompt_facts
from mcp_e2e.adapters.placeholders import fill
from mcp_e2e.errors import ConfigError
from mcp_e2e.model.work import NodeText, OutputFile

VALUES = {"port": "8188", "outputs": "/tmp/o", "python": "/usr/bin/python3"}


def test_known_placeholders_are_filled_and_other_braces_stay() -> None:
    """JSON, shell variables, templates and unrelated words in braces are nobody's placeholder."""
    argv = ("{python}", "--port={port}", "-o", "{outputs}/x", '{"a": 1}', "${port}", "{{port}}", "{}", "{id}", "a{2}")
    filled = fill(argv, VALUES)
    assert filled[:4] == ("/usr/bin/python3", "--port=8188", "-o", "/tmp/o/x")
    assert filled[4:] == argv[4:]


@pytest.mark.parametrize(("word", "near"), [("{Port}", "port"), ("{prot}", "port"), ("{output}", "outputs")])
def test_a_misspelt_placeholder_names_the_nearest(word: str, near: str) -> None:
    """A typing error would otherwise reach the program as it is and fail there in other words."""
    with pytest.raises(ConfigError) as refused:
        fill([f"--x={word}"], VALUES)
    assert refused.value.facts["nearest"] == near


@pytest.mark.parametrize(
    ("listed", "safe"),
    [
        ("a_00001_.png", "a_00001_.png"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\x.png", "x.png"),
        (".hidden", "hidden"),
        ("..", "output"),
        ("", "output"),
        ("a b;c\n.png", "a_b_c_.png"),
        ("日本.png", "日本.png"),
        ("日" * 83 + ".png", "日" * 33 + ".png"),
        ("x" * 99 + "é.png", "x" * 99 + ".png"),
        ("nul.png", "_nul.png"),
        ("CON", "_CON"),
        ("Com1.tar.gz", "_Com1.tar.gz"),
        ("console.png", "console.png"),
    ],
)
def test_a_listed_name_becomes_a_plain_file_name(listed: str, safe: str) -> None:
    """What a server lists can never leave the destination folder."""
    assert safe_name(OutputFile("1", listed, "../..", "output"), set()) == safe


def test_equal_names_get_numbers() -> None:
    """Two nodes may save the same name in different subfolders; case does not tell them apart."""
    file = OutputFile("1", "A.png", "", "output")
    assert safe_name(file, {"a.png", "a-2.png"}) == "A-3.png"


def test_interrupted_and_error_are_told_apart_by_the_messages() -> None:
    """The server calls both an error; the last message says which."""
    status = {"status_str": "error", "completed": False}
    stopped = {"messages": [["execution_start", {"timestamp": 1}], ["execution_interrupted", {"executed": ["1"]}]]}
    facts = prompt_facts("p", {"status": status | stopped, "outputs": {}})
    assert (facts.status, facts.executed, facts.error, facts.started_ms) == ("interrupted", ("1",), None, 1)
    failed = prompt_facts("p", {"status": status | {"messages": [["execution_error", {"node_id": 5}]]}})
    assert failed.error is not None
    assert (failed.status, failed.error.node, failed.error.node_class) == ("error", "5", "?")


def test_a_history_entry_with_strange_outputs_is_read() -> None:
    """Flags, nulls and files under other keys occur; files with a name and texts are outputs."""
    outputs = {"1": {"text": ["hi"], "animated": [True], "x": None}, "2": {"gifs": [{"filename": "a.mp4"}]}, "3": None}
    outputs |= {"4": {"text": "one"}, "5": {"text": [["in", "a list"], 7, None, {}]}, "6": {"result": ["a.glb"]}}
    facts = prompt_facts("p", {"outputs": outputs, "status": None})
    assert (facts.status, facts.outputs) == ("success", (OutputFile("2", "a.mp4", "", "output"),))
    assert [(each.node, each.text) for each in facts.texts] == [
        ("1", "hi"),
        ("4", "one"),
        ("5", "in"),
        ("5", "a list"),
        ("5", "7"),
    ]


def test_a_text_from_the_cache_is_not_fresh_and_an_endless_one_is_cut() -> None:
    """As with files, only what ran this time counts."""
    done = {"messages": [["execution_cached", {"nodes": ["1"]}]], "status_str": "success"}
    facts = prompt_facts("p", {"outputs": {"1": {"text": ["old"]}, "2": {"text": ["x" * 2_000_000]}}, "status": done})
    assert facts.fresh_texts == (NodeText("2", "x" * 1_000_000),)
