"""Completion: a script for each shell, and names that exist."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from mcp_e2e.entrypoints.cli import run
from mcp_e2e.entrypoints.cli.app import PROGRAM, cli
from mcp_e2e.entrypoints.cli.completion import runs, variable
from mcp_e2e.entrypoints.cli.options import Said

CONFIG = """
[services.comfyui]
url = "http://127.0.0.1:1"
kind = "comfyui"
[services.api]
url = "http://127.0.0.1:1"
kind = "command"
[[tests]]
id = "portrait"
command = ["true"]
[[tests]]
id = "landscape"
command = ["true"]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two services, two tests."""
    (tmp_path / "mcp-e2e.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def completed(*words: str) -> list[str]:
    """What the shell is told for the last, unfinished word."""
    found = ShellComplete(cli, {"obj": Said()}, PROGRAM, variable(PROGRAM))
    return [each.value for each in found.get_completions(list(words[:-1]), words[-1])]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_each_shell_gets_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It calls the program with the variable that click looks for."""
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert variable(PROGRAM) in script
    assert f"{shell}_complete" in script


def test_another_shell_is_told_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    """By name, with exit status 2."""
    assert run(["completion", "tcsh"]) == 2
    assert "'bash', 'zsh', 'fish', 'powershell'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["hist"], ["history"]),
        (["run", ""], ["portrait", "landscape"]),
        (["run", "portrait", "l"], ["landscape"]),
        (["plan", "p"], ["portrait"]),
        (["history", "p"], ["portrait"]),
        (["golden", "accept", "p"], ["portrait"]),
        (["checkpoint", "success", "--test", "l"], ["landscape"]),
        (["start", ""], ["comfyui", "api"]),
        (["logs", "-f", "a"], ["api"]),
        (["prompts", "export", "--target", "s"], ["skills"]),
    ],
)
def test_names_are_those_of_the_project(project: Path, words: list[str], expected: list[str]) -> None:
    """Tests and services where they are wanted; nothing is made on the way."""
    assert completed(*words) == expected
    assert not (project / ".mcp-e2e").exists()


def test_runs_are_those_that_were_planned(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the database as it is."""
    assert completed("report", "r-") == []
    assert run(["--json", "plan", "portrait"]) == 0
    planned = json.loads(capsys.readouterr().out)["data"]["run"]
    assert completed("report", "r-") == [planned]


def test_of_another_project_where_one_is_named(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """--project counts while one types, too."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert completed("--project", str(project), "run", "p") == ["portrait"]


@pytest.mark.parametrize("config", ["[[tests", "[services.x]\nkind = 'no'\n", None])
def test_it_is_silent_where_nothing_can_be_known(project: Path, config: str | None) -> None:
    """A broken file, or none."""
    (project / "mcp-e2e.toml").write_text(config) if config else (project / "mcp-e2e.toml").unlink()
    assert completed("run", "") == []
    assert runs(click.Context(cli), cli.params[0], "") == []


def test_bash_is_answered(project: Path) -> None:
    """The program itself, asked as the script asks it."""
    asked = {variable(PROGRAM): "bash_complete", "COMP_WORDS": "mcp-e2e start c", "COMP_CWORD": "2"}
    environ = {"PATH": os.environ["PATH"], "HOME": str(project.parent)} | asked
    line = [sys.executable, "-m", "mcp_e2e"]
    done = subprocess.run(line, env=environ, cwd=project, capture_output=True, text=True, timeout=30, check=True)
    assert (done.stdout, done.stderr) == ("plain,comfyui\n", "")


def test_completing_does_not_wait_for_what_only_work_needs() -> None:
    """A Tab must not take a second: the command line itself imports neither the use-cases nor any client."""
    heavy = ("mcp_e2e.bootstrap", "mcp", "httpx", "aiosqlite", "PIL")
    code = f"import sys, mcp_e2e.entrypoints.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "[]\n"
