"""The machine: the graphics card, and the layers that confine commands."""

import platform
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from mcp_e2e.adapters.comfyui.asking import ask
from mcp_e2e.model.services import Device
from mcp_e2e.process import sandbox
from mcp_e2e.usecases.checkup.finding import Finding, aside, note, ok, problem

_GPU = ("--query-gpu=name,memory.total,memory.free,driver_version", "--format=csv,noheader")
_MIB = 1 << 20
_NO_GPU = "fine where no service needs one"


def gpu_of(device: Device) -> Finding:
    """What a running service uses."""
    return ok(f"{device.name}: {_mib(device.vram_free)} of {_mib(device.vram_total)} free")


async def check_gpu(environ: Mapping[str, str], within_s: float) -> list[Finding]:
    """What the driver tells; none is no fault."""
    path = shutil.which("nvidia-smi", path=environ.get("PATH"))
    if path is None:
        if sys.platform == "darwin" and platform.machine() == "arm64":
            return [ok("the GPU of this Mac (MPS)")]
        return [note(f"no GPU is seen (there is no nvidia-smi): {_NO_GPU}")]
    answer = await ask([path, *_GPU], Path(path).parent, environ, within_s)
    cards = [line.strip() for line in answer.text.splitlines() if line.strip()]
    if answer.exit_code != 0 or not cards:
        said = "does not answer in time" if answer.late else f"says: {' '.join(cards)[:200] or 'nothing'}"
        return [note(f"no GPU is seen, {path} {said}: {_NO_GPU}", "If there is one, repair its driver.")]
    return [ok(f"GPU {card} (name, memory, free, driver)") for card in cards]


def _mib(size: int) -> str:
    return f"{size // _MIB:,} MiB"


async def check_sandbox(mode: str, within_s: float) -> list[Finding]:
    """Tried out here and now, as each project does once per boot."""
    if mode == "off":
        return [note('commands are not confined: [exec] sandbox = "off"')]
    held = await aside(lambda: sandbox.tried_now(within_s))
    missing = {name: why for name, why in held.items() if why is not None}
    reached = sandbox.level([name for name in held if name not in missing])
    found = [ok(f"commands are confined: {reached.level}")]
    for name, why in missing.items():
        told = f"the layer {name} does not hold here ({why}); without it nothing refuses a command: "
        told += "; ".join(sandbox.level([name]).blocked)
        if mode == "required":
            found.append(problem(f'{told}; and [exec] sandbox = "required"', 'Set sandbox = "auto" to run without.'))
        else:
            found.append(note(told))
    return found
