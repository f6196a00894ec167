"""What the README says is true: its commands run, its snippets parse, its recording is of the demo there is."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from mcp_e2e.decisions import guard, history
from mcp_e2e.decisions.rules import churn, cycles, errors, looks, opening, repeats
from mcp_e2e.entrypoints.cli.app import COMMANDS
from mcp_e2e.entrypoints.mcp.tools import TOOLS
from mcp_e2e.model.calls import Limits
from mcp_e2e.settings.example import EXAMPLE
from mcp_e2e.settings.schema import Settings
from tests.installations import comfyui, interpreter, workflow

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def first_test(tmp_path: Path) -> str:
    """The part a new user types first, its configuration written into an empty project."""
    (part,) = re.findall(r"<!-- first-test:begin -->(.*?)<!-- first-test:end -->", README, re.DOTALL)
    (config,) = blocks("toml", part)
    assert config == EXAMPLE
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


def test_init_writes_what_the_readme_shows(tmp_path: Path) -> None:
    """The command as typed, beside a ComfyUI; the file has the keys that are shown, and those that are shown load."""
    (part,) = re.findall(r"<!-- init:begin -->(.*?)<!-- init:end -->", README, re.DOTALL)
    (script,), (shown,) = blocks("sh", part), blocks("toml", part)
    root = comfyui(tmp_path / "ComfyUI")
    interpreter(root / "venv" / "bin" / "python", gpu=True)
    workflow(tmp_path / "project" / "workflows" / "portrait_api.json")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "COMFYUI_PATH": str(root)}

    line = [sys.executable, "-m", "mcp_e2e", *shlex.split(script, comments=True)[1:]]
    subprocess.run(line, cwd=tmp_path / "project", env=environ, capture_output=True, timeout=60, check=True)

    made = tomllib.loads((tmp_path / "project" / "mcp-e2e.toml").read_text("utf-8"))
    promised = tomllib.loads(shown)
    assert Settings.model_validate(promised).tests[0].timeout_s == 300
    assert promised["tests"] == made["tests"]
    assert promised["services"]["comfyui"].keys() == made["services"]["comfyui"].keys()


def test_serving_over_http_is_started_as_typed() -> None:
    """The line is the one that test_mcp_http starts, and the port is the one its client's line calls."""
    (part,) = re.findall(r"<!-- http:begin -->(.*?)<!-- http:end -->", README, re.DOTALL)
    (script,) = blocks("sh", part)
    program, command, option, where = shlex.split(script)

    assert (program, command, option) == ("mcp-e2e", "serve", "--http")
    assert f"http://{where}/mcp" in README


def test_install_writes_what_the_readme_shows(tmp_path: Path) -> None:
    """Each command as typed writes the file behind it; the entry shown is the one for those that say mcpServers."""
    (part,) = re.findall(r"<!-- install:begin -->(.*?)<!-- install:end -->", README, re.DOTALL)
    (script,), (shown,) = blocks("sh", part), blocks("json", part)
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path.parent)}
    for line in script.splitlines():
        typed, file = line.split("#")
        words = [sys.executable, "-m", "mcp_e2e", *typed.split()[1:]]
        subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, timeout=60, check=True)
        assert (tmp_path / file.strip()).is_file()

    text = shown.replace("/path/to/.venv/bin/mcp-e2e", str(Path(sys.executable).with_name("mcp-e2e")))
    for file in (".mcp.json", ".cursor/mcp.json"):
        made = json.loads((tmp_path / file).read_text("utf-8"))
        assert made == json.loads(text.replace("/path/to/your/project", str(tmp_path)))


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


def test_every_command_of_a_group_is_in_the_readme() -> None:
    """With its group's name before it, in the list of commands."""
    (chapter,) = re.findall(r"### Command line\n\n(.*?)\n\n", README, re.DOTALL)
    groups = [command for command in COMMANDS if isinstance(command, click.Group)]

    assert set(re.findall(r"`([a-z]+ [a-z]+)(?: [A-Z]+)?`", chapter)) == {
        f"{group.name} {name}" for group in groups for name in group.commands
    }


RULES = {name: cells for name, *cells in re.findall(r"^\| (R\d+) \| (.+?) \| (.+?) \| (.+?) \|$", README, re.MULTILINE)}
(GUARD,) = re.findall(r"### The guard\n\n(.*?)\n### ", README, re.DOTALL)
REFUSED_AT = {
    "R1": [Limits().consecutive_failures],
    "R2": [Limits().attempts + 1, repeats.GREEN_REFUSE],
    "R3": [repeats.SAME_FAILURE + 1, repeats.SAME_FAILURE_OVER_EDITS + 1],
    "R4": [cycles.REFUSE, cycles.REFUSE + 1],
    "R5": [errors.REFUSE, errors.REFUSE_ALL],
    "R6": [looks.IDLE, looks.LIVE],
    "R7": [repeats.STAGNANT_REFUSE],
    "R8": [churn.REFUSE],
    "R9": [opening.DROUGHT_OPEN],
    "R10": [guard.HAMMERING],
}


