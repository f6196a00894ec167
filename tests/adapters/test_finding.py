"""Finding a ComfyUI: told by content, its interpreter, the places of installers on three systems, what runs."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import psutil
import pytest

from mcp_e2e.adapters.comfyui import installation, places, running
from mcp_e2e.adapters.comfyui.finding import Found, find
from mcp_e2e.adapters.comfyui.installation import Interpreter, Machine
from mcp_e2e.adapters.comfyui.interpreter import ability
from mcp_e2e.adapters.comfyui.running import Process, Running
from mcp_e2e.errors import E2EError, ServiceUnavailable, UsageError
from tests.installations import comfyui, interpreter, written

from .conftest import Backend, answered, end, free_port

MARKER = "MCP_E2E_JOB"


def machine(home: Path, system: str = "linux", **environ: str) -> Machine:
    return Machine(system, home, environ)


async def found_by(
    there: Machine, project: Path, named: str | None = None, runs: tuple[Running, ...] = ()
) -> list[Found]:
    return list((await find(there, project, project, named, runs, lambda _: None)).found)


@pytest.mark.parametrize("mark", installation.MARKS)
def test_a_comfyui_is_told_by_its_content(tmp_path: Path, mark: str) -> None:
    """A folder that is only called so, or lacks one thing, is none."""
    root = comfyui(tmp_path / "ComfyUI")
    assert installation.root_of(root) == root
    assert installation.version_of(root) == "0.3.64"

    (root / mark).rename(root / "gone")

    assert installation.root_of(root) is None
    assert installation.missing_marks(root) == [mark]


def test_a_comfyui_is_named_by_itself_its_program_or_what_holds_it(tmp_path: Path) -> None:
    """As people say where theirs is."""
    root = comfyui(tmp_path / "portable" / "ComfyUI")
    for named in (root, root / "main.py", root.parent):
        assert installation.root_of(named) == root


@pytest.mark.parametrize(
    ("system", "python", "options"),
    [
        ("linux", "ComfyUI/.venv/bin/python", ()),
        ("linux", "ComfyUI/venv/bin/python3", ()),
        ("darwin", "venv/bin/python", ()),
        ("win32", "ComfyUI/venv/Scripts/python.exe", ()),
        ("win32", "python_embeded/python.exe", ("-s",)),
        ("win32", "standalone-env/python.exe", ()),
        ("linux", "standalone-env/bin/python3", ()),
    ],
)
def test_the_interpreter_in_or_beside_it_comes_first(
    tmp_path: Path, system: str, python: str, options: tuple[str, ...]
) -> None:
    """Before an environment that happens to be active, and before the PATH."""
    root = comfyui(tmp_path / "ComfyUI")
    own = interpreter(tmp_path / python)
    name = "python.exe" if system == "win32" else "python3"
    on_path = interpreter(tmp_path / "path" / name)
    active = interpreter(tmp_path / "active" / ("Scripts" if system == "win32" else "bin") / name.replace("3", ""))
    there = machine(tmp_path, system, PATH=str(on_path.parent), VIRTUAL_ENV=str(tmp_path / "active"))

    listed = list(installation.interpreters(root, there))

    assert [each.path for each in listed] == [own, active, on_path]
    assert listed[0].options == options


def test_a_conda_environment_that_is_named_for_it_is_a_candidate(tmp_path: Path) -> None:
    """From the list that conda keeps; others of that list are not."""
    root = comfyui(tmp_path / "ComfyUI")
    envs = [tmp_path / "envs" / name for name in ("comfyui", "other")]
    for env in envs:
        interpreter(env / "bin" / "python")
    (tmp_path / ".conda").mkdir()
    (tmp_path / ".conda" / "environments.txt").write_text("\n".join(map(str, envs)) + "\n\n")

    assert [each.path for each in installation.interpreters(root, machine(tmp_path))] == [envs[0] / "bin" / "python"]


CLI_CONFIG = {
    "linux": ".config/comfy-cli/config.ini",
    "darwin": "Library/Application Support/comfy-cli/config.ini",
    "win32": "AppData/Local/comfy-cli/config.ini",
}
DESKTOP_LIST = {
    "linux": ".local/share/comfyui-desktop-2/installations.json",
    "darwin": "Library/Application Support/comfyui-desktop-2/installations.json",
    "win32": "AppData/Roaming/comfyui-desktop-2/installations.json",
}
APP_CONFIG = {
    "darwin": "Library/Application Support/ComfyUI/config.json",
    "win32": "AppData/Roaming/ComfyUI/config.json",
}


@pytest.mark.parametrize("system", CLI_CONFIG)
async def test_the_workspace_that_comfy_cli_remembers(tmp_path: Path, system: str) -> None:
    """The default one before the recent one; a percent sign in a path means nothing."""
    default, recent = (comfyui(tmp_path / "100%" / name) for name in ("default", "recent"))
    config = tmp_path / CLI_CONFIG[system]
    config.parent.mkdir(parents=True)
    config.write_text(
        f"[DEFAULT]\nrecent_workspace = {recent}\ndefault_workspace = {default}\nenable_tracking = False\n"
    )

    found = await found_by(machine(tmp_path, system), tmp_path / "project")

    assert [(each.how, each.root) for each in found] == [
        ("comfy-cli's default_workspace", default),
        ("comfy-cli's recent_workspace", recent),
    ]


@pytest.mark.parametrize("system", DESKTOP_LIST)
async def test_the_installations_of_the_desktop_app(
    tmp_path: Path, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with its code in a folder below; an entry without a folder of its own is none."""
    root = comfyui(tmp_path / "Installs" / "one" / "ComfyUI")
    monkeypatch.chdir(comfyui(tmp_path / "here"))
    entries = [{"installPath": str(root.parent), "sourceId": "standalone"}, {"sourceId": "cloud", "installPath": ""}]
    written(tmp_path / DESKTOP_LIST[system], entries)

    assert [each.root for each in await found_by(machine(tmp_path, system), tmp_path / "project")] == [root]


