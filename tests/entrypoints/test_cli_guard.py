"""guard replay: recorded histories and the project's own past, judged by the rules that judge live calls."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcp_e2e.bootstrap import App, Options, open_app
from mcp_e2e.decisions.replay import Replay
from mcp_e2e.errors import E2EError

Cli = Callable[..., subprocess.CompletedProcess[str]]
LINE = [sys.executable, "-m", "mcp_e2e"]


def red(i: int) -> dict[str, Any]:
    shown = {"test": "portrait", "status": "failed", "error": "no image", "duration_s": 9.0}
    asked = {"test": "portrait", "request_id": f"r-{i}"}
    return {"i": i, "t": 20.0 * i, "tool": "run_test", "args": asked, "outcome": "fail", "result": shown, "tree": "w"}


def lines(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines()]


def test_each_call_of_each_trace_has_its_line(cli: Cli, tmp_path: Path) -> None:
    """In their order, with the trace's id; talk goes to stderr."""
    file = tmp_path / "traces.jsonl"
    loop = {"id": "loop", "steps": [red(0), red(1), {"i": 2, "t": 50.0, "ev": "server_restart"}, red(3)]}
    file.write_text("\n".join(json.dumps(trace) for trace in (loop, {"id": "one", "steps": [red(0)]})) + "\n\n")

    done = cli("guard", "replay", str(file))

    assert done.returncode == 0
    said = [(line["id"], line["i"], line["ruling"], line["rule"], line["state"]) for line in lines(done.stdout)]
    assert said == [
        ("loop", 0, "allow", None, "closed"),
        ("loop", 1, "advise", "R2", "closed"),
        ("loop", 3, "refuse", "R2", "closed"),
        ("one", 0, "allow", None, "closed"),
    ]
    assert "4 calls judged, 1 stopped" in done.stderr


def test_it_reads_standard_input_and_needs_no_project(tmp_path: Path) -> None:
    """A history from anywhere can be judged anywhere."""
    text = json.dumps({"id": "x", "steps": [red(0)]})
    line = [*LINE, "guard", "replay", "-"]
    done = subprocess.run(line, cwd=tmp_path, input=text, capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 0, done.stderr
    assert [line["i"] for line in lines(done.stdout)] == [0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "line 1 has no list of steps"),
        ('{"id": 1, "steps": []}\nnonsense', "line 2 is no JSON"),
        ('{"id": 1, "steps": [{"i": 7}]}', "line 1: step 7 is neither a call nor an event"),
    ],
)
def test_a_wrong_line_is_named_before_anything_is_judged(cli: Cli, tmp_path: Path, text: str, told: str) -> None:
    """Exit status 2, nothing on stdout."""
    file = tmp_path / "traces.jsonl"
    file.write_text(text)

    done = cli("guard", "replay", str(file))

    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_one_of_file_and_ledger_is_needed(cli: Cli) -> None:
    """Neither and both are usage errors with an example."""
    assert cli("guard", "replay").returncode == 2
    assert "mcp-e2e guard replay" in cli("guard", "replay").stderr


async def past_of(app: App, project: Path) -> None:
    """Some honest work, a repetition that is refused, an edit, a stale look, three reds, a reset."""

    async def tried(work: Any) -> None:
        try:
            await work
        except E2EError:
            return

    await app.runs.plan(app.caller, tests=["asks"], count=3)
    for _ in range(3):
        await app.attempts.run(app.caller, checkpoint=True)
    for _ in range(3):
        await tried(app.attempts.run(app.caller, test="breaks-1", checkpoint=True))
    (project / "asks.py").write_text((project / "asks.py").read_text() + "\n# edited\n")
    for code in (1, 1, 1):
        await tried(app.execs.run(app.caller, command=f"echo no; exit {code}"))
    for _ in range(11):
        await app.status.show(app.caller)
    for _ in range(2):
        await tried(app.attempts.run(app.caller, test="breaks-2", checkpoint=True))
    await app.breaker.reset(app.caller, actor={"tty": "pts/1"})
    await tried(app.attempts.run(app.caller, test="asks", checkpoint=True))
    await tried(app.attempts.run(app.caller, test="no-such-test"))
    await app.sessions.stop(app.caller)


async def test_the_projects_own_past_is_judged_as_it_was(cli: Cli, project: Path) -> None:
    """One implementation: no line of the ledger's replay differs from what was ruled live."""
    async with open_app(Options(project=project), {"PATH": "/usr/bin:/bin"}, client_name="claude") as app:
        await past_of(app, project)

    done = cli("guard", "replay", "--ledger")

    judged = lines(done.stdout)
    assert done.returncode == 0, done.stderr
    assert {line["ruling"] for line in judged} == {"allow", "advise", "throttle", "refuse"}
    assert [line for line in judged if "live" in line] == []


def test_a_replay_alters_nothing_it_was_given() -> None:
    """The same steps give the same rulings again."""
    steps = [red(0), red(1), red(2)]
    before = json.dumps(steps)

    first, again = list(Replay().judge(steps)), list(Replay().judge(steps))

    assert first == again
    assert json.dumps(steps) == before
