"""How a ComfyUI comes up: its stages, what failed to load, why it ended, and whose answer counts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from mcp_e2e.bootstrap import App
from mcp_e2e.model.answers import SessionAnswer
from mcp_e2e.process.probes import free_port
from tests.usecases.conftest import Servers
from tests.usecases.stand_in import FLAGS, MAIN, OTHER_ARGV, answers, by_hand, configure

GREEN, RESET = "\x1b[32m", "\x1b[0m"
IMPORTS = "Import times for custom nodes:\n   0.0 seconds (IMPORT FAILED): /base/custom_nodes/pack two\n"
CANNOT = "Cannot import /base/custom_nodes/broken.py module for custom nodes: No module named 'nope'\n"


async def until(app: App, wanted: Callable[[SessionAnswer], Any]) -> SessionAnswer:
    with anyio.fail_after(20):
        while not wanted(now := await app.sessions.start(app.caller, wait_seconds=0)):
            assert now.state == "starting", now
            await anyio.sleep(0.02)
    return now


@pytest.mark.parametrize("prefix", ["", f"{GREEN}[INFO]{RESET} "])
async def test_stages_and_failed_nodes_come_from_its_own_log(server: Servers, project: Path, prefix: str) -> None:
    """Importing, custom nodes with what they say, the database: each while it lasts; then ready, with what failed."""
    go = [project / f"go{n}" for n in range(4)]
    lines = [
        f"{prefix}pytorch version: 2.13.0+cpu\nawait {go[0]}",
        f"{prefix}[Prompt Server] web root: /front\n### Loading: Some Pack\nawait {go[1]}",
        f"{prefix}{CANNOT}{prefix}{IMPORTS}await {go[2]}",
        f"{prefix}Context impl SQLiteImpl.\nawait {go[3]}",
    ]
    configure(project, "\n".join(lines))
    stages = [
        "importing",
        "loading custom nodes: ### Loading: Some Pack",
        "custom nodes loaded",
        "preparing the database",
    ]
    async with server() as app:
        for gate, stage in zip(go, stages, strict=True):
            await until(app, lambda now, stage=stage: now.stage == stage)
            gate.touch()
        ready = await app.sessions.start(app.caller)
        assert (ready.state, ready.stage) == ("ready", "ready")
        assert ready.failed_nodes == ["broken.py: No module named 'nope'", "pack two"]
        status = await app.status.show(app.caller)
        assert status.services[0]["failed_nodes"] == ready.failed_nodes


async def test_a_server_that_comes_later_reads_the_start_of_a_long_log(server: Servers, project: Path) -> None:
    """Failed nodes stand at the beginning of what the generation wrote, however much came after."""
    configure(project, CANNOT + "talk of a running server\n" * 20_000)
    async with server() as app:
        await app.sessions.start(app.caller)
        async with server(client="cursor", stops=False) as other:
            joined = await other.sessions.start(other.caller)
    assert joined.failed_nodes == ["broken.py: No module named 'nope'"]


async def test_a_log_that_says_nothing_leaves_the_closed_port(server: Servers, project: Path) -> None:
    """With --verbose ERROR there is no line at all until it answers."""
    configure(project, f"await {project / 'go'}")
    async with server() as app:
        starting = await app.sessions.start(app.caller, wait_seconds=0.3)
        assert (starting.state, starting.stage) == ("starting", "port closed")
        (project / "go").touch()
        assert (await app.sessions.start(app.caller)).state == "ready"


async def test_one_that_listens_elsewhere_is_told_where(server: Servers, project: Path) -> None:
    """Its own log says the port it took: the command lacks {port}."""
    port = free_port()
    configure(project, flags=["--port", str(port), "--output-directory", "{outputs}"])
    async with server() as app:
        now = await until(app, lambda now: now.cause)
    assert f"it listens on port {port}, not on " in now.cause
    assert "{port}" in now.cause


USAGE = "usage: main.py [-h] [--lowvram]\n               [--base-directory BASE_DIRECTORY]\nmain.py: error: "
ENDS = {
    "does not know --low-vram (nearest: --lowvram)": f"{USAGE}unrecognized arguments: --low-vram\nexit 2",
    "--base-directory: expected one argument;": f"{USAGE}argument --base-directory: expected one argument\nexit 2",
    "its web interface is missing": "***\n\ncomfyui-frontend-package is not installed.\n\n***\nexit 255",
}


@pytest.mark.parametrize("cause", ENDS)
async def test_a_start_that_can_only_fail_again_says_why_at_once(server: Servers, project: Path, cause: str) -> None:
    """Exit 2 and 255 are not tried again, and the true cause stands beside the exit code."""
    configure(project, ENDS[cause])
    async with server(stops=False) as app:
        failed = await app.sessions.start(app.caller)
    assert failed.state == "failed"
    assert "which is not tried again: " in (failed.cause or "")
    assert cause in (failed.cause or "")


async def test_why_it_died_is_told_while_the_next_life_waits(server: Servers, project: Path) -> None:
    """What may pass is tried again, and the reason of the last death is known meanwhile and after."""
    configure(project, "ModuleNotFoundError: No module named 'torchsde'\nexit 1", more="max_restarts = 2\n")
    async with server(stops=False) as app:
        waiting = await until(app, lambda now: "restarting" in now.stage)
        failed = await app.sessions.start(app.caller)
    assert "'torchsde'" not in (waiting.cause or "")
    assert "the Python module torchsde is missing" in (waiting.cause or "")
    assert (failed.cause or "").startswith(
        "it died 3 times, last with exit code 1; restarts are used up: the Python module"
    )


async def test_a_strangers_answer_is_not_taken_for_ours(server: Servers, project: Path) -> None:
    """Ours listens on the same port of another address: the port is its own, and the answer is not."""
    port = free_port()
    configure(project, f"await {project / 'go'}", port=port, flags=["--listen", "127.0.0.2", *FLAGS])
    other = project / "other"
    other.mkdir()
    (other / "main.py").write_text(MAIN)
    (other / "boot.txt").touch()
    async with server() as app:
        await app.sessions.start(app.caller, wait_seconds=0)
        with by_hand(other, port) as stranger:
            (project / "go").touch()
            with anyio.fail_after(20):
                while not answers(port, "127.0.0.2"):
                    await anyio.sleep(0.02)
            now = await app.sessions.start(app.caller, wait_seconds=1)
            assert (now.state, now.stage) == ("starting", "another program answers on the port")
            assert f"(pid {stranger.pid}, in {other})" in (now.cause or "")


async def test_changed_argv_of_the_only_listener_is_still_ours(server: Servers, project: Path) -> None:
    """A custom node may change sys.argv: nobody else listens there, so it is our process that answers."""
    configure(project)
    (project / "comfy/main.py").write_text(OTHER_ARGV)
    async with server() as app:
        assert (await app.sessions.start(app.caller)).state == "ready"
