"""Running tests from the command line, as a person or a CI job does."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

from mcp_e2e.bootstrap import Options, open_app

Cli = Callable[..., subprocess.CompletedProcess[str]]
LINE = [sys.executable, "-m", "mcp_e2e"]


def test_run_all_is_a_survey(cli: Cli, project: Path, tmp_path: Path) -> None:
    """--all runs everything as one survey, prints a line for each test, writes JUnit and stops the service if told."""
    (project / "go").touch()
    xml = tmp_path / "deep" / "results.xml"
    done = cli("run", "--all", "--junit", str(xml), "--stop", "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["schema"], answer["ok"]) == (1, "mcp_e2e/run/1", True)
    assert answer["data"]["counts"] | {"passed": 2, "failed": 3, "pending": 0} == answer["data"]["counts"]
    assert [line.split()[:3] for line in done.stderr.splitlines() if line[0] in "✓✗"] == [
        *(["✓", "passed", f"{n}/5"] for n in (1, 2)),
        *(["✗", "failed", f"{n}/5"] for n in (3, 4, 5)),
    ]
    assert ET.parse(xml).getroot().get("failures") == "3"
    assert json.loads(cli("status", "--json").stdout)["data"]["services"][0]["state"] == "stopped"


def test_green_run_ends_with_zero(cli: Cli) -> None:
    """Passing tests end with 0, recorded as they were observed, on one generation of the service."""
    done = cli("run", "asks", "--count", "3")
    assert done.returncode == 0, done.stderr
    assert "overall: passed" in done.stdout
    assert "run_test" not in done.stdout + done.stderr
    listed = json.loads(cli("--json", "runs").stdout)["data"]["runs"]
    assert [(run["state"], run["passed"], run["total"]) for run in listed] == [("finished", 3, 3)]


def test_a_red_test_shows_what_it_wrote(cli: Cli) -> None:
    """Below its line, the last first looked for; stdout then has the sum in short, with the file of all of it."""
    done = cli("run", "breaks-1")
    shown = done.stderr.splitlines()
    at = next(nth for nth, line in enumerate(shown) if line.startswith("✗ failed  1/1 breaks-1"))

    assert shown[at + 1 : at + 3] == ["  | tick", "  | cause 1"]
    assert [line.split(":")[0] for line in done.stdout.splitlines() if line[0] not in " -"] == [
        *("run", "overall", "recommendation", "counts", "tests", "report", "next_step")
    ]
    assert "cause 1" in Path(done.stdout.split("report: ")[1].splitlines()[0]).read_text("utf-8")
    assert cli("run", "breaks-1", "-q").stderr == ""


def test_nothing_selected(cli: Cli) -> None:
    """Neither tests nor an unfinished run is nothing selected, and so is a name that matches nothing."""
    for words in (["run"], ["run", "nope"]):
        done = cli(*words, "--json")
        error = json.loads(done.stdout)["error"]
        assert (done.returncode, error["code"]) == (5, "nothing_selected")
        assert "asks" in error["remedy"]


def test_timeout_leaves_the_test_running(cli: Cli, project: Path) -> None:
    """When --timeout is over the status is 7, and the next call goes on with the same attempt."""
    first = cli("run", "waits", "--timeout", "1", "--json")
    error = json.loads(first.stdout)["error"]
    assert (first.returncode, error["code"], error["answer"]["counts"]["pending"]) == (7, "timed_out", 1)
    (project / "go").touch()
    second = cli("run", "--json")
    counts = json.loads(second.stdout)["data"]["counts"]
    assert (second.returncode, counts["passed"], counts["attempts"]) == (0, 1, 1)


def test_interrupt_ends_the_waiting_only(cli: Cli, environ: dict[str, str], project: Path) -> None:
    """Ctrl-C answers 130 and how to go on; the test itself is not run again."""
    waiting = subprocess.Popen(
        [*LINE, "run", "waits"],
        env=environ,
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert waiting.stderr is not None
    while "running" not in waiting.stderr.readline():
        pass
    waiting.send_signal(signal.SIGINT)
    _, talk = waiting.communicate(timeout=30)
    assert waiting.returncode == 130
    assert "mcp-e2e run" in talk
    assert "Traceback" not in talk
    (project / "go").touch()
    counts = json.loads(cli("run", "--json").stdout)["data"]["counts"]
    assert (counts["passed"], counts["attempts"]) == (1, 1)


def test_another_unfinished_run_is_not_touched(cli: Cli) -> None:
    """A begun run with other slots is told with its remedy; after a reset the wanted tests run."""
    cli("plan", "breaks-1", "asks")
    assert cli("checkpoint", "skipped", "--note", "later").returncode == 0
    other = cli("run", "asks", "--json")
    error = json.loads(other.stdout)["error"]
    assert (other.returncode, error["code"], error["slots"]) == (2, "usage", ["1/2 breaks-1: skipped", "2/2 asks"])
    assert "mcp-e2e reset --reason" in error["remedy"]
    dropped = cli("reset", "--reason", "wrong tests", "--json")
    assert json.loads(dropped.stdout)["data"]["run"] == error["run"]
    assert cli("run", "asks").returncode == 0
    reasons = [run.get("reason", "") for run in json.loads(cli("runs", "--json").stdout)["data"]["runs"]]
    assert reasons[1].startswith("wrong tests")


def test_reset_without_a_run(cli: Cli) -> None:
    """Nothing unfinished is nothing to drop, and no error."""
    assert cli("reset", "--reason", "fresh").returncode == 0


def test_a_plan_goes_on(cli: Cli) -> None:
    """run without tests goes on with what plan left, from the slot that is due."""
    cli("plan", "asks", "--count", "2")
    cli("checkpoint", "skipped")
    assert "2/2 asks" in cli("next").stdout
    done = cli("run")
    assert done.returncode == 0
    assert "passed  2/2 asks" in done.stderr


async def test_a_pass_is_not_run_again(cli: Cli, environ: dict[str, str], project: Path) -> None:
    """A test that passed before but was never recorded is recorded, not repeated."""
    async with open_app(Options(project=project), environ) as app:
        answer = await app.attempts.run(app.caller, test="asks")
        assert answer.verdict == "passed"
    done = cli("run", "--json")
    counts = json.loads(done.stdout)["data"]["counts"]
    assert (done.returncode, counts["passed"], counts["attempts"]) == (0, 1, 1)
    assert "recorded now" in done.stderr


def test_cancelled_test_is_no_green(cli: Cli, environ: dict[str, str], project: Path) -> None:
    """A test that somebody cancels is recorded as skipped and ends the waiting run with 130."""
    waiting = subprocess.Popen([*LINE, "run", "waits", "--json"], env=environ, cwd=project, stdout=subprocess.PIPE)
    attempt = None
    while attempt is None:
        run = json.loads(cli("status", "--json").stdout)["data"].get("run", {})
        attempt = next((each["attempt"] for each in run.get("history", []) if each["state"] == "running"), None)
    assert cli("jobs", "--cancel", attempt).returncode == 0
    out, _ = waiting.communicate(timeout=30)
    assert (waiting.returncode, json.loads(out)["error"]["code"]) == (130, "interrupted")


def test_reports_in_every_format(cli: Cli) -> None:
    """--format prints the document itself; JSON names its file."""
    cli("run", "asks")
    assert cli("report", "--format", "junit").stdout.startswith("<?xml")
    assert cli("report", "--format", "markdown").stdout.startswith("#")
    assert json.loads(cli("report", "--format", "json").stdout)["overall"] == "passed"
    assert Path(json.loads(cli("report", "--format", "junit", "--json").stdout)["data"]["files"]["junit"]).is_file()


def test_service_commands(cli: Cli) -> None:
    """start waits until the service is ready, status shows it, logs shows its output, stop ends it."""
    began = time.monotonic()
    started = json.loads(cli("start", "api", "--json").stdout)["data"]
    assert (started["state"], time.monotonic() - began < 20) == ("ready", True)
    assert json.loads(cli("status", "--json").stdout)["data"]["services"][0]["state"] == "ready"
    assert '"GET / HTTP/1.1" 200' in cli("logs", "api").stdout
    assert json.loads(cli("stop", "api", "--json").stdout)["data"]["state"] == "stopped"
