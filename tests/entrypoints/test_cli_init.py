"""``mcp-e2e init``: from an empty folder to a green test, and what it prints on the way."""

import json
import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installations import SIMULATE, comfyui, interpreter, workflow
from tests.leftovers import end_leftovers

from .conftest import Cli


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """An empty folder with a workflow in it."""
    folder = tmp_path / "project"
    workflow(folder / "workflows" / "red_api.json", batch=2)
    yield folder
    end_leftovers(folder)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A ComfyUI that is one by its content, and starts the simulated one with the flags of a real one."""
    made = comfyui(tmp_path / "my comfy" / "ComfyUI", SIMULATE)
    interpreter(made / "venv" / "bin" / "python")
    return made


def free(project: Path) -> None:
    """Tests run beside each other: a free port instead of the usual one."""
    file = project / "mcp-e2e.toml"
    file.write_text(file.read_text().replace("port = 8188", "port = 0"))


def test_from_nothing_to_a_green_test(project: Path, root: Path, cli: Cli) -> None:
    """init, then the command that it names."""
    made = cli("init", "--comfyui", str(root))
    assert made.returncode == 0, made.stderr
    assert f"file: {project / 'mcp-e2e.toml'}" in made.stdout
    assert made.stdout.rstrip().endswith("then `mcp-e2e run --all`.")
    free(project)

    shown = json.loads(cli("--json", "config", "show").stdout)["data"]["settings"]
    assert shown["tests"][0]["expect"]["images"] == 2
    next_command = made.stdout.split("`mcp-e2e ")[1].split("`")[0]
    done = cli(*shlex.split(next_command))

    assert (done.returncode, "passed" in done.stdout + done.stderr) == (0, True), done.stdout + done.stderr


def test_a_dry_run_prints_the_file_and_nothing_else(project: Path, root: Path, cli: Cli) -> None:
    """Fit to be redirected; talk goes to stderr, and none with --quiet."""
    shown = cli("init", "--comfyui", str(root), "--dry-run")
    assert tomllib.loads(shown.stdout)["services"]["comfyui"]["cwd"] == str(root)
    assert f"--comfyui: ComfyUI 0.3.64 in {root}" in shown.stderr
    assert not (project / "mcp-e2e.toml").exists()
    assert not (project / ".mcp-e2e").exists()


def test_the_envelope(project: Path, root: Path, cli: Cli) -> None:
    """What was done, for a program."""
    answer = json.loads(cli("--json", "init", "--comfyui", str(root)).stdout)
    again = json.loads(cli("--json", "init").stdout)

    assert (answer["schema"], answer["ok"]) == ("mcp_e2e/init/1", True)
    assert answer["data"]["done"] == "created"
    assert answer["data"]["tests_added"] == ["red"]
    assert answer["data"]["interpreter"] == str(root / "venv" / "bin" / "python")
    assert (again["data"]["done"], again["data"]["tests_added"]) == ("unchanged", [])


@pytest.mark.parametrize(("named", "status"), [("nowhere", 2), ("http://127.0.0.1:9", 4)])
def test_what_is_named_and_is_none(project: Path, cli: Cli, named: str, status: int) -> None:
    """A usage error for a path, an unavailable service for an address; nothing is written."""
    done = cli("init", "--comfyui", named)
    assert done.returncode == status
    assert done.stderr.startswith("Error: ") or "\nError: " in done.stderr
    assert not (project / "mcp-e2e.toml").exists()


def test_paths_are_from_where_one_stands(project: Path, root: Path, environ: dict[str, str], tmp_path: Path) -> None:
    """Though the project is another folder; a leading ~ is the home folder."""
    environ = {**environ, "HOME": str(tmp_path)}
    for named, python in (("my comfy", "my comfy/ComfyUI/venv/bin/python"), ("~/my comfy/ComfyUI/main.py", "~/x")):
        if python == "~/x":
            interpreter(tmp_path / "x")
        words = ["init", "--project", "project", "--comfyui", named, "--python", python, "--dry-run"]
        line = [sys.executable, "-m", "mcp_e2e", *words]
        done = subprocess.run(line, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=50, check=False)
        service = tomllib.loads(done.stdout)["services"]["comfyui"]
        assert service["cwd"] == str(root)
        assert service["command"][0] == os.path.normpath(tmp_path / python.removeprefix("~/"))


def test_a_job_may_not_write_it(project: Path, cli: Cli) -> None:
    """A command under our supervision steers nothing."""
    assert cli("init", MCP_E2E_JOB="j-1").returncode == 6


def test_a_missing_file_names_the_command_that_writes_one(project: Path, cli: Cli) -> None:
    """Where a new user meets it first."""
    said = cli("run", "x").stderr
    assert "`mcp-e2e init`" in said
    assert "`mcp-e2e config example > mcp-e2e.toml`" in said


def test_where_it_looked_is_said_once(project: Path, cli: Cli) -> None:
    """As it looks, and not again in the error."""
    done = cli("init", PATH="")
    assert done.returncode == 4
    assert done.stderr.count(str(project / "ComfyUI_windows_portable")) == 1
    assert done.stderr.splitlines()[-2] == "Error: no ComfyUI was found, and nothing was written"


@pytest.mark.comfyui
@pytest.mark.timeout(400)
def test_a_real_one(project: Path, environ: dict[str, str], cli: Cli) -> None:
    """Found, written, started, and a test of it passes."""
    folder = os.environ.get("MCP_E2E_COMFYUI_DIR")
    if not folder:
        pytest.skip("set MCP_E2E_COMFYUI_DIR to the folder of a real ComfyUI whose interpreter init can find")
    environ |= {name: os.environ[name] for name in ("PYTHONPATH", "VIRTUAL_ENV") if name in os.environ}

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "mcp_e2e", *words]
        return subprocess.run(line, cwd=project, env=environ, capture_output=True, text=True, timeout=180, check=False)

    made = call("init", "--comfyui", folder)
    assert made.returncode == 0, made.stderr
    free(project)
    done = call("run", "red")

    assert done.returncode == 0, done.stdout + done.stderr
