"""exec, jobs and logs from the command line."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]


def test_exec_gives_all_output_and_the_commands_status(cli: Cli) -> None:
    """Everything a command prints arrives, however much, and its status is ours."""
    script = "import sys; print('x' * 99_999); sys.exit(42)"
    done = cli("exec", "--", sys.executable, "-c", script)
    assert (done.returncode, len(done.stdout), done.stderr) == (42, 100_000, "")


def test_exec_reads_one_word_with_spaces_as_a_shell_line(cli: Cli) -> None:
    """A line goes to a shell; several words are a program and its arguments, options included."""
    assert cli("exec", "echo $((20 + 22)) | tr 2 x").stdout == "4x\n"
    assert cli("exec", "printf", "%s|", "--json", "-q").stdout == "--json|-q|"


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["exec", "kill -9 $$"], 137),
        (["exec", "--", "no-such-program"], 125),
        (["exec", "--timeout", "0.5", "sleep 30"], 7),
        (["exec", "--cwd", "/", "--", "true"], 2),
        (["exec"], 2),
        (["exec", "--nonsense", "--", "true"], 2),
    ],
)
def test_exec_statuses(cli: Cli, words: list[str], status: int) -> None:
    """128 + n after a signal, 125 when it could not be run, 7 when its time was over, 2 for wrong arguments."""
    done = cli(*words)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr


def test_exec_as_json(cli: Cli) -> None:
    """--json before the command is ours: one envelope with the answer that the tool gives."""
    done = cli("exec", "--json", "echo out; echo err >&2; exit 3")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["schema"], answer["ok"]) == (3, "mcp_e2e/exec/1", True)
    assert (answer["data"]["stdout"], answer["data"]["stderr"]) == ("out\n", "err\n")
    broken = cli("exec", "--json", "--", "no-such-program")
    assert (broken.returncode, json.loads(broken.stdout)["error"]["code"]) == (125, "launch")


def test_detached_command(cli: Cli) -> None:
    """--detach answers at once; jobs lists it, logs -f follows it to its end, --cancel ends another."""
    job = json.loads(cli("exec", "--detach", "--json", "echo begin; sleep 1; echo end").stdout)["data"]["job"]
    assert job in cli("jobs").stdout
    assert cli("logs", "-f", job).stdout == "begin\nend\n"
    assert cli("logs", job, "-n", "1").stdout == "end\n"
    assert json.loads(cli("logs", job, "--json").stdout)["data"]["text"] == "begin\nend\n"
    other = json.loads(cli("exec", "--detach", "--json", "sleep 60").stdout)["data"]["job"]
    assert json.loads(cli("jobs", "--cancel", other, "--json").stdout)["data"]["reason"] == "stopped"


def test_reader_that_leaves(cli: Cli, environ: dict[str, str], project: Path) -> None:
    """Whoever pipes into head gets no traceback."""
    line = f"{sys.executable} -m mcp_e2e exec 'seq 200000' | head -n 1"
    done = subprocess.run(
        line, shell=True, env=environ, cwd=project, capture_output=True, encoding="utf-8", timeout=50, check=False
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_a_job_may_look_but_not_steer(cli: Cli, project: Path) -> None:
    """Inside of one of our own jobs reading works, and what changes state is refused."""
    refused = ("run asks", "plan", "stop", "reset --reason x", "breaker reset", "jobs --cancel j-1", "exec true")
    script = "".join(f"{sys.executable} -m mcp_e2e {words}; echo $?;" for words in ("status -q", *refused))
    (project / "look.sh").write_text(script)  # as a line it would be refused before it runs
    done = cli("exec", "--json", "--", "sh", "look.sh")
    answer = json.loads(done.stdout)["data"]
    assert [line for line in answer["stdout"].splitlines() if line.isdigit()] == ["0"] + ["6"] * len(refused)
    assert answer["stderr"].count("MCP_E2E_JOB=") == len(refused)


def test_interrupt_ends_the_following_only(cli: Cli, environ: dict[str, str], project: Path) -> None:
    """Ctrl-C answers 130 and names the job, which goes on and can be ended by its name."""
    line = [sys.executable, "-m", "mcp_e2e", "exec", "echo begin; sleep 60"]
    following = subprocess.Popen(
        line, env=environ, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    )
    assert following.stdout is not None
    assert following.stdout.readline() == "begin\n"
    following.send_signal(signal.SIGINT)
    _, talk = following.communicate(timeout=30)
    found = re.search(r"jobs --cancel (j-\w+)", talk)
    assert following.returncode == 130
    assert found is not None, talk
    assert json.loads(cli("jobs", "--cancel", found[1], "--json").stdout)["data"]["reason"] == "stopped"


def test_unknown_names(cli: Cli) -> None:
    """What does not exist is said, with where to find what does."""
    done = cli("logs", "j-nothing", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (2, "not_found")
    assert cli("logs", "-f", "--json").returncode == 2
