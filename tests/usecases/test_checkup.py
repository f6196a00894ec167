"""``doctor``: every kind of trouble is found, told with its fix, and nothing is changed by looking."""

import importlib.util
import os
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from mcp_e2e.adapters.editors.launch import Standing
from mcp_e2e.bootstrap import Options, open_app
from mcp_e2e.model.services import Device
from mcp_e2e.store.layout import Layout
from mcp_e2e.usecases import checkup
from mcp_e2e.usecases.checkup import State, machine, program, storage
from mcp_e2e.usecases.checkup import project as project_checks
from mcp_e2e.usecases.checkup.finding import Finding, note, ok
from mcp_e2e.usecases.editors import Sight

from .conftest import Servers

Examine = Callable[..., Awaitable[dict[str, list[Finding]]]]
FAR_S = 60.0
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def examine(project: Path, monkeypatch: pytest.MonkeyPatch) -> Examine:
    """The findings by group; the packages are not imported anew for each test."""

    async def no_imports(*_: object) -> list[Finding]:
        return [ok("imported elsewhere")]

    monkeypatch.setattr(checkup, "check_program", no_imports)

    async def call(within_s: float = checkup.WITHIN_S, **environ: str) -> dict[str, list[Finding]]:
        base = {"PATH": os.environ["PATH"], "HOME": str(project.parent)}
        async with open_app(Options(cwd=project), base | environ, settles=False, reads_only="once") as app:
            app.checkup._within_s = within_s
            return {group.title: list(group.findings) for group in await app.checkup.examine()}

    return call


def bad(findings: list[Finding]) -> list[tuple[State, str]]:
    return [(each.state, each.what) for each in findings if each.state in {State.WARNING, State.PROBLEM}]


