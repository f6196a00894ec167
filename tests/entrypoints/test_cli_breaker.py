"""Only a person at a terminal closes the breaker: tried with real terminals and with processes that init owns."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mcp_e2e.entrypoints.cli.agent_markers import MARKERS, mark_in
from tests.entrypoints.terminal import LINE, Terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")
REDS = ("breaks-1", "breaks-2", "breaks-3")
Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def incident(cli: Cli) -> str:
    """Three red tests have opened the breaker; the incident's name."""
    done = cli("run", *REDS, "--json")
    assert done.returncode == 1, done.stdout
    line = json.loads(cli("breaker", "status", "--json").stdout)["data"]
    assert (line["state"], len(line["evidence"])) == ("open", 3)
    return str(line["incident"])


def state(cli: Cli) -> str:
    return str(json.loads(cli("breaker", "status", "--json").stdout)["data"]["state"])


def reset(project: Path, environ: dict[str, str]) -> None:
    """What a person does: look, type the code."""
    terminal = Terminal(project, environ, [*LINE, "breaker", "reset"])
    found = terminal.until(r"type (\w+): |an?gent is at work|is at work here")
    if found[1] is None:
        terminal.status()
        pytest.skip(f"whoever adopts orphans here carries an agent's mark: {terminal.screen}")
    terminal.type(found[1])
    assert terminal.status() == 0, terminal.screen
    assert "state: half_open" in terminal.screen


def test_open_breaker_refuses_tests_only(cli: Cli, incident: str) -> None:
    """While open, run and plan are refused with the incident; start, stop, exec and all that looks still work."""
    for words in (["run", "asks"], ["plan"]):
        done = cli(*words, "--json")
        error = json.loads(done.stdout)["error"]
        assert (done.returncode, error["code"], error["incident"]) == (6, "refused", incident)
        assert "breaker reset" not in done.stdout
        assert cli(*words).stderr.startswith(f"REFUSED: `mcp-e2e {words[0]}` was not run")
    assert cli("start").returncode == 0
    assert cli("exec", "true").returncode == 0
    for words in (["status"], ["report"], ["next"], ["jobs"], ["runs"], ["breaker", "status"], ["stop"]):
        done = cli(*words)
        assert (done.returncode, "breaker reset" in done.stdout + done.stderr) == (0, False), words


def test_failed_test_beats_the_refusal_after_it(cli: Cli) -> None:
    """A run that opened the breaker on its way ends with 1 and says what stopped it."""
    done = cli("run", *REDS, "asks", "--json")
    data = json.loads(done.stdout)["data"]
    assert (done.returncode, data["stopped_by"]["code"], data["counts"]["pending"]) == (1, "refused", 1)


def test_reset_by_a_person(cli: Cli, incident: str, project: Path, environ: dict[str, str]) -> None:
    """The typed code leaves half-open: a red probe opens again, and after another reset a green one closes."""
    reset(project, environ)
    assert state(cli) == "half_open"
    assert cli("run", "breaks-1").returncode == 1
    assert state(cli) == "open"
    reset(project, environ)
    assert cli("run", "asks").returncode == 0
    assert state(cli) == "closed"


def test_reset_shows_the_incident_and_records_who(
    cli: Cli, incident: str, project: Path, environ: dict[str, str]
) -> None:
    """Before the code stands the evidence with the calls refused since; afterwards the actor stands in the record."""
    cli("run", "asks")
    reset_screen = Terminal(project, environ, [*LINE, "breaker", "reset"])
    found = reset_screen.until(r"type (\w+): |is at work here")
    if found[1] is None:
        reset_screen.status()
        pytest.skip(f"whoever adopts orphans here carries an agent's mark: {reset_screen.screen}")
    reset_screen.type(found[1])
    assert reset_screen.status() == 0
    assert incident in reset_screen.screen
    assert "breaks-3 failed: exit code 1: cause 3" in reset_screen.screen
    assert re.search(r"calls_refused_since: 1\b", reset_screen.screen)
    assert re.search(r"run_test by mcp-e2e \(pid \d+\)|plan_run by mcp-e2e \(pid \d+\)", reset_screen.screen)


