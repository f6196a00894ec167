"""A ComfyUI that runs on the service's port already: adopted where it is provably this service, else named."""

import json
import shutil
import sys
from pathlib import Path

import anyio
import pytest

from mcp_e2e.adapters.comfyui.looking import look
from mcp_e2e.errors import Forbidden, PortTaken
from mcp_e2e.process.probes import free_port
from mcp_e2e.store import sessions
from tests.usecases.conftest import Servers
from tests.usecases.stand_in import MAIN, OTHER_ARGV, answers, by_hand, configure


@pytest.fixture
def port() -> int:
    return free_port()


async def test_one_started_by_hand_is_adopted_used_and_let_go(server: Servers, project: Path, port: int) -> None:
    """Same program, folder and port: its session, with the flags that differ; it lives on after stop_session."""
    configure(project, port=port)
    with by_hand(project / "comfy", port, "--run-seconds", "0") as hand:
        async with server(stops=False) as app, server(client="cursor", stops=False) as other:
            adopted = await app.sessions.start(app.caller)
            assert (adopted.state, adopted.adopted, adopted.pid) == ("ready", True, hand.pid)
            outputs = project / ".mcp-e2e/outputs/comfyui"
            assert adopted.differs == [
                f"no --output-directory, configured: --output-directory {outputs}",
                "--run-seconds 0, configured: no --run-seconds",
            ]
            joined = await other.sessions.start(other.caller)
            assert (joined.adopted, joined.pid, joined.generation) == (True, hand.pid, adopted.generation)
            with pytest.raises(Forbidden, match="service comfyui, which somebody else started"):
                await app.execs.run(app.caller, command=f"kill -9 {hand.pid}")
            gone = await app.sessions.stop(app.caller)
            assert (gone.state, gone.stage) == ("stopped", "let go: it is not ours to stop")
            assert (await other.status.show(other.caller)).services[0]["state"] == "stopped"
        assert hand.poll() is None
        assert answers(port)


async def test_a_test_runs_on_an_adopted_one_and_nothing_of_it_is_cleaned(
    server: Servers, project: Path, port: int
) -> None:
    """Its outputs are its own: two attempts leave two files there, though they are what we made."""
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 48, "batch_size": 1, "color": 7}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "mine"}},
    }
    (project / "picture.json").write_text(json.dumps(graph))
    configure(project, port=port, more='[[tests]]\nid = "picture"\nworkflow = "picture.json"\n')
    own = project / "its own"
    with by_hand(project / "comfy", port, "--output-directory", str(own)):
        async with server(stops=False) as app:
            for _ in range(2):
                attempt = await app.attempts.run(app.caller, test="picture", wait_seconds=30)
                assert attempt.verdict == "passed", attempt
            assert (await app.sessions.start(app.caller)).adopted
            row = await app._place.run(lambda con: sessions.get(con, "comfyui"))
            assert row is not None
            assert row.outputs == own
    assert len(list(own.rglob("*.png"))) == 2


async def test_an_adopted_one_that_dies_is_told_and_the_next_start_is_our_own(
    server: Servers, project: Path, port: int
) -> None:
    """Nobody restarts what is not ours; then it is started here, as the next generation."""
    configure(project, port=port)
    async with server() as app:
        with by_hand(project / "comfy", port) as hand:
            first = await app.sessions.start(app.caller)
        (gone,) = (await app.status.show(app.caller)).services
        assert (gone["state"], gone["adopted"]) == ("failed", True)
        assert f"the adopted ComfyUI (pid {hand.pid}) has ended" in gone["cause"]
        own = await app.sessions.start(app.caller)
        assert (own.state, own.adopted, own.generation) == ("ready", False, first.generation + 1)
        assert own.pid != hand.pid


async def test_who_answers_on_the_port_of_a_dead_adopted_one_is_looked_at_anew(
    server: Servers, project: Path, port: int
) -> None:
    """A second one by hand is another process: adopted by its own facts, not by the first one's."""
    configure(project, port=port)
    async with server(stops=False) as app:
        with by_hand(project / "comfy", port) as hand:
            first = await app.sessions.start(app.caller)
        with by_hand(project / "comfy", port, "--run-seconds", "0") as again:
            assert (await app.status.show(app.caller)).services[0]["state"] == "failed"
            second = await app.sessions.start(app.caller)
    assert (first.pid, second.pid) == (hand.pid, again.pid)
    assert second.generation == first.generation + 1


CHANGES_ARGV = """
import pathlib, sys, threading, time
def change():
    while not pathlib.Path("odd").exists():
        time.sleep(0.02)
    sys.argv[1:] = ["--odd"]
threading.Thread(target=change, daemon=True).start()
"""


async def test_an_adopted_one_whose_argv_is_changed_later_stays_itself(
    server: Servers, project: Path, port: int
) -> None:
    """A node that runs may write sys.argv; it is the same process, alone on the port."""
    configure(project, port=port)
    (project / "comfy/main.py").write_text(CHANGES_ARGV + MAIN)
    with by_hand(project / "comfy", port) as hand:
        async with server(stops=False) as app:
            await app.sessions.start(app.caller)
            (project / "comfy/odd").touch()
            with anyio.fail_after(10):
                while (await look(f"http://127.0.0.1:{port}")).argv != ("main.py", "--odd"):
                    await anyio.sleep(0.02)
            now = await app.sessions.start(app.caller)
    assert (now.state, now.adopted, now.pid) == ("ready", True, hand.pid)


