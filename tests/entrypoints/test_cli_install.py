"""``mcp-e2e install``: from an empty folder to a server that an editor can start."""

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

from mcp_e2e.adapters.editors import EDITORS

from .conftest import Cli


def entry(project: Path, client: str) -> dict[str, Any]:
    """Read without any code of ours."""
    file = project / EDITORS[client].file
    text = file.read_text("utf-8")
    servers = tomllib.loads(text)["mcp_servers"] if file.suffix == ".toml" else next(iter(json.loads(text).values()))
    return dict(servers["e2e"])


async def test_the_entry_starts_the_server_for_the_project(cli: Cli, project: Path, tmp_path: Path) -> None:
    """By its words alone, from another folder and without our variables."""
    made = cli("install", "claude", MCP_E2E_PROJECT="")
    assert made.returncode == 0, made.stderr
    assert "next_step: Start Claude Code" in made.stdout
    written = entry(project, "claude")
    assert Path(written["command"]).is_absolute()
    assert written["args"][-3:] == ["serve", "--project", str(project)]

    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    server = StdioServerParameters(command=written["command"], args=written["args"], env=environ, cwd=str(tmp_path))
    with anyio.fail_after(50):
        async with Client(server) as client:
            told = (await client.call_tool("status", {})).structured_content
    assert told["project"] == str(project)


def test_a_dry_run_prints_the_change_and_nothing_else(cli: Cli, project: Path) -> None:
    """Fit to be redirected; the path and the rest are talk."""
    (project / ".vscode").mkdir()
    file = project / ".vscode" / "mcp.json"
    file.write_text('{\n  "servers": {} // mine\n}\n')
    shown = cli("install", "vscode", "--dry-run")

    assert shown.returncode == 0
    assert shown.stdout.startswith(f"--- {file}\n+++ {file}\n@@ -1,3 +1,")
    assert '-  "servers": {} // mine' in shown.stdout
    assert shown.stderr.startswith(f"{file} would be changed\n")
    assert file.read_text() == '{\n  "servers": {} // mine\n}\n'


def test_the_envelope(cli: Cli, project: Path) -> None:
    """For a program: what was done, the entry, the change of a dry run; errors with the place."""
    dry = json.loads(cli("--json", "install", "codex", "--dry-run").stdout)
    made = json.loads(cli("--json", "install", "codex").stdout)
    assert (dry["schema"], dry["ok"], dry["data"]["done"]) == ("mcp_e2e/install/1", True, "would be created")
    assert dry["data"]["diff"] == (project / ".codex" / "config.toml").read_text()
    assert (made["data"]["done"], made["data"]["entry"]) == ("created", entry(project, "codex"))

    (project / ".mcp.json").write_text("{\n  'e2e': 1\n}")
    wrong = cli("--json", "install", "claude")
    error = json.loads(wrong.stdout)["error"]
    assert (wrong.returncode, error["code"], error["line"], error["column"]) == (8, "config", 2, 3)
    assert str(project) in error["remedy"]


@pytest.mark.parametrize(
    ("words", "environ", "status"),
    [
        (["install", "claude"], {"MCP_E2E_JOB": "j-1"}, 6),
        (["install", "claude", "--project", "/"], {}, 8),
    ],
)
def test_what_is_refused(words: list[str], environ: dict[str, str], status: int, cli: Cli, project: Path) -> None:
    """To a job of ours, and for a folder that is no project."""
    before = set(project.iterdir())
    assert cli(*words, **environ).returncode == status
    assert set(project.iterdir()) == before