def test_the_rules_of_the_readme_are_the_rules_there_are() -> None:
    """Each in its order, with its law, word for word."""
    assert {name: law for name, (law, _, _) in RULES.items()} == guard.LAWS
    assert list(RULES) == [*(rule.name for rule in guard.RULES), "R10"]


@pytest.mark.parametrize("name", REFUSED_AT)
def test_a_rule_stops_the_call_that_the_readme_says(name: str) -> None:
    """The numbers of its row are the thresholds in the code."""
    assert [int(number) for number in re.findall(r"(\d+)(?:st|nd|rd|th)", RULES[name][1])] == REFUSED_AT[name]


def test_the_guards_numbers_in_words_are_the_codes() -> None:
    """Waits and horizons."""
    assert f"5 to {errors.LONGEST_WAIT_S / 60:.0f} minutes" in RULES["R5"][2]
    assert errors.FIRST_WAIT_S == 5 * 60
    assert f"repeated {history.PATIENT_S:.0f} s or more" in GUARD
    assert f"{history.HORIZON_S / 3600:.0f} hours back" in GUARD


def test_who_works_on_under_the_open_breaker_is_told() -> None:
    """The tools that are never refused, those that are, and what a person may do on the command line."""
    (told,) = re.findall(r"\*\*When all work stops\.\*\* (.*?)\n\n", GUARD, re.DOTALL)
    refused, allowed, by_hand = re.split(r"run\s+nothing and say so|go on working", told)

    assert set(re.findall(r"`(\w+)`", allowed)) == set(guard.ALWAYS_ALLOWED)
    assert set(re.findall(r"`(\w+)`", refused)) == set(TOOLS) - set(guard.ALWAYS_ALLOWED)
    spoken = {"start": "start_session", "exec": "safe_exec", "reset": "drop_run"}
    assert {spoken.get(name, name) for name in re.findall(r"`(\w+)`", by_hand)} == {
        *guard.ALLOWED_AT_THE_COMMAND_LINE,
        "logs",
    }


def test_the_settings_that_the_guards_chapter_names_exist() -> None:
    """Table and key of each, and elicitation and observing are off unless somebody switches them on."""
    named = re.findall(r"`\[(\w+)\] (\w+)", GUARD)
    settings = Settings()

    assert {("guard", "mode"), ("guard", "watch"), ("breaker", "elicitation")} <= set(named)
    assert [name for name in named if not hasattr(getattr(settings, name[0]), name[1])] == []
    assert settings.breaker.elicitation is False
    assert settings.guard.mode == "enforce"


def test_a_history_as_the_readme_writes_it_can_be_judged(tmp_path: Path) -> None:
    """Every field it names; the answer has the fields it names, and a third equal failure is refused by R2."""
    step, event, line = (
        [name.strip() for name in re.findall(rf"`\{{({start}[^}}]*)\}}`", GUARD)[0].split(",")]
        for start in ("i, t, pid", "i, t, ev", "id, i")
    )
    failed = {"tool": "run_test", "args": {"test": "a"}, "outcome": "fail", "dur": 2.0}
    failed |= {"result": {"test": "a", "status": "fail", "error": "ValueError: b", "duration_s": 2.0}}
    steps = [
        dict.fromkeys(step, "x") | failed | {"i": 0, "t": 0.0},
        dict.fromkeys(step, "x") | failed | {"i": 1, "t": 10.0},
        dict.fromkeys(event, "x") | {"i": 2, "t": 20.0, "ev": "server_restart"},
        dict.fromkeys(step, "x") | failed | {"i": 3, "t": 30.0},
    ]
    done = subprocess.run(
        [sys.executable, "-m", "mcp_e2e", "guard", "replay", "-"],
        cwd=tmp_path,
        input=json.dumps({"id": "one", "steps": steps}),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    judged = [json.loads(each) for each in done.stdout.splitlines()]

    assert [list(each) for each in judged] == [line] * 3
    assert [(each["i"], each["ruling"], each["rule"]) for each in judged][-1] == (3, "refuse", "R2")


def test_the_recording_is_of_the_demo_there_is() -> None:
    """Its numbered lines stand in the demo's steps."""
    recording = blocks("text")[0]
    steps = (ROOT / "mcp_e2e" / "demo" / "steps.py").read_text("utf-8")
    headings = re.findall(r"^\d+  (.+)$", recording, re.MULTILINE)

    assert len(headings) >= 5
    assert [heading for heading in headings if heading not in steps] == []
