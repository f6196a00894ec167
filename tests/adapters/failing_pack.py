"""A custom node for a real ComfyUI, copied into its folder: it fails in the way it is told, never at import."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch


def fail(kind: str) -> None:
    """With the library's own message where a machine without a GPU can be made to give it."""
    actions: dict[str, Any] = {
        "cpu memory": lambda: torch.empty((1 << 46,)),
        "array memory": lambda: np.zeros((1 << 45,)),
        "python memory": lambda: throw(MemoryError()),
        "cuda memory": lambda: throw(
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has 8.00 GiB in total.")
        ),
        "mps memory": lambda: throw(RuntimeError("MPS backend out of memory (MPS allocated: 5.05 GB).")),
        "matrices": lambda: torch.ones(154, 2048) @ torch.ones(768, 320),
        "channels": lambda: torch.nn.Conv2d(4, 320, 3)(torch.ones(1, 16, 8, 8)),
        "sizes": lambda: torch.ones(1, 64) + torch.ones(1, 77),
        "weights": lambda: torch.nn.Linear(3, 4).load_state_dict(torch.nn.Linear(3, 5).state_dict()),
        "disk full": lambda: fill("/dev/full"),
        "not permitted": lambda: throw(PermissionError(13, "Permission denied", "/models/x.safetensors")),
        "missing file": lambda: open("/nowhere/style.json"),  # noqa: PTH123, SIM115
        "import": lambda: __import__("no_such_package"),
        "pickle": lambda: pickle.loads(b"no pickle"),
        "key": lambda: {}["missing_key"],
        "value": lambda: throw(ValueError("strength must be below 1")),
    }
    actions[kind]()


def throw(error: BaseException) -> None:
    raise error


def fill(path: str) -> None:
    Path(path).write_text("x" * 100_000)


class Failing:
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802  the server asks for it by this name
        return {"required": {"kind": ("STRING", {"default": ""})}, "optional": {"image": ("IMAGE",)}}

    def run(self, kind: str, image: object = None) -> None:
        fail(kind)


class Nothing:
    RETURN_TYPES = ("CLIP", "VAE")
    FUNCTION = "run"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        return {"required": {}}

    def run(self) -> tuple[None, None]:
        return (None, None)


class Sink:
    RETURN_TYPES = ()
    FUNCTION = "run"
    CATEGORY = "test"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        return {"required": {"conditioning": ("CONDITIONING",)}}

    def run(self, conditioning: object) -> dict[str, Any]:
        return {"ui": {"text": ["done"]}}


NODE_CLASS_MAPPINGS = {"Failing": Failing, "Nothing": Nothing, "Sink": Sink}