def elsewhere(project: Path) -> Path:
    folder = project / "elsewhere"
    return Path(shutil.copytree(project / "comfy", folder))


async def refused(server: Servers) -> PortTaken:
    async with server(stops=False) as app:
        with pytest.raises(PortTaken) as told:
            await app.sessions.start(app.caller)
        assert (await app.status.show(app.caller)).services[0]["state"] == "stopped"
    return told.value


async def test_another_folders_comfyui_is_named_and_left_alone(server: Servers, project: Path, port: int) -> None:
    """Program, pid, folder, version, why it is not this service, and the line to write."""
    configure(project, port=port)
    folder = elsewhere(project)
    with by_hand(folder, port) as hand:
        told = await refused(server)
        assert hand.poll() is None
    assert f"(pid {hand.pid}, in {folder})" in told.message
    assert f"ComfyUI 0.0.0-simulated, not provably this service, for it runs {folder / 'main.py'}" in told.message
    assert f'url = "http://127.0.0.1:{port}" in [services.comfyui]' in told.advice


async def test_the_same_program_started_in_another_folder_is_not_adopted(
    server: Servers, project: Path, port: int
) -> None:
    """Its relative paths mean something else."""
    configure(project, port=port)
    with by_hand(project, port, script="comfy/main.py"):
        told = await refused(server)
    assert f"it was started in {project}, the service starts in {project / 'comfy'}" in told.message


async def test_another_interpreter_is_not_adopted(server: Servers, project: Path, port: int) -> None:
    """The same binary from another environment has other packages."""
    configure(project, port=port)
    other = project / "venv/bin/python"
    other.parent.mkdir(parents=True)
    other.symlink_to(Path(sys.executable).resolve())
    text = (project / "mcp-e2e.toml").read_text().replace(sys.executable, str(other))
    (project / "mcp-e2e.toml").write_text(text)
    with by_hand(project / "comfy", port):
        told = await refused(server)
    assert f"its interpreter is {sys.executable}, the service's {other}" in told.message


async def test_one_that_lies_about_its_argv_is_not_adopted(server: Servers, project: Path, port: int) -> None:
    """What answers has to say of itself what the process that listens was started with."""
    configure(project, port=port)
    (project / "comfy/main.py").write_text(OTHER_ARGV)
    with by_hand(project / "comfy", port):
        told = await refused(server)
    assert "what answers was not started as the process that listens" in told.message


async def test_a_service_of_this_project_on_the_port_is_not_adopted_by_another(
    server: Servers, project: Path, port: int
) -> None:
    """Two services on one port: the second is told which one has it."""
    configure(project, port=port)
    text = (project / "mcp-e2e.toml").read_text()
    (project / "mcp-e2e.toml").write_text(text + text.replace("[services.comfyui]", "[services.second]"))
    async with server() as app:
        await app.sessions.start(app.caller)
        with pytest.raises(PortTaken, match="as service comfyui of this project"):
            await app.sessions.start(app.caller, service="second")


async def test_status_tells_other_comfyuis_and_what_is_shared(server: Servers, project: Path, port: int) -> None:
    """Another one that runs here, and each folder that two of them would write to, with the flag for it."""
    configure(project, port=free_port())
    folder = elsewhere(project)
    text = (project / "mcp-e2e.toml").read_text()
    both = text + text.replace("[services.comfyui]", "[services.second]").replace('cwd = "comfy"', 'cwd = "elsewhere"')
    (project / "mcp-e2e.toml").write_text(both)
    with by_hand(folder, port, "--output-directory", str(project / "out")) as hand:
        async with server(stops=False) as app:
            warnings = (await app.status.show(app.caller)).warnings
    who = f"service second and the ComfyUI with pid {hand.pid} share"
    assert f"another ComfyUI runs on this machine: http://127.0.0.1:{port} (pid {hand.pid}, in {folder})" in warnings
    assert f"{who} the temp folder {folder / 'temp'}, which each start deletes: " in "\n".join(warnings)
    assert f"{who} the database sqlite:///{folder / 'user/comfyui.db'}" in "\n".join(warnings)
    assert len([line for line in warnings if line.startswith(who)]) == 2


async def test_two_services_of_one_folder_are_warned_of(server: Servers, project: Path) -> None:
    """Own outputs by {outputs}, but one temp folder and one database."""
    configure(project)
    text = (project / "mcp-e2e.toml").read_text()
    (project / "mcp-e2e.toml").write_text(text + text.replace("[services.comfyui]", "[services.second]"))
    async with server(stops=False) as app:
        warnings = (await app.status.show(app.caller)).warnings
    shared = [line for line in warnings if line.startswith("services comfyui and second share")]
    assert [("temp folder" in line, "database" in line) for line in shared] == [(True, False), (False, True)]