@pytest.mark.parametrize("system", APP_CONFIG)
async def test_the_first_desktop_app_is_attached_to(tmp_path: Path, system: str) -> None:
    """Only it can start its ComfyUI; what its successor took over is gone."""
    files = tmp_path / "Documents" / "files"
    (files / "user").mkdir(parents=True)
    written(tmp_path / APP_CONFIG[system], {"basePath": str(files), "installState": "installed"})
    there = machine(tmp_path, system)

    assert await found_by(there, tmp_path / "project") == [
        Found("the Desktop app's settings", url="http://127.0.0.1:8000")
    ]
    (files / ".comfyui-desktop-2").touch()
    assert await found_by(there, tmp_path / "project") == []


def test_broken_settings_of_others_are_nothing(tmp_path: Path) -> None:
    """No error of ours comes out of their files."""
    for name, text in ((CLI_CONFIG, "[DEFAULT\n%%"), (DESKTOP_LIST, "[{"), (APP_CONFIG, '{"basePath": 3}')):
        file = tmp_path / name["win32"]
        file.parent.mkdir(parents=True)
        file.write_text(text)

    assert list(places.noted(machine(tmp_path, "win32"))) == []
    assert places.desktop_app(machine(tmp_path, "win32")) is None


async def test_near_the_project(tmp_path: Path) -> None:
    """In it, beside it, and around it: a custom node's project lies inside its ComfyUI."""
    around = comfyui(tmp_path / "a")
    node = around / "custom_nodes" / "mine"
    node.mkdir(parents=True)
    inside = comfyui(tmp_path / "b" / "ComfyUI")
    beside = comfyui(tmp_path / "c" / "ComfyUI_windows_portable" / "ComfyUI")
    there = machine(tmp_path / "home")

    for project, root in ((node, around), (tmp_path / "b", inside), (tmp_path / "c" / "project", beside)):
        project.mkdir(exist_ok=True)
        assert await found_by(there, project) == [Found("near the project", root)]


async def test_all_are_found_and_the_most_trusted_comes_first(tmp_path: Path) -> None:
    """Said by the environment, running, near, in the home folder; each once."""
    said, runs, near, home = (comfyui(tmp_path / name / "ComfyUI") for name in ("said", "runs", "project", "home"))
    there = machine(tmp_path / "home", COMFYUI_PATH=str(said.parent))
    one = Running("http://127.0.0.1:18188", "0.3.64", Process(1, None, (), runs, (), runs))
    other = Running("http://127.0.0.1:8188", "0.3.60")
    at_home = Running("http://127.0.0.1:18189", "0.3.64", Process(2, None, (), home, (), home, marked=True))

    found = await found_by(there, tmp_path / "project", runs=(at_home, one, other))

    assert [each.root or each.url for each in found] == [said, runs, other.url, home, near]
    assert [each.running for each in found] == [None, one, other, at_home, None]
    assert [each.how for each in found][::3] == ["COMFYUI_PATH", "a session of mcp-e2e runs it"]


