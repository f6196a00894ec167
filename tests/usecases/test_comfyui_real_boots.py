"""Boots, adoption and neighbours of a real ComfyUI, whose start command MCP_E2E_COMFYUI_CMD gives."""

import json
import os
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import psutil
import pytest

from mcp_e2e.adapters.comfyui.flags import main_py
from mcp_e2e.adapters.placeholders import fill
from mcp_e2e.bootstrap import App
from mcp_e2e.process.probes import free_port
from tests.usecases.conftest import Servers
from tests.usecases.stand_in import answers

REAL = os.environ.get("MCP_E2E_COMFYUI_CMD")
WAIT_S = 240.0
pytestmark = [
    pytest.mark.comfyui,
    pytest.mark.skipif(REAL is None, reason="MCP_E2E_COMFYUI_CMD names no real ComfyUI"),
    pytest.mark.timeout(600),
]
SLOW_NODE = """
import pathlib, time
print("### Loading: slow pack", flush=True)
while not pathlib.Path({go!r}).exists():
    time.sleep(0.02)
NODE_CLASS_MAPPINGS = {{}}
"""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], str]:
    """The command that the given one ends up with, a wrapper's too, and its PYTHONPATH: it is ended at once."""
    outputs = tmp_path_factory.mktemp("wrapper") / "outputs"
    argv = fill(shlex.split(str(REAL)), {"port": str(free_port()), "outputs": str(outputs)})
    process = psutil.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            assert time.monotonic() < deadline
            for each in (process, *process.children(recursive=True)):
                if main_py(words := each.cmdline()):
                    return words, each.environ().get("PYTHONPATH", "")
            time.sleep(0.02)
    finally:
        for each in (*process.children(recursive=True), process):
            each.kill()
        process.wait(10)


