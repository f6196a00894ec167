"""Whether what stands in an editor's file starts this program for this project."""

import os
import sys
from pathlib import Path

import pytest

from mcp_e2e.adapters.editors.launch import Launch, Standing


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    """A program and a project that are there."""
    program = tmp_path / "bin" / "mcp-e2e"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "project").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to("project")
    return Launch((str(program),), tmp_path / "project")


def test_what_we_write_is_right(launch: Launch) -> None:
    """With what a person has added to it, too."""
    entry = launch.entry()
    assert launch.judge(entry)[0] is Standing.RIGHT
    assert launch.judge({**entry, "env": {"A": "b"}, "args": [*entry["args"], "-q"]})[0] is Standing.RIGHT


@pytest.mark.parametrize(
    ("project", "standing"),
    [
        (["--project", "{tmp}/project"], Standing.RIGHT),
        (["--project={tmp}/link"], Standing.RIGHT),
        (["--project", "${{workspaceFolder}}"], Standing.RIGHT),
        (["--project", "${{CLAUDE_PROJECT_DIR:-.}}"], Standing.RIGHT),
        (["--project", "."], Standing.RIGHT),
        ([], Standing.RIGHT),
        (["--project", "{tmp}/other"], Standing.ELSEWHERE),
        (["--project", "{tmp}/gone"], Standing.ELSEWHERE),
        (["--project", "${{workspaceFolder}}/sub"], Standing.ELSEWHERE),
    ],
)
def test_the_project_in_every_way_to_write_it(
    launch: Launch, tmp_path: Path, project: list[str], standing: Standing
) -> None:
    """As it is, through a link, as the editors' own names for it, or left to the server."""
    args = ["serve", *(word.format(tmp=tmp_path) for word in project)]
    assert launch.judge({"command": launch.program[0], "args": args})[0] is standing


@pytest.mark.parametrize(
    ("entry", "standing", "said"),
    [
        ({"command": "npx", "args": ["-y", "other"]}, Standing.FOREIGN, "starts another program: npx"),
        ({"url": "http://127.0.0.1:1/mcp"}, Standing.FOREIGN, "names no program"),
        ({"command": ["mcp-e2e"]}, Standing.FOREIGN, "names no program"),
        ("text", Standing.FOREIGN, "names no program"),
        ({"command": "npx", "args": ["pw", "--output-dir", "/src/mcp-e2e"]}, Standing.FOREIGN, "another program: npx"),
        ({"command": "uvx", "args": ["mcp-e2e", "serve"], "disabled": True}, Standing.OTHER, "off"),
        ({"command": "env", "args": ["A=b", "/usr/bin/mcp-e2e", "serve"]}, Standing.OTHER, "another mcp-e2e"),
        ({"command": "${env:VENV}/bin/mcp-e2e", "args": ["serve"]}, Standing.OTHER, "another mcp-e2e"),
        ({"command": "/gone/bin/mcp-e2e", "args": ["serve"]}, Standing.WRONG, "not there: /gone/bin/mcp-e2e"),
        ({"command": "C:\\gone\\mcp-e2e.EXE", "args": ["serve"]}, Standing.WRONG, "not there"),
        ({"command": sys.executable, "args": ["-m", "mcp_e2e", "serve"]}, Standing.OTHER, "another mcp-e2e"),
        ({"command": sys.executable, "args": ["-m", "mcp_e2e"]}, Standing.WRONG, "does not say serve"),
        ({"command": sys.executable, "args": ["-m", "mcp_e2e", "serve"], "enabled": False}, Standing.OTHER, "off"),
    ],
)
def test_other_entries(launch: Launch, entry: object, standing: Standing, said: str) -> None:
    """Another program's, one that is gone, one that does not serve, one of another installation."""
    judged = launch.judge(entry)
    assert judged[0] is standing
    assert said in judged[1]


@pytest.mark.parametrize("word", ["${workspaceFolder}/.venv/mcp-e2e", ".venv/mcp-e2e", "./.venv/mcp-e2e"])
def test_a_program_in_the_project_is_found_as_editors_find_it(launch: Launch, word: str) -> None:
    """From the project's folder, wherever we are called."""
    (launch.project / ".venv").mkdir()
    beside = launch.project / ".venv" / "mcp-e2e"
    beside.symlink_to(launch.program[0])
    entry = {"command": word, "args": ["serve"]}

    assert Launch((str(beside),), launch.project).judge(entry)[0] is Standing.RIGHT
    beside.unlink()
    assert launch.judge(entry) == (Standing.WRONG, f"names a program that is not there: {word}")


def test_variables_of_an_entry_are_not_told(launch: Launch) -> None:
    """What is said of it goes to terminals and logs."""
    said = launch.judge({"command": "env", "args": ["KEY=s3cret", "/usr/bin/mcp-e2e", "serve"]})[1]
    assert said == "starts another mcp-e2e than this one: env /usr/bin/mcp-e2e"


def test_a_named_configuration_must_be_named_there_too(launch: Launch, tmp_path: Path) -> None:
    """The editor does not have this terminal's variables."""
    named = Launch(launch.program, launch.project, tmp_path / "ci.toml")
    assert named.judge(launch.entry()) == (Standing.OTHER, f"does not name --config {tmp_path / 'ci.toml'}")
    assert named.judge(named.entry())[0] is Standing.RIGHT
    assert named.entry()["args"] == ["serve", "--project", os.fspath(named.project), "--config", f"{tmp_path}/ci.toml"]
