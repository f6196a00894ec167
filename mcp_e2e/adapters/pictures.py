"""Pictures: what one shows, how far two differ, one to show both, a thumbnail. The room of Pillow.

Only the first frame of an animation is looked at, except by ``content``.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageChops, ImageMath, ImageSequence

from mcp_e2e.errors import UsageError
from mcp_e2e.model.work import ImageFacts

MAX_PIXELS = 64_000_000  # decoded at most; about 256 MB of RGBA
MEASURED_SIDE = 256  # pictures are measured at about this size, as the authors of SSIM advise
WINDOW = 8  # pixels; windows do not overlap
SHOWN_SIDE = 512
THUMBNAIL_SIDE = 256
THUMBNAIL_BYTES = 20_000
GREY = (128, 128, 128)
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # the constants of SSIM for 8 bits
# Pillow would refuse to read even the size of a big picture; here the size is read and MAX_PIXELS guards decoding.
Image.MAX_IMAGE_PIXELS = None


class Unreadable(Exception):
    """No picture, a damaged one, or one too large to decode here; the words complete "x.png "."""


@dataclass(frozen=True)
class Look:
    """``content``: equal for equal pixels of all frames, None when they are too many to look at."""

    facts: ImageFacts
    content: str | None


def look(path: Path) -> Look | None:
    """What an image file shows; None when it is no image or too damaged to decode."""
    try:
        with _opened(path) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                return Look(ImageFacts(width, height, None), None)
            pixels = image.convert("RGBA") if image.mode in ("P", "PA", "LA") else image
            return Look(ImageFacts(width, height, _one_colour(pixels)), _content(image))
    except Unreadable:
        return None


def readable(path: Path) -> bool:
    """Whether the head of the file is that of an image; decodes nothing."""
    try:
        with _opened(path):
            return True
    except Unreadable:
        return False


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path, formats=FORMATS) as image:
            yield image
    except Unreadable:
        raise
    except Exception as error:  # a decoder fed with damage raises nearly anything
        raise Unreadable("cannot be read as an image") from error


def _one_colour(image: Image.Image) -> bool:
    if len(image.getbands()) == 1:  # deep ones are no channels to Pillow, and it knows no extrema of I;16B
        low, high = (image.convert("I") if image.mode.startswith("I;") else image).getextrema()
        return low == high
    extrema = [image.getchannel(band).getextrema() for band in image.getbands()]
    invisible = image.mode == "RGBA" and extrema[-1] == (0, 0)
    return invisible or all(low == high for low, high in extrema)


def _content(image: Image.Image) -> str | None:
    digest, left = hashlib.blake2b(digest_size=16), MAX_PIXELS
    for frame in ImageSequence.Iterator(image):
        left -= frame.width * frame.height
        if left < 0:
            return None
        pixels = frame if frame.mode.startswith(("I", "F")) else frame.convert("RGBA")
        digest.update(f"{pixels.mode} {pixels.width}x{pixels.height}\n".encode())
        rows = max(1, (1 << 20) // pixels.width)
        for top in range(0, pixels.height, rows):
            digest.update(pixels.crop((0, top, pixels.width, min(top + rows, pixels.height))).tobytes())
    return digest.hexdigest()


def decoded(path: Path) -> Image.Image:
    """The first frame as RGB, or RGBA where something is transparent. Raises ``Unreadable``."""
    with _opened(path) as image:
        if image.width * image.height > MAX_PIXELS:
            raise Unreadable(f"is {image.width} x {image.height}, too large to be looked at")
        if image.mode.startswith("I"):  # 16 bits of grey: the high byte is what a screen shows
            return image.convert("I").point(lambda value: value / 257).convert("L").convert("RGB")
        if not image.has_transparency_data:
            return image.convert("RGB")
        layered = image.convert("RGBA")
        return layered.convert("RGB") if layered.getchannel("A").getextrema() == (255, 255) else layered


def write_png(image: Image.Image, path: Path) -> None:
    """Pixels alone: no prompt, workflow or time goes along. Whoever reads sees the old file or the new one."""
    part = path.with_name(f".{path.name}.part")
    try:
        image.save(part, "PNG", optimize=True)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def difference(one: Image.Image, other: Image.Image) -> float:
    """1 - SSIM, the mean over the colour channels: 0 = equal, about 1 = nothing in common, at most 2.

    The structural similarity of Wang, Bovik, Sheikh and Simoncelli (2004) with its own constants, on pictures averaged
    down by a whole factor to some 256 pixels of the shorter side, over windows of 8 x 8 without overlap. Both must have
    one size. Transparency counts as a channel of its own, and colours that it hides do not count.
    """
    mode = "RGBa" if "RGBA" in (one.mode, other.mode) else "RGB"
    factor = max(1, round(min(one.size) / MEASURED_SIDE))
    first, second = (_premultiplied(image, mode).reduce(factor) for image in (one, other))
    similar = [_ssim(x, y) for x, y in zip(first.split(), second.split(), strict=True)]
    return max(0.0, 1 - sum(similar) / len(similar))


def _premultiplied(image: Image.Image, mode: str) -> Image.Image:
    return image.convert("RGBA").convert("RGBa") if mode == "RGBa" else image


def _ssim(x: Image.Image, y: Image.Image) -> float:
    """Of two channels; about 3 ms at 256 x 256."""
    x, y = x.convert("F"), y.convert("F")
    means = {"x": x.reduce(WINDOW), "y": y.reduce(WINDOW)}
    for name, (left, right) in {"xx": (x, x), "yy": (y, y), "xy": (x, y)}.items():
        product = ImageMath.lambda_eval(lambda of: of["left"] * of["right"], left=left, right=right)
        means[name] = product.reduce(WINDOW)
    each = ImageMath.lambda_eval(
        lambda m: (
            (2 * m["x"] * m["y"] + _C1)
            * (2 * (m["xy"] - m["x"] * m["y"]) + _C2)
            / (
                (m["x"] * m["x"] + m["y"] * m["y"] + _C1)
                * (m["xx"] - m["x"] * m["x"] + m["yy"] - m["y"] * m["y"] + _C2)
            )
        ),
        **means,
    )
    mean = each.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(mean, float)
    return mean


def side_by_side(golden: Image.Image, image: Image.Image) -> Image.Image:
    """The accepted picture, the new one, and where they differ (brighter: more, four times as strong as it is)."""
    size = _within(golden.size, SHOWN_SIDE)
    left, right = (_flat(each).resize(size, Image.Resampling.BOX) for each in (golden, image))
    apart = ImageChops.difference(left, right).point(lambda value: min(255, value * 4))
    shown = Image.new("RGB", (size[0] * 3 + 16, size[1]), GREY)
    for place, each in enumerate((left, right, apart)):
        shown.paste(each, (place * (size[0] + 8), 0))
    return shown


def thumbnail(path: Path) -> bytes:
    """A JPEG of at most 256 pixels a side and 20,000 bytes. Raises UsageError for what is no readable image."""
    try:
        picture = _flat(decoded(path))
    except Unreadable as why:
        raise UsageError(f"{path.name} {why}", remedy="Read the file itself: only images have thumbnails.") from None
    for side in (THUMBNAIL_SIDE, THUMBNAIL_SIDE // 2):
        small = picture.resize(_within(picture.size, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
        for quality in (85, 70, 50, 30):
            held = BytesIO()
            small.save(held, "JPEG", quality=quality)
            if len(held.getvalue()) <= THUMBNAIL_BYTES:
                return held.getvalue()
    return held.getvalue()


def _within(size: tuple[int, int], side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _flat(image: Image.Image) -> Image.Image:
    """Without transparency, on grey."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, (*GREY, 255))
    ground.alpha_composite(image)
    return ground.convert("RGB")
