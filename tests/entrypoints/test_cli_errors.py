"""What is wrong is said once and clearly: the envelope, the exit status, and file, line, key and remedy."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mcp_e2e.entrypoints import cli as door
from mcp_e2e.entrypoints.cli import sessions

Cli = Callable[..., subprocess.CompletedProcess[str]]
PYTHON = json.dumps(sys.executable)
SERVICE = f'[services.api]\nkind = "command"\ncommand = [{PYTHON}, "service.py", "{{port}}"]\n'
TEST = f'[[tests]]\nid = "one"\ncommand = [{PYTHON}, "-c", ""]\n'
UI_WORKFLOW = '{"last_node_id": 1, "nodes": [{"id": 1, "type": "KSampler"}], "links": [], "version": 0.4}'


def error_of(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    """The error in the one envelope on stdout, which has nothing else."""
    answer = json.loads(done.stdout)
    assert set(answer) == {"schema", "ok", "error"}
    assert answer["ok"] is False
    error: dict[str, object] = answer["error"]
    assert error["code"]
    assert error["message"]
    assert error["remedy"]
    return error


@pytest.mark.parametrize(
    ("config", "line", "key", "said"),
    [
        (f"{SERVICE}prot = 1\n", 4, "services.api.prot", "Did you mean 'port'?"),
        (f'{SERVICE}port = "8188"\n', 4, "services.api.port", "must be a whole number"),
        ('[services.api]\nkind = "command"\n', 1, "services.api", "neither command nor url"),
        (f'{SERVICE}port = 0\ncwd = "nowhere"\n', 5, "services.api.cwd", "is no folder"),
        ("[services.api\n", 1, None, "line 1"),
        ('[tests]\nid = "one"\n', 1, "tests", "must be a list"),
    ],
    ids=["unknown key", "wrong type", "no command", "no folder", "no toml", "wrong table"],
)
def test_wrong_configuration(cli: Cli, project: Path, config: str, line: int, key: str | None, said: str) -> None:
    """One error with file, line, key and remedy, and status 8."""
    file = project / "mcp-e2e.toml"
    file.write_text(config)
    done = cli("status", "--json")
    error = error_of(done)
    assert (done.returncode, error["code"], error["file"], error["line"]) == (8, "config", str(file), line)
    assert error.get("key") == key
    assert said in f"{error['message']} {error['remedy']}"
    plain = cli("status")
    assert (plain.returncode, plain.stderr.count("Error: ")) == (8, 1)
    assert f"{file}, line {line}" in plain.stderr


@pytest.mark.parametrize("words", [["plan"], ["start"], ["run", "one"], ["exec", "true"], ["config", "show"], ["jobs"]])
def test_wrong_configuration_stops_every_command(cli: Cli, project: Path, words: list[str]) -> None:
    """The same error, whatever is called."""
    (project / "mcp-e2e.toml").write_text(f"{SERVICE}prot = 1\n")
    done = cli("--json", *words)
    assert (done.returncode, error_of(done)["key"]) == (8, "services.api.prot")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ('[[tests]]\nid = "one"\ncommand = ["no-such-program"]\n', "no-such-program"),
        (f'{TEST}env = {{ TOKEN = "${{NO_SUCH_NAME}}" }}\n', "${NO_SUCH_NAME} is not set"),
        ('[[tests]]\nid = "one"\nworkflow = "nowhere.json"\n', "nowhere.json"),
        ('[[tests]]\nid = "one"\nworkflow = "ui.json"\n', "API"),
    ],
    ids=["no program", "unset name", "no workflow", "workflow of the editor"],
)
def test_test_that_cannot_start(cli: Cli, project: Path, config: str, said: str) -> None:
    """Looked at before anything runs: status 8, no attempt, and nothing planned."""
    (project / "ui.json").write_text(UI_WORKFLOW)
    service = '[services.comfy]\nkind = "comfyui"\nurl = "http://127.0.0.1:9"\n' if "workflow" in config else ""
    (project / "mcp-e2e.toml").write_text(service + config)
    done = cli("run", "one", "--json")
    error = error_of(done)
    assert (done.returncode, error["code"]) == (8, "setup")
    assert said in f"{error['message']} {error['remedy']}"
    assert "run" not in json.loads(cli("status", "--json").stdout)["data"]


def test_unset_name_of_a_service(cli: Cli, project: Path) -> None:
    """Starting a service names the variable it lacks."""
    (project / "mcp-e2e.toml").write_text(f'{SERVICE}port = 0\nenv = {{ KEY = "${{NO_SUCH_NAME}}" }}\n')
    done = cli("start", "--json")
    assert done.returncode == 8
    assert "NO_SUCH_NAME" in str(error_of(done)["message"])


def test_missing_file(cli: Cli, project: Path) -> None:
    """No configuration, or a named one that is not there: status 8 with what to do."""
    (project / "mcp-e2e.toml").unlink()
    for words in (["status"], ["plan"], ["--config", "nope.toml", "start"]):
        done = cli(*words, "--json")
        assert (done.returncode, error_of(done)["code"]) == (8, "config"), words


def test_port_of_a_stranger(cli: Cli, project: Path) -> None:
    """A taken port is status 4, names the port and what can be done, and the stranger is left alone."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        (project / "mcp-e2e.toml").write_text(f"{SERVICE}port = {port}\n")
        done = cli("start", "--json")
        error = error_of(done)
    assert (done.returncode, error["code"], error["port"]) == (4, "port_taken", port)
    assert "port = 0" in str(error["remedy"])


