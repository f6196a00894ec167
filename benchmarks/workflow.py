"""What an attempt at a ComfyUI workflow costs, beside the same prompts posted by a bare client, and beside booting.

    python benchmarks/workflow.py --rounds 20
    python benchmarks/workflow.py --command "/opt/comfy/venv/bin/python /opt/comfy/main.py --cpu --port {port}
        --output-directory {outputs}" --workflow portrait_api.json

Attempts and bare prompts take turns on one server; the bare client posts the same graph, made to execute anew in the
same way, asks for its history every 10 ms and downloads what it made. Without ``--command`` the server is the SIMULATED
ComfyUI, whose boot and work are settings, so only our milliseconds mean something; ``MCP_E2E_COMFYUI_CMD`` names a real
one too. Two workflows, unless one is given: a short one, and one of some seconds. Ends with status 1 when an attempt
takes more than 1.1 times what the bare client takes for a workflow of over 2 s, or 0.1 s more for a shorter one.
"""

import argparse
import json
import os
import shlex
import statistics
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx

from mcp_e2e.adapters.comfyui import workflow
from mcp_e2e.bootstrap import App, Options, open_app
from mcp_e2e.settings.discover import FILE_NAME

LONG_S, LONG_RATIO, SHORT_MORE_S = 2.0, 1.1, 0.1
BOOT_S = 600.0
SIMULATED = f"{sys.executable} -m mcp_e2e.demo.simulated_comfyui --port {{port}} --output-directory {{outputs}}"
Nodes = dict[str, dict[str, Any]]


def picture(side: int, blurs: int) -> Nodes:
    """No model; each blur takes some tenths of a second on a CPU."""
    nodes: Nodes = {
        "0": {"class_type": "EmptyImage", "inputs": {"width": side, "height": side, "batch_size": 1, "color": 7}}
    }
    for n in range(1, blurs + 1):
        inputs = {"image": [str(n - 1), 0], "blur_radius": 31, "sigma": 10.0}
        nodes[str(n)] = {"class_type": "ImageBlur", "inputs": inputs}
    save = {"images": [str(blurs), 0], "filename_prefix": "bench"}
    return {**nodes, "save": {"class_type": "SaveImage", "inputs": save}}


def simulated_picture(seconds: float) -> Nodes:
    slow = {"seed": 1, "steps": 20, "seconds": seconds, "width": 64, "height": 64}
    return {
        "0": {"class_type": "SimulatedSlow", "inputs": slow},
        "save": {"class_type": "SaveImage", "inputs": {"images": ["0", 0], "filename_prefix": "bench"}},
    }


@dataclass(frozen=True)
class Found:
    """Seconds: the first attempt after the boot, the later ones, and the bare client's prompts."""

    cold: float
    ours: list[float]
    bare: list[float]


async def attempt(app: App, test: str) -> float:
    began = time.perf_counter()
    answer = await app.attempts.run(app.caller, test=test, wait_seconds=BOOT_S)
    took = time.perf_counter() - began
    if answer.verdict != "passed":
        raise SystemExit(f"{test} was to pass: {answer.verdict} {answer.failure}")
    await app.runs.checkpoint(app.caller, result="success")
    return took


async def bare(http: httpx.AsyncClient, graph: workflow.Graph) -> float:
    """Post, wait for the history entry, download."""
    prompt_id = str(uuid.uuid4())
    nodes = workflow.freshen(graph, prompt_id).nodes
    began = time.perf_counter()
    reply = await http.post("/prompt", json={"prompt": nodes, "prompt_id": prompt_id, "client_id": "bare"})
    reply.raise_for_status()
    while not (entry := (await http.get(f"/history/{prompt_id}")).json()):
        await anyio.sleep(0.01)
    for output in entry[prompt_id]["outputs"].values():
        for file in output.get("images", ()):
            (await http.get("/view", params=file)).raise_for_status()
    return time.perf_counter() - began


async def boot(app: App) -> tuple[float, str, str]:
    began = time.perf_counter()
    session = await app.sessions.start(app.caller, wait_seconds=BOOT_S)
    if session.state != "ready" or session.url is None:
        raise SystemExit(f"the service was to be ready: {session.state} {session.cause}\n{session.log_tail}")
    return time.perf_counter() - began, session.url, session.version or "?"


async def measure(root: Path, graphs: dict[str, Nodes], rounds: int) -> tuple[str, float, dict[str, Found]]:
    found: dict[str, Found] = {}
    async with open_app(Options(root), os.environ) as app:
        try:
            boot_s, url, version = await boot(app)
            await app.runs.plan(app.caller, count=len(graphs) * (rounds + 1))
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=BOOT_S) as http:
                for name, nodes in graphs.items():
                    graph = workflow.Graph(name, nodes)
                    cold, ours, theirs = await attempt(app, name), [], []
                    for _ in range(rounds):
                        ours.append(await attempt(app, name))
                        theirs.append(await bare(http, graph))
                    found[name] = Found(cold, ours, theirs)
        finally:
            with anyio.CancelScope(shield=True):
                await app.sessions.stop(app.caller)
    return version, boot_s, found


def configure(root: Path, command: str, graphs: dict[str, Nodes]) -> None:
    words = json.dumps(shlex.split(command))
    text = f'[services.comfyui]\nkind = "comfyui"\ncommand = {words}\nport = 0\nstop_grace_s = 2\n'
    text += '[guard]\nmode = "observe"\n'
    for name, nodes in graphs.items():
        (root / f"{name}.json").write_text(json.dumps(nodes))
        text += f'[[tests]]\nid = "{name}"\nworkflow = "{name}.json"\ntimeout_s = 3600\n'
    (root / FILE_NAME).write_text(text)


def tell(name: str, found: Found, boot_s: float) -> bool:
    ours, theirs = statistics.median(found.ours), statistics.median(found.bare)
    print(f"{name}: first attempt {found.cold:.2f} s, then {ours:.3f} s (min {min(found.ours):.3f})")
    print(f"  a bare client                     {theirs:8.3f} s (min {min(found.bare):.3f})")
    print(f"  ours to the bare client           {ours / theirs:8.2f} x, {1000 * (ours - theirs):+.0f} ms")
    print(f"  booting for each, to ours         {(boot_s + found.cold) / ours:8.1f} x")
    met = ours <= LONG_RATIO * theirs if theirs > LONG_S else ours - theirs <= SHORT_MORE_S
    goal = f"at most {LONG_RATIO} x" if theirs > LONG_S else f"at most {1000 * SHORT_MORE_S:.0f} ms more"
    print(f"  goal: {goal:27} {'met' if met else 'MISSED'}", flush=True)
    return met


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--command", default=os.environ.get("MCP_E2E_COMFYUI_CMD"))
    parser.add_argument("--workflow", type=Path)
    options = parser.parse_args()
    graphs = {"short": picture(64, 0), "long": picture(512, 6)}
    if options.command is None:
        graphs["long"] = simulated_picture(3.0)
    if options.workflow:
        graphs = {options.workflow.stem: json.loads(options.workflow.read_text("utf-8"))}
    with tempfile.TemporaryDirectory(prefix="mcp-e2e-bench-") as folder:
        root = Path(folder).resolve()
        configure(root, options.command or f"{SIMULATED} --boot-seconds 3", graphs)
        version, boot_s, found = anyio.run(measure, root, graphs, options.rounds)
    print(f"ComfyUI {version}, booted once in {boot_s:.1f} s; {options.rounds} rounds")
    met = [tell(name, each, boot_s) for name, each in found.items()]
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