def test_wrong_code_changes_nothing(cli: Cli, incident: str, project: Path, environ: dict[str, str]) -> None:
    """Status 6, and the breaker stays open."""
    terminal = Terminal(project, environ, [*LINE, "breaker", "reset"])
    terminal.until(r"type (\w+): |is at work here")
    terminal.type("nonsense")
    assert terminal.status() == 6
    assert state(cli) == "open"


def test_reset_needs_a_terminal(cli: Cli, incident: str, project: Path, environ: dict[str, str]) -> None:
    """Without one it is refused with an explanation, also where no agent is in sight."""
    orphan = Terminal(project, environ, [*LINE, "breaker", "reset"], screen=False)
    assert orphan.status() == 6
    assert "terminal" in orphan.screen or "is at work here" in orphan.screen
    assert state(cli) == "open"


@pytest.mark.parametrize(
    "name", ["CLAUDECODE", "CURSOR_AGENT", "GEMINI_CLI", "CODEX_SANDBOX", "AI_AGENT", "MCP_E2E_JOB"]
)
def test_reset_is_refused_to_agents(project: Path, environ: dict[str, str], name: str) -> None:
    """An agent's mark in the environment refuses by its name, terminal or not."""
    terminal = Terminal(project, environ | {name: "1"}, [*LINE, "breaker", "reset"])
    assert terminal.status() == 6
    assert name in terminal.screen


def test_a_mark_above_us_counts(project: Path, environ: dict[str, str]) -> None:
    """Taking the mark out of one's own environment does not help: the process that had it is still an ancestor."""
    clean = (
        f"import subprocess, sys; sys.exit(subprocess.run({LINE!r} + ['breaker', 'reset'], env={environ!r}).returncode)"
    )
    terminal = Terminal(project, environ | {"CURSOR_AGENT": "1"}, [sys.executable, "-c", clean])
    assert terminal.status() == 6
    assert "CURSOR_AGENT stands in process" in terminal.screen


def test_status_names_the_reset_to_a_person_only(
    cli: Cli, incident: str, project: Path, environ: dict[str, str]
) -> None:
    """In a person's terminal the line is there; in a pipe or under an agent it is not."""
    terminal = Terminal(project, environ, [*LINE, "status"])
    assert terminal.status() == 0
    marked = Terminal(project, environ | {"CLAUDECODE": "1"}, [*LINE, "status"])
    assert marked.status() == 0
    assert "mcp-e2e breaker reset" not in marked.screen + cli("status").stdout
    if "mcp-e2e breaker reset" not in terminal.screen:
        pytest.skip("whoever adopts orphans here carries an agent's mark")
    assert terminal.screen.rstrip().endswith("then mcp-e2e breaker reset.")
    refused = Terminal(project, environ, [*LINE, "run", "asks"])
    assert refused.status() == 6
    assert refused.screen.rstrip().endswith("then mcp-e2e breaker reset.")


def test_nothing_to_reset(project: Path, environ: dict[str, str]) -> None:
    """A closed breaker is a usage error, and no code is asked for."""
    terminal = Terminal(project, environ, [*LINE, "breaker", "reset"])
    assert terminal.status() in {2, 6}
    assert "closed" in terminal.screen or "is at work here" in terminal.screen


def test_editors_are_no_agents() -> None:
    """What a plain terminal of an editor sets, and settings people keep in their profile, are no marks."""
    plain = {"TERM_PROGRAM": "vscode", "CURSOR_TRACE_ID": "x", "CLAUDE_CODE_SSE_PORT": "1", "AIDER_MODEL": "m"}
    assert mark_in(plain | {"CLAUDECODE": "", "GEMINI_API_KEY": "k", "CODEX_HOME": "/c"}) is None


def test_every_mark_is_found() -> None:
    """Each row of the table is read as it is meant, patterns included."""
    for pattern, wanted, agent in MARKERS:
        name = pattern.replace("*", "_X")
        assert mark_in({name: wanted or "1"}) == (name, agent)
