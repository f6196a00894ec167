"""What the README says is true: its commands run, its snippets parse, its recording is of the demo there is."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_e2e.entrypoints.cli.app import COMMANDS
from mcp_e2e.entrypoints.mcp_tools import TOOLS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def first_test(tmp_path: Path) -> str:
    """The part a new user types first, its configuration written into an empty project."""
    (part,) = re.findall(r"<!-- first-test:begin -->(.*?)<!-- first-test:end -->", README, re.DOTALL)
    (config,) = blocks("toml", part)
    (tmp_path / "mcp-e2e.toml").write_text(config)
    return str(part)


def test_the_first_real_test_works_as_typed(first_test: str, tmp_path: Path) -> None:
    """Every line of it, in order, in an empty folder, ends with exit code 0."""
    (script,) = blocks("sh", first_test)
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path.parent)}
    failed = []
    for line in script.splitlines():
        words = shlex.split(line, comments=True)
        assert words[0] == "mcp-e2e"
        done = subprocess.run(
            [sys.executable, "-m", "mcp_e2e", *words[1:]],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            failed.append((line, done.returncode, done.stdout, done.stderr))

    assert failed == []
    assert "<testsuites" in (tmp_path / "results.xml").read_text()


def test_the_editors_snippets_start_the_server() -> None:
    """Both are JSON, name the program and say serve."""
    servers = [next(iter(next(iter(json.loads(block).values())).values())) for block in blocks("json")]

    assert len(servers) == 2
    for server in servers:
        assert server["command"].endswith("/.venv/bin/mcp-e2e")
        assert server["args"][0] == "serve"


def test_make_targets_of_the_readme_exist() -> None:
    """The two commands of the README are two targets."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {line.split()[1] for block in blocks("sh") for line in block.splitlines() if line.startswith("make ")}

    assert named == {"demo", "test"}
    assert named <= targets


def test_every_tool_and_command_is_in_the_readme() -> None:
    """What is there is told; what is told is there."""
    told = set(re.findall(r"^\| `(\w+)` \| ", README, re.MULTILINE))
    (listed,) = re.findall(r"### Command line\n\n(.*?);", README, re.DOTALL)

    assert told >= set(TOOLS)
    assert set(re.findall(r"`([a-z]+)`", listed)) == {command.name for command in COMMANDS}


def test_the_recording_is_of_the_demo_there_is() -> None:
    """Its numbered lines stand in the demo's steps."""
    (recording,) = blocks("text")
    steps = (ROOT / "mcp_e2e" / "demo" / "steps.py").read_text("utf-8")
    headings = re.findall(r"^\d+  (.+)$", recording, re.MULTILINE)

    assert len(headings) >= 5
    assert [heading for heading in headings if heading not in steps] == []