class Place:
    """A base directory of its own, and the command that starts the real one on it."""

    def __init__(self, started: tuple[list[str], str], folder: Path, name: str) -> None:
        words, self.path = started
        self.base, self.name, self.port = folder / f"base-{name}", name, free_port()
        for part in ("custom_nodes", "models", "input", "output", "user"):
            (self.base / part).mkdir(parents=True)
        own = {
            "--port": "{port}",
            "--output-directory": "{outputs}",
            "--base-directory": str(self.base),
            "--database-url": f"sqlite:///{self.base}/user/comfyui.db",
        }
        self.command = [own.get(words[at - 1], word) for at, word in enumerate(words)]

    def config(self, *more: str, lines: str = "") -> str:
        return (
            f'[services.{self.name}]\nkind = "comfyui"\ncommand = {json.dumps([*self.command, *more])}\n'
            f"port = {self.port}\nenv = {{ PYTHONPATH = {json.dumps(self.path)} }}\nstop_grace_s = 3\n{lines}"
        )

    @contextmanager
    def by_hand(self, cwd: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
        values = {"port": str(self.port), "outputs": str(self.base / "output")}
        environ = {**os.environ, "PYTHONPATH": self.path}
        command = [*fill(self.command, values), *more]
        process = subprocess.Popen(command, cwd=cwd, env=environ, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + WAIT_S
            while not answers(self.port):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield process
        finally:
            process.kill()
            process.wait(10)


@pytest.fixture
def place(started: tuple[list[str], str], project: Path) -> Place:
    return Place(started, project, "comfyui")


def write(project: Path, text: str) -> None:
    (project / "mcp-e2e.toml").write_text(text)


async def seen_until(app: App, last: str) -> set[str]:
    """Every stage that is told until ``last``."""
    stages: set[str] = set()
    with anyio.fail_after(WAIT_S):
        while last not in stages:
            now = await app.sessions.start(app.caller, wait_seconds=0)
            assert now.state in {"starting", "ready"}, now
            stages.add(now.stage)
            await anyio.sleep(0.05)
    return stages


async def test_a_real_boot_tells_its_stages_and_the_nodes_that_failed(
    server: Servers, project: Path, place: Place
) -> None:
    """Importing, then custom nodes for as long as one holds it up; ready with version, device and what failed."""
    nodes = place.base / "custom_nodes"
    (nodes / "a_broken.py").write_text("import no_such_module_here\n")
    (nodes / "z_slow.py").write_text(SLOW_NODE.format(go=str(project / "go")))
    write(project, place.config())
    async with server() as app:
        stages = await seen_until(app, "loading custom nodes: ### Loading: slow pack")
        assert "importing" in stages
        (project / "go").touch()
        ready = await app.sessions.start(app.caller, wait_seconds=WAIT_S)
        assert (ready.state, ready.stage) == ("ready", "ready"), ready
        assert ready.failed_nodes == ["a_broken.py: No module named 'no_such_module_here'"]
        assert ready.version
        assert ready.device is not None


async def test_a_real_one_started_by_hand_is_adopted_and_outlives_us(
    server: Servers, project: Path, place: Place
) -> None:
    """The flags that differ are listed; stop_session lets it go; its end is told, and what comes next is our own."""
    write(project, place.config())
    async with server() as app:
        with place.by_hand(project, "--cache-none") as hand:
            adopted = await app.sessions.start(app.caller, wait_seconds=WAIT_S)
            assert (adopted.state, adopted.adopted, adopted.pid) == ("ready", True, hand.pid)
            assert adopted.differs is not None
            assert [line.split(" ")[0] for line in adopted.differs] == ["--cache-none,", "--output-directory"]
            assert (await app.sessions.stop(app.caller)).stage == "let go: it is not ours to stop"
            assert answers(place.port)
            assert (await app.sessions.start(app.caller)).pid == hand.pid
        (gone,) = (await app.status.show(app.caller)).services
        assert gone["state"] == "failed"
        own = await app.sessions.start(app.caller, wait_seconds=WAIT_S)
        assert (own.state, own.adopted) == ("ready", False)


async def test_two_real_ones_run_side_by_side(
    server: Servers, project: Path, place: Place, started: tuple[list[str], str]
) -> None:
    """Each with its own port, folders and database: both ready, each answers for itself, no warning of shared ones."""
    second = Place(started, project, "second")
    write(project, place.config() + second.config())
    async with server() as app:
        try:
            async with anyio.create_task_group() as both:
                for name in ("comfyui", "second"):
                    both.start_soon(lambda name=name: app.sessions.start(app.caller, service=name, wait_seconds=WAIT_S))
            status = await app.status.show(app.caller)
        finally:
            await app.sessions.stop(app.caller, service="second")
    assert [(each["state"], each["url"][-5:]) for each in status.services] == [
        ("ready", str(place.port)[-5:]),
        ("ready", str(second.port)[-5:]),
    ]
    assert len({each["pid"] for each in status.services}) == 2
    assert [line for line in status.warnings if "services comfyui and second" in line] == []


async def test_a_real_start_that_fails_says_why(server: Servers, project: Path, place: Place) -> None:
    """A flag that it does not know, a folder that is missing, a port that was taken meanwhile."""
    never = 'restart = "never"\n'
    async with server(stops=False) as app:
        write(project, place.config("--cache-nine"))
        failed = await app.sessions.start(app.caller, wait_seconds=WAIT_S)
        assert failed.cause
        assert "does not know --cache-nine (nearest: --cache-none)" in failed.cause

        (place.base / "custom_nodes").rmdir()
        write(project, place.config(lines=never))
        failed = await app.sessions.start(app.caller, wait_seconds=WAIT_S)
        assert failed.cause
        assert f"the folder {place.base / 'custom_nodes'} is missing" in failed.cause

        (place.base / "custom_nodes").mkdir()
        await app.sessions.start(app.caller, wait_seconds=0)
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", place.port))
            taken.listen()
            failed = await app.sessions.start(app.caller, wait_seconds=WAIT_S)
        assert failed.state == "failed"
        assert f"port {place.port} was taken by another program" in (failed.cause or "")
