"""Only a person says what is golden: tried with real terminals, and with processes that init owns."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.entrypoints.terminal import LINE, Terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")
Cli = Callable[..., subprocess.CompletedProcess[str]]
CONFIG = """
[services.comfyui]
kind = "comfyui"
command = [{python}, "-m", "mcp_e2e.demo.simulated_comfyui", "--port", "{{port}}", "--output-directory", "{{outputs}}",
    "--boot-seconds", "0.2"]
port = 0
stop_grace_s = 2

[[tests]]
id = "portrait"
workflow = "portrait.json"
"""
GRAPH = {
    "1": {"class_type": "SimulatedSlow", "inputs": {"seed": 1, "steps": 1, "seconds": 0.0, "width": 64, "height": 48}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "portrait"}},
}
MARKED = r"is at work here"


@pytest.fixture
def passed(cli: Cli, project: Path) -> Path:
    """A workflow test that has passed once; where its golden image would be."""
    (project / "mcp-e2e.toml").write_text(CONFIG.format(python=json.dumps(sys.executable)))
    (project / "portrait.json").write_text(json.dumps(GRAPH))
    done = cli("run", "portrait", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return project / "golden" / "portrait" / "9-1.png"


def accept(project: Path, environ: dict[str, str], *more: str, answer: str) -> str:
    """What a person does: look, answer; the screen."""
    terminal = Terminal(project, environ, [*LINE, "golden", "accept", "portrait", *more])
    found = terminal.until(rf"\[y/N\] |{MARKED}")
    if found[0] == MARKED:
        terminal.status()
        pytest.skip(f"whoever adopts orphans here carries an agent's mark: {terminal.screen}")
    terminal.type(answer)
    status = terminal.status()
    assert status == (0 if answer == "y" else 6), terminal.screen
    return terminal.screen


def test_a_person_accepts_after_a_look(cli: Cli, passed: Path, project: Path, environ: dict[str, str]) -> None:
    """What it replaces and how far it differs stands there first; no leaves all as it is."""
    assert "nothing, it is new" in accept(project, environ, answer="n")
    assert not passed.exists()
    screen = accept(project, environ, answer="y")
    assert re.search(r"becomes: \S*golden/portrait/9-1\.png", screen)
    assert "golden = true" in screen
    before = passed.read_bytes()
    (project / "portrait.json").write_text(json.dumps(GRAPH).replace('"seed": 1', '"seed": 2'))
    assert cli("run", "portrait").returncode == 0
    assert "from which it differs by 0." in accept(project, environ, answer="y")
    assert passed.read_bytes() != before
    listed = json.loads(cli("golden", "list", "--json").stdout)["data"]["tests"]
    assert [(line["test"], line["golden"]) for line in listed] == [("portrait", [str(passed)])]


def test_without_a_terminal_it_takes_a_yes(passed: Path, project: Path, environ: dict[str, str]) -> None:
    """A script of the person's own may say so; silence is no yes."""
    silent = Terminal(project, environ, [*LINE, "golden", "accept", "portrait"], screen=False)
    assert silent.status() == 6
    assert "needs a terminal" in silent.screen or MARKED in silent.screen
    assert not passed.exists()
    script = Terminal(project, environ, [*LINE, "golden", "accept", "--yes", "--json"], screen=False)
    status = script.status()
    if MARKED in script.screen:
        pytest.skip("whoever adopts orphans here carries an agent's mark")
    assert status == 0, script.screen
    assert passed.exists()


@pytest.mark.parametrize("name", ["CLAUDECODE", "CURSOR_AGENT", "AI_AGENT", "MCP_E2E_JOB"])
def test_an_agent_cannot_accept_its_own_picture(
    passed: Path, project: Path, environ: dict[str, str], name: str
) -> None:
    """Terminal or not, yes or not: refused by the mark's name."""
    terminal = Terminal(project, environ | {name: "1"}, [*LINE, "golden", "accept", "portrait", "--yes"])
    assert terminal.status() == 6
    assert name in terminal.screen
    assert not passed.exists()


def test_what_is_not_there_is_a_usage_error(cli: Cli, project: Path, environ: dict[str, str]) -> None:
    """An unknown test, and one that has no images."""
    unknown = Terminal(project, environ, [*LINE, "golden", "accept", "askss", "--yes"])
    assert unknown.status() in {2, 6}
    assert "asks" in unknown.screen or MARKED in unknown.screen
    cli("run", "asks")
    none = Terminal(project, environ, [*LINE, "golden", "accept", "asks", "--yes"])
    assert none.status() in {2, 6}
    assert "has no images" in none.screen or MARKED in none.screen
    assert json.loads(cli("golden", "list", "--json").stdout)["data"]["tests"] == []