async def test_what_was_looked_at_is_told_when_nothing_was_found(tmp_path: Path) -> None:
    """Each place by name, and what was there instead."""
    told: list[str] = []
    there = machine(tmp_path)
    stand_in = Running("http://127.0.0.1:8188", "0.0.0-simulated")

    findings = await find(there, tmp_path / "project", tmp_path, None, [stand_in], told.append)

    looks = dict(findings.looks)
    assert findings.found == ()
    assert "http://127.0.0.1:8188 is not taken unless named" in looks["running"]
    assert str(tmp_path / "project" / "ComfyUI") in looks["near the project"]
    assert str(tmp_path / "comfy" / "ComfyUI") in looks["in your home folder"]
    assert told == [f"{where}: {what}" for where, what in findings.looks]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("none", "is no folder"),
        (".", "lacks main.py, nodes.py"),
        ("ftp://x", "no http address"),
        ("http://u:p@x", "user name"),
    ],
)
async def test_a_wrong_name_is_a_usage_error(tmp_path: Path, named: str, said: str) -> None:
    """It says what is missing there; another one is never taken instead."""
    comfyui(tmp_path / "ComfyUI" / "deep" / "er")
    with pytest.raises(UsageError, match=said):
        await found_by(machine(tmp_path), tmp_path, named)


async def test_an_address_where_nothing_answers(tmp_path: Path) -> None:
    """Told at once: the configuration would be of no use."""
    for named in (f"http://127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"):
        with pytest.raises(ServiceUnavailable, match="no ComfyUI answers"):
            await found_by(machine(tmp_path), tmp_path, named)


@pytest.mark.parametrize(
    ("variable", "value", "error", "said"),
    [
        ("COMFYUI_PATH", "none", UsageError, "is no folder"),
        ("COMFYUI_URL", "http://me:hush@127.0.0.1:9", UsageError, "user name"),
        ("COMFYUI_URL", "127.0.0.1:x", UsageError, "is no address"),
        ("COMFYUI_URL", "127.0.0.1:9/", ServiceUnavailable, "no ComfyUI answers at http://127.0.0.1:9 of"),
    ],
)
async def test_a_wrong_variable_leads_to_no_other_comfyui(
    tmp_path: Path, variable: str, value: str, error: type[E2EError], said: str
) -> None:
    """It is named, and what is secret in it is not told."""
    comfyui(tmp_path / "project" / "ComfyUI")
    with pytest.raises(error, match=said) as refused:
        await found_by(machine(tmp_path, **{variable: value}), tmp_path / "project")
    assert variable in refused.value.message
    assert "hush" not in str(refused.value.message) + str(refused.value.advice)


async def test_an_address_that_does_not_answer_beside_a_right_path(tmp_path: Path) -> None:
    """The path decides then: the same ComfyUI may just not run."""
    said = comfyui(tmp_path / "said")
    there = machine(tmp_path, COMFYUI_PATH=str(said), COMFYUI_URL="http://127.0.0.1:9")
    findings = await find(there, tmp_path / "project", tmp_path, None, (), lambda _: None)
    assert [found.root for found in findings.found] == [said]
    assert "no ComfyUI answers" in dict(findings.looks)["COMFYUI_URL"]


