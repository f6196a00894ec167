"""The nodes of the SIMULATED ComfyUI: what they take, what they give, what they do. Nothing here is the real program.

A node class has the shape that ``/object_info`` shows, so validation and description cannot disagree.
"""

import random
import time
from collections.abc import Mapping

from PIL import Image

from mcp_e2e.demo.simulated_faults import FAULTS
from mcp_e2e.demo.simulated_studio import Done, Inputs, NodeClass, Studio, Weights, encoded

CHECKPOINTS = ["simulated-tiny.safetensors", "simulated-other.safetensors"]
SIDE = {"default": 512, "min": 1, "max": 16384, "step": 1}
SEED = {"default": 0, "min": 0, "max": 2**64 - 1}
METHODS = {"nearest-exact": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR}
METHODS |= {"bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS, "area": Image.Resampling.BOX}


def _empty(_studio: Studio, take: Inputs) -> Done:
    colour = take["color"]
    rgb = (colour >> 16 & 255, colour >> 8 & 255, colour & 255)
    return Done(([Image.new("RGB", (take["width"], take["height"]), rgb) for _ in range(take["batch_size"])],))


def _latent(_studio: Studio, take: Inputs) -> Done:
    return Done(((take["width"], take["height"], take["batch_size"]),))


def _load_image(studio: Studio, take: Inputs) -> Done:
    path = studio.find(take["image"])
    if path is None:
        raise FileNotFoundError(f"{take['image']} has gone since the prompt was accepted")
    with Image.open(path) as image:
        return Done(([image.convert("RGB")],))


def _slow(studio: Studio, take: Inputs) -> Done:
    model = take.get("model")
    if isinstance(model, Weights):
        studio.loaded.add(model.file)
    dice = random.Random(take["seed"])
    small = Image.frombytes("RGB", (8, 8), dice.randbytes(8 * 8 * 3))
    preview = encoded(small, "JPEG")
    for step in range(1, take["steps"] + 1):
        studio.work(take["seconds"] / take["steps"])
        studio.step(step, take["steps"], preview)
    return Done(([small.resize((take["width"], take["height"]), Image.Resampling.BICUBIC)],))


def _scale(_studio: Studio, take: Inputs) -> Done:
    size, method = (take["width"], take["height"]), METHODS[take["upscale_method"]]
    return Done(([image.resize(size, method) for image in take["image"]],))


def _save(studio: Studio, take: Inputs) -> Done:
    return Done((), {"images": studio.save(take["images"], str(take["filename_prefix"]))})


def _preview(studio: Studio, take: Inputs) -> Done:
    return Done((), {"images": studio.preview(take["images"])})


def _text(_studio: Studio, take: Inputs) -> Done:
    time.sleep(take["seconds"])
    return Done((), {"text": [take["text"]]})


def _checkpoint(studio: Studio, take: Inputs) -> Done:
    studio.load(take["ckpt_name"])
    return Done(tuple(Weights(part, take["ckpt_name"]) for part in ("MODEL", "CLIP", "VAE")))


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
    "EmptyLatentImage": NodeClass(
        _latent,
        {"width": ["INT", SIDE], "height": ["INT", SIDE], "batch_size": ["INT", {"default": 1, "min": 1, "max": 64}]},
        ("LATENT",),
    ),
    "LoadImage": NodeClass(_load_image, {"image": [[], {"image_upload": True}]}, ("IMAGE",), file_input="image"),
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
    "CheckpointLoaderSimple": NodeClass(_checkpoint, {"ckpt_name": [CHECKPOINTS]}, ("MODEL", "CLIP", "VAE")),
    "SaveImage": NodeClass(
        _save, {"images": ["IMAGE"], "filename_prefix": ["STRING", {"default": "ComfyUI"}]}, saves=True
    ),
    "PreviewImage": NodeClass(_preview, {"images": ["IMAGE"]}, saves=True),
    # Works without listening: an interrupt that comes meanwhile is lost, since this is where a prompt ends.
    "SimulatedText": NodeClass(
        _text,
        {
            "text": ["STRING", {"default": "simulated"}],
            "seconds": ["FLOAT", {"default": 0.0, "min": 0.0, "max": 3600.0}],
        },
        saves=True,
        optional={"image": ["IMAGE"]},
    ),
    **FAULTS,
}
