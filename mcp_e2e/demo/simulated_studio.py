"""What the nodes of the SIMULATED ComfyUI work with: folders, weights in memory, progress, and the wish to stop."""

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

Images = list[Image.Image]
Inputs = Mapping[str, Any]
VRAM_TOTAL, VRAM_OF_A_CHECKPOINT = 8 << 30, 2 << 30
_ROOTED = re.compile(r"(?P<name>.+) \[(?P<root>input|output)\]")


class Interrupted(Exception):
    """The running prompt was told to stop."""


@dataclass(frozen=True)
class Weights:
    """A part of a checkpoint, as it travels along a link."""

    part: str
    file: str


@dataclass
class Studio:
    """One for the whole server; ``step`` and ``embedded`` belong to the node and the prompt that run now."""

    outputs: Path
    inputs: Path
    load_seconds: float = 0.1
    previews: dict[str, bytes] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    loaded: set[str] = field(default_factory=set)  # checkpoints that lie in video memory
    freed: bool = False  # /free was done since this process started
    step: Callable[[int, int, bytes], None] = lambda _value, _steps, _jpeg: None
    embedded: Mapping[str, Any] = field(default_factory=dict)

    def work(self, seconds: float) -> None:
        """Take that long, listening for an interrupt as a sampler does between steps."""
        if self.stop.wait(max(seconds, 0.0)):
            raise Interrupted

    def load(self, file: str) -> None:
        """Bring weights into memory; no interrupt is heard meanwhile."""
        time.sleep(self.load_seconds)
        self.loaded.add(file)

    def vram_free(self) -> int:
        return max(VRAM_TOTAL - VRAM_OF_A_CHECKPOINT * len(self.loaded), 0)

    def input_files(self) -> list[str]:
        return sorted(path.name for path in self.inputs.iterdir() if path.is_file()) if self.inputs.is_dir() else []

    def find(self, name: str) -> Path | None:
        """The file that a loading node means: ``a.png`` or ``a.png [output]``; None when it is not there."""
        rooted = _ROOTED.fullmatch(name)
        folder = self.outputs if rooted and rooted["root"] == "output" else self.inputs
        path = (folder / (rooted["name"] if rooted else name)).resolve()
        return path if path.is_relative_to(folder.resolve()) and path.is_file() else None

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
            image.save(target.parent / name, pnginfo=self._metadata())
            saved.append({"filename": name, "subfolder": subfolder.removeprefix("."), "type": "output"})
        return saved

    def preview(self, images: Images) -> list[dict[str, str]]:
        """Keep pictures that are shown but not saved."""
        shown = []
        for image in images:
            name = f"ComfyUI_temp_simul_{len(self.previews) + 1:05}_.png"
            self.previews[name] = encoded(image, "PNG", pnginfo=self._metadata())
            shown.append({"filename": name, "subfolder": "", "type": "temp"})
        return shown

    def _metadata(self) -> PngImagePlugin.PngInfo:
        """The prompt travels in every picture, so that equal pictures of two prompts are not equal bytes."""
        info = PngImagePlugin.PngInfo()
        for name, value in self.embedded.items():
            info.add_text(name, json.dumps(value))
        return info


def encoded(image: Image.Image, form: str, **how: Any) -> bytes:
    held = BytesIO()
    image.save(held, form, **how)
    return held.getvalue()


@dataclass(frozen=True)
class Done:
    """What a node gave: one value for each output slot, and what it shows in the history."""

    values: tuple[Any, ...] = ()
    shown: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class NodeClass:
    """One kind of node; ``required`` and ``optional`` map an input to ``[type or choices, options]``."""

    run: Callable[[Studio, Inputs], Done]
    required: Mapping[str, list[Any]]
    gives: tuple[str, ...] = ()
    saves: bool = False
    optional: Mapping[str, list[Any]] = field(default_factory=dict)
    file_input: str = ""  # takes the name of a file of the input folder

    def describe(self, name: str, studio: Studio) -> dict[str, Any]:
        """What ``/object_info`` says about it."""
        required = dict(self.required)
        if self.file_input:
            required[self.file_input] = [studio.input_files(), *required[self.file_input][1:]]
        return {
            "input": {"required": required, "optional": dict(self.optional)},
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