async def test_the_simulated_one_is_taken_only_when_named(tmp_path: Path, simulated: Backend) -> None:
    """It is no ComfyUI, but somebody may want to try things out on it."""
    seen = [run for run in await running.running(MARKER, [simulated.url]) if run.url == simulated.url]
    assert [(run.simulated, run.process) for run in seen] == [(True, None)]
    assert await found_by(machine(tmp_path), tmp_path / "project", runs=tuple(seen)) == []

    (found,) = await found_by(machine(tmp_path), tmp_path / "project", f"{simulated.url}/")
    assert (found.url, found.root) == (simulated.url, None)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A ComfyUI of this user that runs, called as people call theirs: by names relative to its folder."""
    root = comfyui(tmp_path / "real")
    interpreter(root / "venv" / "bin" / "python")
    port = free_port()
    line = [
        "venv/bin/python",
        "-s",
        "-X",
        "utf8",
        "main.py",
        "--port",
        str(port),
        "--lowvram",
        "--base-directory",
        "../data",
    ]
    process = subprocess.Popen(line, cwd=root, start_new_session=True)
    give_up = time.monotonic() + 20
    while answered(f"http://127.0.0.1:{port}") is None:
        assert time.monotonic() < give_up
        time.sleep(0.02)
    yield process, port
    end(process)


async def test_one_that_runs_is_found_by_its_process(
    tmp_path: Path, served: tuple[subprocess.Popen[bytes], int]
) -> None:
    """On whatever port: its folder and flags come from its command. The shell that called it has become it."""
    process, port = served

    (run,) = [each for each in await running.running(MARKER, []) if each.port == port]

    assert run.version == "0.3.64"
    assert run.process is not None
    assert (run.process.pid, run.process.root, run.process.cwd) == (process.pid, tmp_path / "real", tmp_path / "real")
    assert run.process.python == Path(sys.executable)  # the stand-in has become this
    assert run.process.options == ("-s", "-X", "utf8")
    assert run.process.flags == ("--port", str(port), "--lowvram", "--base-directory", "../data")
    assert not run.process.marked


def test_a_program_is_named_as_it_was_called(tmp_path: Path) -> None:
    """Not by what a link points to: a virtual environment's interpreter is such a link."""
    link = tmp_path / "venv" / "bin" / "python"
    link.parent.mkdir(parents=True)
    link.symlink_to(sys.executable)

    assert running._program("venv/bin/python", tmp_path, None) == link
    assert running._program("python", tmp_path, str(link.parent)) == link
    assert running._program("venv/bin/none", tmp_path, None) is None


@pytest.mark.parametrize(("gpu", "torch"), [(True, True), (False, True), (False, False)])
async def test_an_interpreter_is_asked_for_torch_and_gpu(tmp_path: Path, *, gpu: bool, torch: bool) -> None:
    """And for what ComfyUI requires; one without torch says why."""
    python = Interpreter(interpreter(tmp_path / "python", torch=torch, gpu=gpu), "PATH")

    able = await ability(python, {"PATH": "/usr/bin:/bin"}, tmp_path, ["pytest", "no-such-distribution"])

    assert able.missing == ("no-such-distribution",)
    assert (able.torch, able.gpu) == (("2.9.0", gpu) if torch else (None, None))
    assert ("no torch here" in able.problem) is not torch


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exec sleep 1000", "within 0.2 s"),
        ("exec yes", "256 kB that are no answer"),
        ("exit 3", "ended with 3"),
        ("echo mcp_e2e:[", "did not answer"),
    ],
)
async def test_an_interpreter_that_does_not_answer(tmp_path: Path, script: str, said: str) -> None:
    """Is ended after its time, and nothing is raised."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    within_s = 0.2 if "sleep" in script else 20

    able = await ability(Interpreter(path, "PATH"), {"PATH": "/usr/bin:/bin"}, tmp_path, within_s=within_s)

    assert able.torch is None
    assert said in able.problem


async def test_an_interpreter_that_does_not_answer_is_ended_with_its_children(tmp_path: Path) -> None:
    """A wrapper's Python, a probe's helpers: none of them runs on."""
    path = tmp_path / "python"
    path.write_text("#!/bin/sh\nsleep 1000 & echo $! > child.tmp; mv child.tmp child; wait\n")
    path.chmod(0o755)
    env = {"PATH": "/usr/bin:/bin"}
    assert "within 2 s" in (await ability(Interpreter(path, "PATH"), env, tmp_path, within_s=2)).problem
    child = int((tmp_path / "child").read_text())
    with anyio.fail_after(10):
        while psutil.pid_exists(child):
            await anyio.sleep(0.02)


async def test_a_missing_interpreter_is_told(tmp_path: Path) -> None:
    """As the system words it."""
    assert "cannot be run" in (await ability(Interpreter(tmp_path / "no", "x"), {}, tmp_path)).problem


def test_requirements_are_the_distributions_of_every_system(tmp_path: Path) -> None:
    """Comments, options and what only some systems need are left out."""
    (tmp_path / "requirements.txt").write_text("# x\n-r y\ntorch\nnumpy>=1.25\nuvloop; sys_platform != 'win32'\n\n")
    assert installation.requirements(tmp_path) == ["torch", "numpy"]