def test_service_that_dies(cli: Cli, project: Path) -> None:
    """A service that does not come up is status 4, with its last words in the answer."""
    command = f'command = [{PYTHON}, "-c", "raise SystemExit(\'no model\')"]\nrestart = "never"\n'
    (project / "mcp-e2e.toml").write_text(f'[services.api]\nkind = "command"\nport = 0\n{command}')
    done = cli("start", "--json")
    error = error_of(done)
    assert (done.returncode, error["code"]) == (4, "service_unavailable")
    assert "no model" in json.dumps(error["answer"])


def test_slow_start(cli: Cli, project: Path) -> None:
    """Still starting when the time is up is status 7, unless nobody wanted to wait; then stop ends it."""
    command = f'command = [{PYTHON}, "-c", "import time; time.sleep(60)"]\n'
    (project / "mcp-e2e.toml").write_text(f'[services.api]\nkind = "command"\nport = 0\n{command}')
    done = cli("start", "--wait", "0.5", "--json")
    assert (done.returncode, error_of(done)["code"]) == (7, "timed_out")
    assert cli("start", "--wait", "0").returncode == 0
    assert cli("stop").returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["statu"], "Did you mean 'status'?"),
        (["breaker", "statsu"], "Did you mean 'status'?"),
        (["status", "--jsn"], "--json"),
        (["run", "a", "--all"], "both"),
        (["run", "--count", "2"], "--count"),
        (["run", "a", "--count", "none"], "none"),
        (["start", "nope"], "api"),
        (["plan", "--new"], "reason"),
        (["reset"], "--reason"),
        (["checkpoint", "great"], "success"),
        (["report", "r-none"], "mcp-e2e report list"),
        (["report", "--format", "pdf"], "junit"),
        ([], "mcp-e2e --help"),
    ],
)
def test_wrong_arguments(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    """Status 2, one envelope with a remedy, nothing ran."""
    monkeypatch.setenv("MCP_E2E_PROJECT", str(project))
    monkeypatch.delenv("MCP_E2E_JOB", raising=False)
    assert door.run([*words, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert said in f"{error['message']} {error['remedy']}"


def test_own_defects(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody foresaw is status 3, with the traceback on stderr and still one envelope."""

    def breaks(*_: object, **__: object) -> None:
        raise ExceptionGroup("tasks", [ZeroDivisionError("oops")])

    monkeypatch.setattr(sessions, "inside", breaks)
    status = door.run(["status", "--json"])
    out, err = capsys.readouterr()
    assert (status, json.loads(out)["error"]["code"]) == (3, "internal")
    assert "Traceback" in err


def test_unwritable_state(cli: Cli, project: Path) -> None:
    """A state folder that cannot be is status 8."""
    (project / "taken").write_text("a file")
    done = cli("runs", "--json", MCP_E2E_STATE_DIR=str(project / "taken" / "below"))
    assert done.returncode == 8
    assert error_of(done)["code"] in {"config", "store"}


def test_foreign_encodings(cli: Cli) -> None:
    """Output is UTF-8 whatever the streams are said to be, and no character ends a command."""
    done = cli("run", "breaks-1", PYTHONIOENCODING="cp1252", PYTHONUTF8="0")
    assert done.returncode == 1
    assert "✗ failed" in done.stderr
    cli("stop")


def test_starts_without_what_it_does_not_need(environ: dict[str, str], project: Path) -> None:
    """status loads neither the MCP SDK nor a web server."""
    script = (
        "import sys\nfrom mcp_e2e.entrypoints.cli import run\nstatus = run(['status', '--quiet'])\n"
        "sys.exit(status or ' '.join({'mcp', 'starlette', 'uvicorn'} & set(sys.modules)) or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=environ, cwd=project, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr


def test_global_options_stand_anywhere(cli: Cli, project: Path) -> None:
    """Before or after the command, also after a group's; --project and --config say where."""
    for words in (["--json", "breaker", "status"], ["breaker", "--json", "status"], ["breaker", "status", "--json"]):
        assert json.loads(cli(*words).stdout)["schema"] == "mcp_e2e/breaker-status/1"
    shown = json.loads(cli("config", "show", "--project", str(project), "--json", MCP_E2E_PROJECT="").stdout)["data"]
    assert shown["file"] == str(project / "mcp-e2e.toml")
    assert "properties" in json.loads(cli("config", "schema").stdout)
    other = project / "other.toml"
    other.write_text(TEST)
    shown = json.loads(cli("--config", str(other), "config", "show", "--json").stdout)["data"]
    assert (shown["file"], shown["project"]) == (str(other), str(project))


@pytest.mark.skipif(sys.platform == "win32", reason="closes descriptors by a shell of POSIX")
def test_closed_streams_keep_no_command_from_working(environ: dict[str, str], project: Path) -> None:
    """As some daemons start their children: there is nobody to read, and that is no defect."""
    line = [sys.executable, "-m", "mcp_e2e", "history"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&-', "sh", *line],
        env=environ,
        cwd=project,
        stderr=subprocess.PIPE,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
