"""Asks an interpreter whether it can run a ComfyUI: has it torch, does torch see a GPU, is a distribution missing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp_e2e.adapters.comfyui.asking import MOST_BYTES, Answer, ask
from mcp_e2e.adapters.comfyui.installation import Interpreter

PROBE_S = 60.0  # the first import of torch after a boot takes half a minute where a virus scanner reads along
_MARK = "mcp_e2e:"
_PROBE = """
import importlib.metadata, importlib.util, json, sys
def lacks(name):
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return True
said = {"python": sys.version.split()[0], "missing": [name for name in sys.argv[1:] if lacks(name)]}
try:
    import torch
    mps = getattr(torch.backends, "mps", None)
    others = [getattr(torch, name, None) for name in ("xpu", "npu", "mlu")]
    said["torch"] = str(torch.__version__)
    said["gpu"] = bool(
        torch.cuda.is_available()
        or (mps and mps.is_available())
        or any(other and other.is_available() for other in others)
        or importlib.util.find_spec("torch_directml")
    )
except Exception as error:
    said["error"] = type(error).__name__ + ": " + str(error)
print("mcp_e2e:" + json.dumps(said))
"""


@dataclass(frozen=True)
class Ability:
    """``torch`` is its version, or None, and then ``problem`` says why; ``gpu`` None: not told."""

    torch: str | None = None
    gpu: bool | None = None
    missing: tuple[str, ...] = ()
    problem: str = ""


async def ability(
    interpreter: Interpreter,
    env: Mapping[str, str],
    cwd: Path,
    distributions: Sequence[str] = (),
    within_s: float = PROBE_S,
) -> Ability:
    """What ``interpreter`` says of itself, within ``within_s``; ``env`` is its whole environment. Raises nothing."""
    argv = [str(interpreter.path), *interpreter.options, "-c", _PROBE, *distributions]
    try:
        answer = await ask(argv, cwd, env, within_s)
    except OSError as error:
        return Ability(problem=f"cannot be run: {error.strerror}")
    said = _said(answer.text)
    if said is None:
        return Ability(problem=_silent(answer, within_s))
    missing = tuple(said.get("missing", ()))
    if "torch" not in said:
        return Ability(missing=missing, problem=f"cannot import torch ({said.get('error', 'unknown')})"[:200])
    return Ability(said["torch"], said.get("gpu"), missing)


def _silent(answer: Answer, within_s: float) -> str:
    if answer.late:
        return f"did not import torch within {within_s:g} s"
    if answer.exit_code is None:
        return f"said {MOST_BYTES >> 10} kB that are no answer"
    return f"ended with {answer.exit_code} and did not answer"


def _said(output: str) -> dict[str, Any] | None:
    lines = [line for line in output.splitlines() if line.startswith(_MARK)]
    try:
        found = json.loads(lines[-1].removeprefix(_MARK)) if lines else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
