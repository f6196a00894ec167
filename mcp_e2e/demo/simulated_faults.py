"""The nodes of the SIMULATED ComfyUI that fail on purpose, each in a way that the real program was seen to fail in."""

import os
from collections.abc import Mapping

from mcp_e2e.demo.simulated_studio import Done, Inputs, NodeClass, Studio

# What PyTorch calls it since 2.5, and before.
OUT_OF_MEMORY = ("torch.OutOfMemoryError", "torch.cuda.OutOfMemoryError")
FIRST_OUT_OF_MEMORY = ".simulated-out-of-memory"  # in the output folder: the process that ran out of memory first


class OutOfMemory(Exception):
    """``name`` is the class that the execution error shall tell."""

    def __init__(self, name: str) -> None:
        super().__init__("CUDA out of memory (simulated). Tried to allocate 2.00 GiB.")
        self.name = name


def _error(_studio: Studio, take: Inputs) -> Done:
    raise ValueError(take["message"])


def _exit(_studio: Studio, _take: Inputs) -> Done:
    """End the worker thread and nothing else: HTTP and sockets stay healthy, the prompt is running for ever."""
    raise SystemExit(1)


def _out_of_memory(studio: Studio, take: Inputs) -> Done:
    recovered = {"never": False, "free": studio.freed, "restart": _restarted(studio)}
    if not recovered[take["until"]]:
        raise OutOfMemory(take["exception"])
    return Done((take["image"],))


def _restarted(studio: Studio) -> bool:
    note = studio.outputs / FIRST_OUT_OF_MEMORY
    if not note.exists():
        note.write_text(str(os.getpid()), encoding="ascii")
    return note.read_text(encoding="ascii") != str(os.getpid())


FAULTS: Mapping[str, NodeClass] = {
    "SimulatedError": NodeClass(
        _error, {"image": ["IMAGE"], "message": ["STRING", {"default": "simulated failure"}]}, ("IMAGE",)
    ),
    "SimulatedExit": NodeClass(_exit, {"image": ["IMAGE"]}, ("IMAGE",)),
    "SimulatedOutOfMemory": NodeClass(
        _out_of_memory,
        {"image": ["IMAGE"], "until": [["never", "free", "restart"]], "exception": [list(OUT_OF_MEMORY)]},
        ("IMAGE",),
    ),
}
