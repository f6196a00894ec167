"""A real ComfyUI with nodes that misbehave on demand: its start command, and graphs for it."""

import os
import shlex
from pathlib import Path
from typing import Any

import pytest

REAL = os.environ.get("MCP_E2E_COMFYUI_CMD", "")
needs_real = pytest.mark.skipif(not REAL, reason="MCP_E2E_COMFYUI_CMD names no real ComfyUI")

NODES = '''
import sys
import time
from pathlib import Path


class OutOfMemoryError(RuntimeError):
    """As torch calls it."""


class LabMode:
    """Does what it is told; a change of ``color`` or of anything else makes it run again."""

    CATEGORY, FUNCTION, RETURN_TYPES, OUTPUT_NODE = "lab", "go", ("IMAGE",), True

    @classmethod
    def INPUT_TYPES(cls):
        required = {"mode": ("STRING", {"default": ""}), "seconds": ("FLOAT", {"default": 0.0, "max": 1000.0})}
        return {"required": required, "optional": {"image": ("IMAGE",)}}

    def go(self, mode, seconds, image=None):
        time.sleep(seconds)
        if mode == "exit":
            sys.exit(3)
        if mode == "raise":
            raise ValueError("no such sampler")
        if mode.startswith("memory") and not Path(mode.removeprefix("memory ")).exists():
            Path(mode.removeprefix("memory ")).touch()
            raise OutOfMemoryError("Allocation on device")
        return {"ui": {"text": ["done"]}, "result": (image,)}


NODE_CLASS_MAPPINGS = {"LabMode": LabMode}
'''


def command(folder: Path) -> str:
    """Start command of a real ComfyUI whose folders are all under ``folder``, with the nodes above."""
    for name in ("custom_nodes", "models", "input", "output", "user"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "custom_nodes" / "lab_mode.py").write_text(NODES)
    flags = ["--base-directory", str(folder), "--database-url", f"sqlite:///{folder}/user/comfyui.db"]
    return f"{REAL} {shlex.join(flags)}"


def lab(mode: str, seconds: float = 0.0) -> dict[str, Any]:
    """A graph whose one node does ``mode`` after ``seconds``, and saves a picture that passes through it."""
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 48, "batch_size": 1, "color": 7}},
        "2": {"class_type": "LabMode", "inputs": {"mode": mode, "seconds": seconds, "image": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "lab"}},
    }
