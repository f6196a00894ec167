"""The nodes of the SIMULATED ComfyUI: what they take, what they give, what they do. Nothing here is the real program.

A spec has the shape that ``/object_info`` shows, so validation and description cannot disagree.
"""

import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

CHECKPOINT = "simulated-tiny.safetensors"
SIDE = {"default": 512, "min": 1, "max": 16384, "step": 1}
SEED = {"default": 0, "min": 0, "max": 2**64 - 1}
METHODS = {"nearest-exact": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR}
METHODS |= {"bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS, "area": Image.Resampling.BOX}

Images = list[Image.Image]
Inputs = Mapping[str, Any]


class Interrupted(Exception):
    """The running prompt was told to stop."""


@dataclass
class Studio:
    """Where nodes work: output folder, previews kept in memory, and the wish to stop."""

    outputs: Path
    previews: dict[str, bytes] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    step: Callable[[int, int, bytes], None] = lambda _value, _steps, _jpeg: None  # tells progress of the node that runs

    def work(self, seconds: float) -> None:
        """Take that long, listening for an interrupt as a sampler does between steps."""
        if self.stop.wait(max(seconds, 0.0)):
            raise Interrupted

    def save(self, images: Images, prefix: str) -> list[dict[str, str]]:
        """Write PNGs as ``<prefix>_00001_.png``, counting on from the highest number now on disk."""
        target = (self.outputs / prefix).resolve()
        if not target.is_relative_to(self.outputs.resolve()) or target == self.outputs.resolve():
            raise RuntimeError(f"Saving outside the output folder is refused: {prefix!r}")
        target.parent.mkdir(parents=True, exist_ok=True)
        numbered = re.compile(rf"{re.escape(target.name)}_(\d+)_\.png")
        used = [int(found[1]) for path in target.parent.iterdir() if (found := numbered.fullmatch(path.name))]
        subfolder = target.parent.relative_to(self.outputs.resolve()).as_posix()
        saved = []
        for number, image in enumerate(images, max(used, default=0) + 1):
            name = f"{target.name}_{number:05}_.png"
            image.save(target.parent / name)
            saved.append({"filename": name, "subfolder": subfolder.removeprefix("."), "type": "output"})
        return saved


@dataclass(frozen=True)
class Done:
    """What a node gave: one value for each output slot, and what it shows in the history."""

    values: tuple[Any, ...] = ()
    shown: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class NodeClass:
    """One row of ``NODES``; ``required`` and ``optional`` map an input to ``[type or choices, options]``."""

    run: Callable[[Studio, Inputs], Done]
    required: Mapping[str, list[Any]]
    gives: tuple[str, ...] = ()
    saves: bool = False
    optional: Mapping[str, list[Any]] = field(default_factory=dict)

    def describe(self, name: str) -> dict[str, Any]:
        """What ``/object_info`` says about it."""
        return {
            "input": {"required": dict(self.required), "optional": dict(self.optional)},
            "input_order": {"required": list(self.required), "optional": list(self.optional)},
            "output": list(self.gives),
            "output_is_list": [False] * len(self.gives),
            "output_name": list(self.gives),
            "name": name,
            "display_name": name,
            "description": "A node of the simulated ComfyUI.",
            "python_module": "simulated",
            "category": "simulated",
            "output_node": self.saves,
        }


def _empty(_studio: Studio, take: Inputs) -> Done:
    colour = take["color"]
    rgb = (colour >> 16 & 255, colour >> 8 & 255, colour & 255)
    return Done(([Image.new("RGB", (take["width"], take["height"]), rgb) for _ in range(take["batch_size"])],))


def _slow(studio: Studio, take: Inputs) -> Done:
    dice = random.Random(take["seed"])
    small = Image.frombytes("RGB", (8, 8), dice.randbytes(8 * 8 * 3))
    preview = _encoded(small, "JPEG")
    for step in range(1, take["steps"] + 1):
        studio.work(take["seconds"] / take["steps"])
        studio.step(step, take["steps"], preview)
    return Done(([small.resize((take["width"], take["height"]), Image.Resampling.BICUBIC)],))


def _scale(_studio: Studio, take: Inputs) -> Done:
    size, method = (take["width"], take["height"]), METHODS[take["upscale_method"]]
    return Done(([image.resize(size, method) for image in take["image"]],))


def _error(_studio: Studio, take: Inputs) -> Done:
    raise ValueError(take["message"])


def _save(studio: Studio, take: Inputs) -> Done:
    return Done((), {"images": studio.save(take["images"], str(take["filename_prefix"]))})


def _preview(studio: Studio, take: Inputs) -> Done:
    shown = []
    for image in take["images"]:
        name = f"ComfyUI_temp_simul_{len(studio.previews) + 1:05}_.png"
        studio.previews[name] = _encoded(image, "PNG")
        shown.append({"filename": name, "subfolder": "", "type": "temp"})
    return Done((), {"images": shown})


def _encoded(image: Image.Image, form: str) -> bytes:
    held = BytesIO()
    image.save(held, form)
    return held.getvalue()


def _checkpoint(_studio: Studio, take: Inputs) -> Done:
    time.sleep(0.1)
    return Done(tuple(f"{part} of {take['ckpt_name']}" for part in ("MODEL", "CLIP", "VAE")))


NODES: Mapping[str, NodeClass] = {
    "EmptyImage": NodeClass(
        _empty,
        {
            "width": ["INT", SIDE],
            "height": ["INT", SIDE],
            "batch_size": ["INT", {"default": 1, "min": 1, "max": 64}],
            "color": ["INT", {"default": 0, "min": 0, "max": 0xFFFFFF}],
        },
        ("IMAGE",),
    ),
    "ImageScale": NodeClass(
        _scale,
        {
            "image": ["IMAGE"],
            "upscale_method": [list(METHODS)],
            "width": ["INT", SIDE],
            "height": ["INT", SIDE],
            "crop": [["disabled", "center"]],
        },
        ("IMAGE",),
    ),
    "SimulatedSlow": NodeClass(
        _slow,
        {
            "seed": ["INT", SEED],
            "steps": ["INT", {"default": 4, "min": 1, "max": 10_000}],
            "seconds": ["FLOAT", {"default": 0.3, "min": 0.0, "max": 3600.0}],
            "width": ["INT", SIDE],
            "height": ["INT", SIDE],
        },
        ("IMAGE",),
        optional={"model": ["MODEL"]},
    ),
    "SimulatedError": NodeClass(
        _error, {"image": ["IMAGE"], "message": ["STRING", {"default": "simulated failure"}]}, ("IMAGE",)
    ),
    "CheckpointLoaderSimple": NodeClass(_checkpoint, {"ckpt_name": [[CHECKPOINT]]}, ("MODEL", "CLIP", "VAE")),
    "SaveImage": NodeClass(
        _save, {"images": ["IMAGE"], "filename_prefix": ["STRING", {"default": "ComfyUI"}]}, saves=True
    ),
    "PreviewImage": NodeClass(_preview, {"images": ["IMAGE"]}, saves=True),
}
