"""The demonstration's own project, written into an empty folder: a simulated ComfyUI, good tests and a broken one."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp_e2e.settings.discover import FILE_NAME
from mcp_e2e.store.layout import Layout

BOOT_SECONDS = 3
GOOD = {"portrait": (512, 768), "landscape": (768, 512), "square": (640, 640)}
BROKEN = "broken"
NODE_ERROR = "this node fails on purpose"
_SERVICE = """\
[project]
state_dir = ".mcp-e2e"

[services.comfyui]
kind = "comfyui"
command = {command}
port = 0
"""
_TEST = """
[[tests]]
id = "{name}"
workflow = "workflows/{name}_api.json"
timeout_s = 60
expect = {{ images = 1, min_width = {width}, min_height = {height}, not_blank = true }}
"""


@dataclass(frozen=True)
class Project:
    """Where it is; ``server_log`` holds what its MCP servers wrote to stderr."""

    root: Path

    @property
    def state(self) -> Layout:
        return Layout(self.root / ".mcp-e2e")

    @property
    def server_log(self) -> Path:
        return self.root / ".server" / "server.log"  # hidden, so that what it says is no change of the project


def simulated(boot_seconds: float) -> tuple[str, ...]:
    """The command of a simulated ComfyUI that takes so long to come up."""
    return (
        *(sys.executable, "-m", "mcp_e2e.demo.simulated_comfyui", "--port", "{port}"),
        *("--boot-seconds", f"{boot_seconds:g}", "--output-directory", "{outputs}"),
    )


SIMULATED = simulated(BOOT_SECONDS)


def write(root: Path, service: Sequence[str] = SIMULATED) -> Project:
    """Write it below ``root``, a folder that may be missing; ``service`` is the command that stays alive."""
    workflows = root / "workflows"
    workflows.mkdir(parents=True)
    project = Project(root)
    project.server_log.parent.mkdir()
    tests = GOOD | {BROKEN: (512, 512)}
    for name, (width, height) in tests.items():
        graph = _graph(name, width, height)
        (workflows / f"{name}_api.json").write_text(json.dumps(graph, indent=2) + "\n", encoding="utf-8")
    blocks = [_TEST.format(name=name, width=width, height=height) for name, (width, height) in tests.items()]
    command = json.dumps(list(service), ensure_ascii=False)
    (root / FILE_NAME).write_text(_SERVICE.format(command=command) + "".join(blocks), encoding="utf-8")
    return project


def _graph(name: str, width: int, height: int) -> dict[str, Any]:
    """A workflow in ComfyUI's API format; the broken one fails in its second node."""
    size = {"width": width, "height": height}
    graph = {"1": _node("SimulatedSlow", seed=len(name), steps=4, seconds=0.4, **size)}
    if name == BROKEN:
        graph["2"] = _node("SimulatedError", image=["1", 0], message=NODE_ERROR)
    graph["3"] = _node("SaveImage", images=["2" if name == BROKEN else "1", 0], filename_prefix=name)
    return graph


def _node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}