def files(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


async def test_a_service_that_runs_is_told_and_nothing_is_touched(
    server: Servers, examine: Examine, project: Path
) -> None:
    """While a server works here, and once it is gone: no file comes, goes or changes by looking."""
    async with server(stops=False) as app:
        session = await app.sessions.start(app.caller, wait_seconds=30)
        found = await examine()
        assert found["Services"][0] == ok(f"service api is ready at {session.url}")
        assert any(each.what.startswith("at work on this project: claude (pid ") for each in found["State"])
        await app.sessions.stop(app.caller)

    before = files(project)
    found = await examine()
    assert files(project) == before
    assert found["Services"] == [ok("service api is not running")]
    assert found["Tests"] == [ok("3 of 3 tests have all they need")]
    assert [each for each in found["State"] if "database is sound" in each.what] != []
    assert bad([each for title in ("Configuration", "State", "Services", "Tests") for each in found[title]]) == []


async def test_a_new_project_is_not_touched_either(examine: Examine, project: Path) -> None:
    """No state folder is made, nor is one needed to look at a ComfyUI that never ran."""
    with (project / "mcp-e2e.toml").open("a") as config:
        config.write("[services.ui]\nkind = 'comfyui'\ncommand = ['sh', 'main.py']\nport = 0\n")
    before = files(project)
    found = await examine()
    assert files(project) == before
    assert found["Services"] == [ok("service api is not running"), ok("service ui is not running")]
    assert f"state folder {project / '.mcp-e2e'}: made at the first run" in [each.what for each in found["State"]]


async def test_what_keeps_services_and_tests_from_starting(examine: Examine, project: Path) -> None:
    """A program that is missing, a variable that is not set, a file that is not there: each by its name."""
    (project / "mcp-e2e.toml").write_text(
        "[services.api]\nkind = 'command'\ncommand = ['no-such-program']\nport = 0\nenv = { A = '${UNSET_HERE}' }\n"
        "[services.ui]\nkind = 'comfyui'\nurl = 'http://127.0.0.1:9'\n"
        "[[tests]]\nid = 'w'\nservice = 'ui'\nworkflow = 'gone.json'\n"
        "[[tests]]\nid = 'c'\ncommand = ['true']\nenv = { B = '${TOO}' }\n"
    )
    found = await examine()
    services, tests = (" | ".join(each.what for each in found[title]) for title in ("Services", "Tests"))

    assert "the program 'no-such-program' does not exist" in services
    assert "service api needs ${UNSET_HERE}, which is not set" in services
    assert "test w: the workflow file" in tests
    assert "test c: ${TOO} is not set" in tests
    assert found["Tests"][0] == note("0 of 2 tests have all they need")
    wrong = [each for each in found["Services"] + found["Tests"] if each.state is State.PROBLEM]
    assert len(wrong) == 4
    assert all(each.fix for each in wrong)


async def test_who_holds_a_port_and_an_address_where_nobody_answers(examine: Examine, project: Path) -> None:
    """The holder by name and number; the attached server by its address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (project / "mcp-e2e.toml").write_text(
            f"[services.api]\nkind = 'command'\ncommand = ['true']\nport = {port}\n"
            "[services.far]\nkind = 'comfyui'\nurl = 'http://127.0.0.1:9'\n"
        )
        found = await examine()
    told = dict(zip(("api", "far"), found["Services"], strict=False))

    assert told["api"].state is told["far"].state is State.WARNING
    assert f"port {port} is held by" in told["api"].what
    assert f"(pid {os.getpid()}," in told["api"].what
    assert "takes it over" not in told["api"].fix  # as a start says: only a ComfyUI can be proven to be the service
    assert "Nothing listens at http://127.0.0.1:9" in told["far"].what


async def test_a_broken_configuration_hides_nothing_else(examine: Examine, project: Path) -> None:
    """Its place is named; program, machine and editors are looked at all the same."""
    (project / "mcp-e2e.toml").write_text("[services.api]\nkind = 'command'\ncomand = ['x']\n")
    found = await examine()
    assert [state for state, _ in bad(found["Configuration"])] == [State.PROBLEM]
    assert "line 3" in found["Configuration"][0].what
    assert {"Program", "GPU", "Tools", "Commands", "State", "Editors"} <= set(found)
    assert "Services" not in found


async def test_outside_of_a_project_there_is_still_a_program(examine: Examine, project: Path) -> None:
    """The home folder is none."""
    found = await examine(HOME=str(project))
    assert "your home folder, which is never a project" in found["Configuration"][0].what
    assert "Editors" not in found
    assert found["Commands"] != []


async def test_a_check_that_breaks_hides_nothing_else(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it raises is told in its place."""

    def breaks(_: Path) -> list[Finding]:
        raise RuntimeError("out of order")

    monkeypatch.setattr(checkup, "check_storage", breaks)
    found = await examine()
    assert bad(found["State"]) == [(State.WARNING, "State could not be looked at: RuntimeError: out of order")]
    assert found["Tests"] == [ok("3 of 3 tests have all they need")]


async def test_a_check_that_hangs_is_given_up(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, and the others answer."""

    async def hangs(*_: object) -> list[Finding]:
        await anyio.sleep_forever()
        return []

    monkeypatch.setattr(checkup, "check_gpu", hangs)
    found = await examine(within_s=0.2)
    assert bad(found["GPU"]) == [(State.WARNING, "GPU could not be looked at within 0.2 s")]


@pytest.fixture
async def state(server: Servers, project: Path) -> Layout:
    """A state folder as a server leaves it."""
    async with server() as app:
        await app.status.show(app.caller)
    return Layout(project / ".mcp-e2e")


async def test_an_open_breaker_is_told(server: Servers, project: Path) -> None:
    """With the command that shows why."""
    async with server() as app:
        await app.breaker.lock(app.caller, reason="look at this")
    (told,) = [each for each in storage.check_storage(project / ".mcp-e2e") if "the breaker is" in each.what]
    assert told.state is State.WARNING
    assert told.fix.endswith("mcp-e2e breaker status")


async def test_a_damaged_database_is_told_and_left(state: Layout) -> None:
    """Setting it aside is for the next command that works with it."""
    state.database.write_bytes(b"no database" * 100)
    (told,) = [each for each in storage.check_storage(state.root) if "is damaged: " in each.what]
    assert told.state is State.PROBLEM
    assert state.database.read_bytes() == b"no database" * 100


async def test_a_lost_database_and_a_newer_one_are_told(state: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither can be gone on with as if nothing had happened."""
    monkeypatch.setattr("mcp_e2e.store.examining.scripts", list)
    assert "a newer version wrote it" in " ".join(what for _, what in bad(storage.check_storage(state.root)))
    state.database.unlink()
    assert "is gone" in " ".join(what for _, what in bad(storage.check_storage(state.root)))


@pytest.mark.skipif(sys.platform == "win32", reason="rights of POSIX")
async def test_rights_space_and_file_system_of_the_state_folder(state: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open to others, nearly full, on a network."""
    state.private.chmod(0o755)
    monkeypatch.setattr(storage, "LITTLE", 1 << 62)
    monkeypatch.setattr(storage, "shared_file_system", lambda _: "nfs4")
    told = bad(storage.check_storage(state.root))
    assert (State.WARNING, f"{state.private} is open to other users (mode 0755)") in told
    assert [state for state, what in told if "lies on nfs4" in what] == [State.PROBLEM]
    assert [state for state, what in told if "MiB are free" in what] == [State.WARNING]
    monkeypatch.setattr(storage, "TOO_LITTLE", 1 << 62)
    told = bad(storage.check_storage(state.root))
    assert [state for state, what in told if "MiB are free" in what] == [State.PROBLEM]
    state.private.chmod(0o700)


def test_a_state_folder_that_cannot_be_one_is_told(tmp_path: Path) -> None:
    """A file stands where its private part must be: no command works with that."""
    (tmp_path / "private").touch()
    assert (State.PROBLEM, f"{tmp_path / 'private'} is no folder") in bad(storage.check_storage(tmp_path))


@pytest.mark.skipif(sys.platform == "win32", reason="rights of POSIX")
def test_a_fix_can_be_typed_as_it_is(tmp_path: Path) -> None:
    """On a path with what a shell takes for its own, too."""
    folder = tmp_path / "it's mine" / "private"
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    (fix,) = [each.fix for each in storage.check_storage(folder.parent) if "open to other" in each.what]
    subprocess.run(fix, shell=True, check=True, timeout=50)
    assert folder.stat().st_mode & 0o777 == 0o700


async def test_a_package_that_breaks_is_named(tmp_path: Path) -> None:
    """One that is found, has the right version, and cannot be imported."""
    (tmp_path / "PIL.py").write_text("raise ImportError('libjpeg is missing')")
    found = await program.check_program({**os.environ, "PYTHONPATH": str(tmp_path)}, FAR_S)
    assert bad(found) == [(State.PROBLEM, "a package cannot be imported: ImportError: libjpeg is missing")]
    assert {program.module(name) for name in program.requirements()} >= {"mcp", "PIL", "httpx_ws", "tree_sitter_bash"}


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="it is installed in no virtual environment")
async def test_a_path_that_gives_tests_our_own_python_is_told(tmp_path: Path) -> None:
    """Whoever put this program's folder on the PATH has its python3 before their own."""
    own = str(Path(sys.executable).parent)
    told = [each.what for each in await program.check_tools({"PATH": f"{own}:/usr/bin"}, tmp_path, FAR_S)]
    assert [what for what in told if "get mcp-e2e's own" in what and own in what] != []
    told = [each.what for each in await program.check_tools({"PATH": "/usr/bin"}, tmp_path, FAR_S)]
    assert [what for what in told if "own" in what] == []


def test_every_declared_package_is_known_by_the_name_it_is_imported_as() -> None:
    """As pyproject.toml declares it, whatever was installed when: a sound installation has no problem."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    names = [re.split(r"[<>=]", line)[0] for line in declared]

    assert [name for name in names if importlib.util.find_spec(program.module(name)) is None] == []


async def test_a_package_of_another_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what is installed and what is needed."""
    real = program.metadata.version
    monkeypatch.setattr(program.metadata, "version", lambda name: "3.0" if name == "mcp" else real(name))
    told = bad(await program.check_program(os.environ, FAR_S))
    assert [what.split(" is installed")[0] for _, what in told] == ["mcp 3.0"]


@pytest.mark.parametrize(
    ("version", "bounds", "holds"),
    [
        ("2.3.1", ">=2.3,<2.4", True),
        ("2.4.0", "<2.4,>=2.3", False),
        ("2.2.9", ">=2.3,<2.4", False),
        ("2.10", ">=2.3,<3", True),
        ("2024.11.6", ">=2024.11.6", True),
        ("1", "", True),
    ],
)
def test_versions_are_numbers(version: str, bounds: str, holds: bool) -> None:
    """Not texts."""
    assert program.within(version, bounds) is holds


async def test_a_graphics_card_is_told_by_the_service_or_the_driver(tmp_path: Path) -> None:
    """The one that answers; a driver that fails, and none at all, are notes."""
    assert machine.gpu_of(Device("cuda:0 X", 8 << 30, 2 << 30)) == ok("cuda:0 X: 2,048 MiB of 8,192 MiB free")
    tool = tmp_path / "nvidia-smi"
    for script, state, what in (
        ("echo 'X, 8192 MiB, 1 MiB, 570'", State.OK, "GPU X, 8192 MiB, 1 MiB, 570"),
        ("echo 'No devices were found'; exit 6", State.NOTE, "No devices were found"),
    ):
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
        (found,) = await machine.check_gpu({"PATH": f"{tmp_path}:/bin"}, FAR_S)
        assert (found.state, what in found.what) == (state, True)
    (found,) = await machine.check_gpu({"PATH": str(tmp_path / "none")}, FAR_S)
    assert found.state in {State.NOTE, State.OK}


async def test_layers_that_do_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """A note where what there is is taken, a problem where they are required, nothing tried where they are off."""
    monkeypatch.setattr(machine.sandbox, "tried_now", lambda _: {"mounts": None, "landlock": "old kernel"})
    assert [each.state for each in await machine.check_sandbox("auto", 1.0)] == [State.OK, State.NOTE]
    assert [each.state for each in await machine.check_sandbox("required", 1.0)] == [State.OK, State.PROBLEM]
    assert [each.state for each in await machine.check_sandbox("off", 1.0)] == [State.NOTE]


def test_what_the_editors_entries_do() -> None:
    """One that leads nowhere is a problem; one for something else is not; none is a note with the command."""
    sights = [Sight("claude", "Claude Code", Path("f"), standing, "does so") for standing in Standing]
    sights.append(Sight("codex", "Codex", Path("g"), said="g, line 1: broken"))
    sights.append(Sight("codex", "Codex", Path("g"), Standing.ELSEWHERE, "does so", users=True))
    assert [
        (sight.standing, each.state) for sight, each in zip(sights, project_checks.check_editors(sights), strict=True)
    ] == [
        (Standing.RIGHT, State.OK),
        (Standing.OTHER, State.WARNING),
        (Standing.ELSEWHERE, State.PROBLEM),
        (Standing.WRONG, State.PROBLEM),
        (Standing.FOREIGN, State.NOTE),
        (None, State.WARNING),
        (Standing.ELSEWHERE, State.NOTE),
    ]
    assert next(each.fix for each in project_checks.check_editors([Sight("claude", "C", Path("f"))])).startswith(
        "mcp-e2e install claude"
    )


def test_the_users_own_file_is_mended_where_it_is() -> None:
    """The project's one would leave it as wrong as it was."""
    for standing in (Standing.WRONG, Standing.OTHER, Standing.FOREIGN):
        sight = Sight("codex", "Codex", Path("g"), standing, "does so", users=True)
        assert project_checks.check_editors([sight])[0].fix.startswith("mcp-e2e install codex --user")
