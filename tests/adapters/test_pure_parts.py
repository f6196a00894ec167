"""Placeholders, cleaning, image facts, history facts, rejections: no server needed."""

import os
from pathlib import Path
from typing import Any

import pytest

from mcp_e2e.adapters.cleaning import clean
from mcp_e2e.adapters.comfyui.collecting import safe_name
from mcp_e2e.adapters.comfyui.outputs import prompt_facts
from mcp_e2e.adapters.comfyui.rejections import choices_of, missing_models, nearest, rejected
from mcp_e2e.adapters.placeholders import fill
from mcp_e2e.errors import ConfigError
from mcp_e2e.model.work import NodeText, OutputFile

from .conftest import graph, node, picture

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


def write(path: Path, mtime: float = 2000.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    os.utime(path, (mtime, mtime))
    return path


def test_cleaning_takes_new_matching_and_produced_files_only(tmp_path: Path) -> None:
    """Older files, folders and files that nothing names stay."""
    cwd, outputs = tmp_path / "service", tmp_path / "outputs"
    doomed = [write(cwd / "output/a.png"), write(cwd / "output/deep/b.png"), write(outputs / "c.png")]
    kept = [write(cwd / "output/old.png", 500.0), write(cwd / "output/a.txt"), write(outputs / "foreign.png")]
    (cwd / "output/dir.png").mkdir()
    deleted = clean(cwd, ["output/**/*.png"], 1000.0, [outputs / "c.png", outputs / "gone.png"], outputs)
    assert sorted(deleted) == sorted(path.resolve() for path in doomed)
    assert all(path.exists() for path in kept)
    assert (cwd / "output/dir.png").is_dir()


def test_cleaning_never_leaves_cwd_through_a_link_or_a_produced_path(tmp_path: Path) -> None:
    """A linked folder, a linked file, dots in a produced path and a repository's insides are all left alone."""
    cwd, outside = tmp_path / "service", tmp_path / "outside"
    precious = [write(outside / "a.png"), write(cwd / ".git/objects/b.png"), write(cwd / "real.txt")]
    (cwd / "linked").symlink_to(outside)
    (cwd / "link.png").symlink_to(cwd / "real.txt")
    produced = [outside / "a.png", cwd / "../outside/a.png", cwd / "linked/a.png", cwd / "link.png"]
    assert clean(cwd, ["**/*.png", "linked/*.png"], 0.0, produced) == []
    assert all(path.exists() for path in precious)
    assert (cwd / "link.png").is_symlink()


def test_cleaning_works_where_cwd_itself_is_a_link(tmp_path: Path) -> None:
    """The service's folder may be reached through a link; inside means inside of what it points to."""
    write(tmp_path / "real/output/a.png")
    (tmp_path / "alias").symlink_to(tmp_path / "real")
    assert clean(tmp_path / "alias", ["output/*.png"], 0.0, []) == [(tmp_path / "real/output/a.png").resolve()]


@pytest.mark.parametrize("pattern", ["../*.png", "/etc/*", "a/../../b", ""])
def test_a_glob_that_leaves_cwd_is_a_configuration_error(tmp_path: Path, pattern: str) -> None:
    """Better one clear error than a silent nothing."""
    with pytest.raises(ConfigError, match="clean"):
        clean(tmp_path, [pattern], 0.0, [])


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


def test_rejections_keep_what_has_no_node() -> None:
    """A cycle is refused with empty details: the sentence says at least that."""
    body = {"error": {"type": "invalid_prompt", "message": "", "details": ""}, "node_errors": {}}
    assert rejected(picture("x"), body) == (
        "test.json: invalid_prompt: no details given; perhaps the nodes form a cycle",
    )


def test_missing_models_are_found_in_both_spellings_of_a_list() -> None:
    """Old nodes write the list itself, newer ones put it under options; lists of other things are left alone."""
    work = graph({"1": node("A", m="x.ckpt", mode="odd"), "2": node("B", m="y.safetensors"), "3": node("A", m="ok.pt")})
    info: dict[str, dict[str, Any]] = {
        "A": {"input": {"required": {"m": [["ok.pt"]], "mode": [["even"]]}}},
        "B": {"input": {"optional": {"m": ["COMBO", {"options": ["y2.safetensors"]}]}}},
    }
    first, second = missing_models(work, info)
    assert "'x.ckpt' is not installed; valid: 'ok.pt'" in first
    assert "'y.safetensors' is not installed; nearest: 'y2.safetensors'" in second
    assert choices_of(["INT", {}]) is None
    assert nearest("x", []) == "; the server has none to choose from"
