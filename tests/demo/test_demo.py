"""The demonstration as a person starts it: in a process of its own, in a folder of the user's that stays as it was."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

DEMO = [sys.executable, "-m", "mcp_e2e", "demo"]
LIMIT_S = 100

pytestmark = pytest.mark.timeout(LIMIT_S + 20)


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """The system's temporary folder, for the demo; whatever works in it must be gone when the test ends."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def environ(temporary: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(temporary), "NO_COLOR": "1", "COLUMNS": "100", "PYTHONIOENCODING": "ascii"}


@pytest.fixture
def users_folder(tmp_path: Path) -> Path:
    """Where the user happens to be; even a broken configuration there is none of the demo's business."""
    folder = tmp_path / "user"
    folder.mkdir()
    (folder / "mcp-e2e.toml").write_text("this is not TOML")
    return folder


def left_over(temporary: Path, output: str) -> list[psutil.Process]:
    """Living processes that the demo named, or that have its folder in their command line."""
    named = {int(pid) for pid in re.findall(r"\bpid (\d+)", output)}
    assert named, output
    words = {process: _command_line(process) for process in psutil.process_iter()}
    return [process for process, line in words.items() if process.pid in named or str(temporary) in line]


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""


def test_every_step_does_what_it_should(temporary: Path, environ: dict[str, str], users_folder: Path) -> None:
    """Exit 0, each act of the play in its order, a report that is there afterwards, and nothing left running."""
    done = subprocess.run(
        DEMO, cwd=users_folder, env=environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S, check=False
    )
    said = done.stdout.decode("utf-8")
    assert done.returncode == 0, said + done.stderr.decode()
    acts = [
        "SIMULATED ComfyUI",
        "starting, which is no failure",
        "ready: pid",
        "1/3 portrait, 2/3 landscape, 3/3 square",
        "run_test 3/3",
        "3 of 3 passed, no restart",
        "generation 1 as before",
        "generation 2",
        "the one free retry",
        "refused by rule R2",
        "run_test 2/3       failed: node",
        "refused by rule R1",
        "REFUSED: run_test was not run.",
        "3 attempts, 2 refusals",
        "gone, no job left",
        "kept alive",
        "restarted",
    ]
    places = [said.find(act) for act in acts]
    assert -1 not in places, (acts[places.index(-1)], said)
    assert places == sorted(places), said
    assert "\x1b" not in said
    assert len(said.splitlines()) <= 60
    assert done.stderr == b""
    reports = [Path(path) for path in re.findall(r"^ +report +(/\S+\.md)", said, re.MULTILINE)]
    assert len(reports) == 2
    assert [path.read_text("utf-8").split(":")[1].split()[0] for path in reports] == ["passed", "stopped"]
    assert sorted(temporary.rglob("*.*")) == sorted(reports)
    assert [path.name for path in users_folder.iterdir()] == ["mcp-e2e.toml"]
    assert left_over(temporary, said) == []


def test_a_service_that_never_comes_up_is_a_failed_demo(temporary: Path, environ: dict[str, str]) -> None:
    """Exit 1 with what was expected and seen; all of it is kept for whoever wants to know why."""
    command = "[sys.executable, '-c', 'raise SystemExit(127)']"
    code = f"import sys; from mcp_e2e.demo import tour; sys.exit(tour.main(service={command}))"
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, timeout=LIMIT_S, check=False)
    said = done.stdout.decode("utf-8")
    assert done.returncode == 1, said
    assert re.search(r"FAILED start_session: state\n +expected +'starting'\n +seen +'failed'\n", said), said
    kept = re.search(r"kept in (/\S+)", said)
    assert kept, said
    assert (Path(kept[1]) / "project" / "mcp-e2e.toml").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_service_too(temporary: Path, environ: dict[str, str], number: signal.Signals) -> None:
    """Ctrl-C at the worst moment: the service is up and a test runs on it."""
    lines: list[str] = []
    with subprocess.Popen(DEMO, env=environ, stdout=subprocess.PIPE, encoding="utf-8") as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            lines.append(line)
            if "plan_run" in line:
                demo.send_signal(number)
        assert demo.wait(LIMIT_S) == 128 + number, lines
    assert "Interrupted" in lines[-1]
    assert left_over(temporary, "".join(lines)) == []
    assert list(temporary.iterdir()) == []
