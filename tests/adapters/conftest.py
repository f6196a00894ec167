"""Servers for the adapter tests: the simulated ComfyUI always, the real one when MCP_E2E_COMFYUI_CMD names it."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from mcp_e2e.adapters.comfyui.workflow import Graph
from mcp_e2e.adapters.placeholders import fill

BOOT_LIMIT_S = 120.0


@dataclass(frozen=True)
class Backend:
    """A running server, and the work that every server of its kind can do."""

    kind: str
    url: str
    port: int
    outputs: Path
    process: subprocess.Popen[bytes]
    boot_s: float

    def saved(self) -> set[str]:
        return {path.name for path in self.outputs.rglob("*.png")}

    def slow(self, mark: int) -> Graph:
        """Work for half a minute or more that listens to an interrupt; ``mark`` makes it distinct."""
        if self.kind == "simulated":
            shape = {"seed": mark, "steps": 600, "seconds": 60, "width": 64, "height": 64}
            return graph(
                {"1": node("SimulatedSlow", **shape), "2": node("SaveImage", images=["1", 0], **prefix("slow"))}
            )
        nodes = {"0": node("EmptyImage", width=1024, height=1024, batch_size=1, color=mark)}
        for n in range(1, 120):
            nodes[str(n)] = node("ImageBlur", image=[str(n - 1), 0], blur_radius=31, sigma=10.0)
        return graph({**nodes, "200": node("SaveImage", images=["119", 0], **prefix("slow"))})


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def prefix(name: str) -> dict[str, str]:
    return {"filename_prefix": name}


def graph(nodes: dict[str, Any]) -> Graph:
    return Graph("test.json", nodes)


def picture(name: str, color: int = 0x336699) -> Graph:
    """The smallest graph that saves a file on every ComfyUI; no model needed."""
    empty = node("EmptyImage", width=64, height=48, batch_size=1, color=color)
    return graph({"1": empty, "2": node("SaveImage", images=["1", 0], **prefix(name))})


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def start(kind: str, command: str, folder: Path) -> Backend:
    """Spawn a server in its own process group and wait until it answers; it must be ended with ``end``."""
    port, outputs = free_port(), folder / "outputs"
    argv = fill(shlex.split(command), {"port": str(port), "outputs": str(outputs), "python": sys.executable})
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    began = time.monotonic()
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    try:
        while not answers(url):
            assert process.poll() is None, (folder / "server.log").read_text(errors="replace")[-2000:]
            assert time.monotonic() - began < BOOT_LIMIT_S, "the server did not come up"
            time.sleep(0.05)
    except BaseException:
        end(process)
        raise
    return Backend(kind, url, port, outputs, process, time.monotonic() - began)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/system_stats", trust_env=False, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


SIMULATED = "{python} -m mcp_e2e.demo.simulated_comfyui --port {port} --output-directory {outputs} --boot-seconds 0.1"


@pytest.fixture(scope="session", params=["simulated", pytest.param("real", marks=pytest.mark.comfyui)])
def comfyui(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """One server for all contract tests: ten seconds of boot are paid once."""
    kind: str = request.param
    command = SIMULATED if kind == "simulated" else os.environ.get("MCP_E2E_COMFYUI_CMD", "")
    if not command:
        pytest.skip("set MCP_E2E_COMFYUI_CMD to the start command of a real ComfyUI, with {port} and {outputs}")
    backend = start(kind, command, tmp_path_factory.mktemp(kind))
    yield backend
    end(backend.process)


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[Backend]:
    """A simulated server of one test's own, to be killed or filled at will."""
    backend = start("simulated", SIMULATED, tmp_path)
    yield backend
    end(backend.process)
