"""Placeholders, image facts, history facts: no server needed."""

from pathlib import Path

import pytest
from PIL import Image

from mcp_e2e.adapters.comfyui.outputs import MAX_PIXELS, image_facts, prompt_facts, safe_name
from mcp_e2e.adapters.placeholders import fill
from mcp_e2e.errors import ConfigError
from mcp_e2e.model.work import ImageFacts, OutputFile

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


def test_image_facts_tell_size_and_blankness(tmp_path: Path) -> None:
    """One colour or wholly transparent is blank; one differing pixel is not; text is no image."""
    plain = Image.new("RGB", (5, 4), (1, 2, 3))
    spotted = plain.copy()
    spotted.putpixel((2, 2), (255, 90, 0))
    clear = Image.new("RGBA", (5, 4), (0, 0, 0, 0))
    clear.putpixel((1, 1), (7, 7, 7, 0))
    cases = {"plain.png": (plain, True), "spotted.png": (spotted, False), "clear.png": (clear, True)}
    cases |= {"grey.png": (Image.new("L", (5, 4), 7), True), "palette.gif": (spotted.convert("P"), False)}
    for name, (image, blank) in cases.items():
        image.save(tmp_path / name)
        assert image_facts(tmp_path / name) == ImageFacts(5, 4, blank), name
    (tmp_path / "t.png").write_text("no image")
    (tmp_path / "cut.png").write_bytes((tmp_path / "spotted.png").read_bytes()[:50])
    assert image_facts(tmp_path / "t.png") is None
    assert image_facts(tmp_path / "cut.png") is None


def test_a_huge_image_is_measured_but_not_decoded(tmp_path: Path) -> None:
    """A decompression bomb costs its header only; whether it is blank stays open."""
    side = int(MAX_PIXELS**0.5) + 1
    Image.new("1", (side * 2, side)).save(tmp_path / "huge.png")
    assert image_facts(tmp_path / "huge.png") == ImageFacts(side * 2, side, None)


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
    """Text, flags, nulls and files under other keys occur; only files with a name are outputs."""
    outputs = {"1": {"text": ["hi"], "animated": [True], "x": None}, "2": {"gifs": [{"filename": "a.mp4"}]}, "3": None}
    facts = prompt_facts("p", {"outputs": outputs, "status": None})
    assert (facts.status, facts.outputs) == ("success", (OutputFile("2", "a.mp4", "", "output"),))
