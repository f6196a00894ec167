"""Servers for the adapter tests: the simulated ComfyUI always, the real one when MCP_E2E_COMFYUI_CMD names it.

That command must listen on {port} and save below {outputs}, a new folder that it is known by; its other folders are its
own business. Run the real ones with ``-n 0``: every worker would start its own.
"""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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
    family: str  # "0.3", "0.9" or "0.33": the nearest version whose wire is known

    def saved(self) -> set[str]:
        return {path.name for path in self.outputs.rglob("*.png")}

    def slow(self, mark: int) -> Graph:
        """Work for half a minute or more that listens to an interrupt; ``mark`` makes it distinct. Node 0 is quick."""
        if self.kind == "simulated":
            shape = {"seed": mark, "steps": 600, "seconds": 60, "width": 64, "height": 64}
            nodes = {"0": node("CheckpointLoaderSimple", ckpt_name="simulated-tiny.safetensors")}
            nodes["1"] = node("SimulatedSlow", model=["0", 0], **shape)
            return graph({**nodes, "2": node("SaveImage", images=["1", 0], **prefix("slow"))})
        nodes = {"0": node("EmptyImage", width=1024, height=1024, batch_size=1, color=mark)}
        for n in range(1, 120):
            nodes[str(n)] = node("ImageBlur", image=[str(n - 1), 0], blur_radius=31, sigma=10.0)
        return graph({**nodes, "200": node("SaveImage", images=["119", 0], **prefix("slow"))})

    def loading(self, name: str) -> Graph:
        """Work whose node 1 loads a model (on a real one a VAE that needs no file), and whose node 4 saves."""
        if self.kind == "simulated":
            nodes = {
                "1": node("CheckpointLoaderSimple", ckpt_name="simulated-tiny.safetensors"),
                "2": node("SimulatedSlow", model=["1", 0], seed=1, steps=1, seconds=0, width=64, height=64),
                "3": node("ImageScale", image=["2", 0], **SCALED),
            }
        else:
            nodes = {
                "1": node("VAELoader", vae_name="pixel_space"),
                "2": node("VAEEncode", pixels=["5", 0], vae=["1", 0]),
                "3": node("VAEDecode", samples=["2", 0], vae=["1", 0]),
                "5": picture("").nodes["1"],
            }
        return graph({**nodes, "4": node("SaveImage", images=["3", 0], **prefix(name))})


SCALED = {"upscale_method": "nearest-exact", "width": 32, "height": 32, "crop": "disabled"}


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


def start(command: str, folder: Path) -> Backend:
    """Spawn a server in its own process group and wait until it answers; it must be ended with ``end``."""
    folder.mkdir(exist_ok=True)
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
        while (system := answered(url)) is None or not any(str(outputs) in word for word in system["argv"]):
            assert process.poll() is None, (folder / "server.log").read_text(errors="replace")[-2000:]
            assert time.monotonic() - began < BOOT_LIMIT_S, f"not up, or another server: {system}"
            time.sleep(0.05)
    except BaseException:
        end(process)
        raise
    took = time.monotonic() - began
    kind = "simulated" if "simulated" in system["comfyui_version"] else "real"
    return Backend(kind, url, port, outputs, process, took, family_of(system["comfyui_version"], system["argv"]))


def family_of(version: str, argv: list[str]) -> str:
    """Which of the known wires this server speaks; 0.8 speaks as 0.9 does, 0.26 as 0.33."""
    if "simulated" in version:
        return argv[argv.index("--imitate") + 1] if "--imitate" in argv else "0.33"
    minor = int(version.split(".")[1])
    return "0.3" if minor <= 3 else "0.9" if minor < 20 else "0.33"


def answered(url: str) -> dict[str, Any] | None:
    """What the server at ``url`` says of itself; someone else's may have taken the port during a long boot."""
    try:
        reply = httpx.get(f"{url}/system_stats", trust_env=False, timeout=5)
        system: dict[str, Any] | None = reply.json()["system"] if reply.status_code == 200 else None
    except httpx.TransportError:
        return None
    return system


def end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


SIMULATED = "{python} -m mcp_e2e.demo.simulated_comfyui --port {port} --output-directory {outputs} --boot-seconds 0.1"


Servers = Callable[[str], Backend]


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A server by name (real, or simulated with further flags), started when first asked for and shared afterwards."""
    running: dict[str, Backend] = {}

    def named(name: str) -> Backend:
        flags = name.removeprefix("simulated")
        command = f"{SIMULATED}{flags}" if flags != name else os.environ.get("MCP_E2E_COMFYUI_CMD", "")
        if not command:
            pytest.skip("set MCP_E2E_COMFYUI_CMD to the start command of a real ComfyUI, with {port} and {outputs}")
        if name not in running:
            running[name] = start(command, tmp_path_factory.mktemp("comfyui"))
        return running[name]

    yield named
    for backend in running.values():
        end(backend.process)


REAL = pytest.param("real", marks=pytest.mark.comfyui)


@pytest.fixture(params=["simulated", REAL])
def comfyui(request: pytest.FixtureRequest, servers: Servers) -> Backend:
    """One server for all contract tests: ten seconds of boot are paid once."""
    return servers(request.param)


@pytest.fixture(params=[*(f"simulated --imitate {family}" for family in ("0.3", "0.9", "0.33")), REAL])
def wire(request: pytest.FixtureRequest, servers: Servers) -> Backend:
    """One server for all tests of the wire; the simulated one in each of its imitations."""
    return servers(request.param)


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Callable[..., Backend]]:
    """Start simulated servers with these flags, one after another on the same folder, ended with the test."""
    running: list[Backend] = []

    def started(*flags: str) -> Backend:
        running.append(start(shlex.join([*shlex.split(SIMULATED), *flags]), tmp_path))
        return running[-1]

    yield started
    for backend in running:
        end(backend.process)


@pytest.fixture
def simulated(spawn: Callable[..., Backend]) -> Backend:
    """A simulated server of one test's own, to be killed or filled at will."""
    return spawn()
