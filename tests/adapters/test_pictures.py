"""Pictures: what they show, how far two differ, and that no damaged file ever breaks anything."""

import contextlib
import io
import mimetypes
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageFilter, PngImagePlugin

from mcp_e2e.adapters import pictures
from mcp_e2e.adapters.media import content_type
from mcp_e2e.errors import UsageError
from mcp_e2e.model.work import Artifact, ImageFacts

IN_ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)


def scene(seed: int = 1, size: tuple[int, int] = (320, 256)) -> Image.Image:
    """Something with shapes, gradients and colours, another one for each ``seed``."""
    dice = random.Random(seed)
    small = Image.frombytes("RGB", (8, 8), dice.randbytes(8 * 8 * 3))
    return small.resize(size, Image.Resampling.BICUBIC)


def noisy(image: Image.Image, sigma: float) -> Image.Image:
    noise = [Image.effect_noise(image.size, sigma) for _ in range(3)]
    return ImageChops.add(image, Image.merge("RGB", noise), 1, -128)


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    held = io.BytesIO()
    image.save(held, "JPEG", quality=quality)
    return Image.open(io.BytesIO(held.getvalue())).convert("RGB")


def saved(image: Image.Image, path: Path, **how: object) -> Path:
    image.save(path, **how)
    return path


def test_a_look_tells_size_and_blankness(tmp_path: Path) -> None:
    """One colour or wholly transparent is blank; one differing pixel is not; text is no image."""
    plain = Image.new("RGB", (5, 4), (1, 2, 3))
    spotted = plain.copy()
    spotted.putpixel((2, 2), (255, 90, 0))
    clear = Image.new("RGBA", (5, 4), (0, 0, 0, 0))
    clear.putpixel((1, 1), (7, 7, 7, 0))
    cases = {"plain.png": (plain, True), "spotted.png": (spotted, False), "clear.png": (clear, True)}
    cases |= {"grey.png": (Image.new("L", (5, 4), 7), True), "palette.gif": (spotted.convert("P"), False)}
    for name, (image, blank) in cases.items():
        found = pictures.look(saved(image, tmp_path / name))
        assert found is not None
        assert found.facts == ImageFacts(5, 4, blank), name
    (tmp_path / "t.png").write_text("no image")
    (tmp_path / "cut.png").write_bytes((tmp_path / "spotted.png").read_bytes()[:50])
    (tmp_path / "empty.png").write_bytes(b"")
    assert [pictures.look(tmp_path / name) for name in ("t.png", "cut.png", "empty.png")] == [None] * 3


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I", "F"])
def test_deep_grey_is_looked_at_like_any_other(tmp_path: Path, mode: str) -> None:
    """16 or 32 bits for a pixel, either byte order: sound, and blank only when it is."""
    image = Image.new(mode, (5, 4), 9)
    blank = pictures.look(saved(image, tmp_path / "blank.tif"))
    image.putpixel((2, 2), 10)
    spotted = pictures.look(saved(image, tmp_path / "spotted.tif"))
    assert blank is not None
    assert spotted is not None
    assert (blank.facts.blank, spotted.facts.blank) == (True, False)
    assert blank.content != spotted.content


def test_a_huge_image_is_measured_but_not_decoded(tmp_path: Path) -> None:
    """A decompression bomb costs its header only; what it shows stays open, and nothing else decodes it either."""
    side = int(pictures.MAX_PIXELS**0.5) + 1
    huge = saved(Image.new("1", (side * 2, side)), tmp_path / "huge.png")
    assert pictures.look(huge) == pictures.Look(ImageFacts(side * 2, side, None), None)
    with pytest.raises(pictures.Unreadable, match="too large"):
        pictures.decoded(huge)
    with pytest.raises(UsageError, match="too large"):
        pictures.thumbnail(huge)


def test_content_is_the_pixels_and_nothing_else(tmp_path: Path) -> None:
    """Metadata, compression and format do not count; one pixel of any frame does."""
    image = scene()
    other = image.copy()
    other.putpixel((9, 9), (1, 2, 3))
    notes = PngImagePlugin.PngInfo()
    notes.add_text("prompt", '{"1": {}}')
    first = saved(image, tmp_path / "a.png")
    again = saved(image, tmp_path / "b.png", pnginfo=notes, compress_level=1)
    bitmap = saved(image, tmp_path / "c.bmp")
    contents = [found.content for path in (first, again, bitmap) if (found := pictures.look(path))]
    assert len(set(contents)) == 1
    assert len(contents) == 3
    changed = pictures.look(saved(other, tmp_path / "d.png"))
    assert changed is not None
    assert changed.content not in contents
    equally_bright = [saved(Image.new("RGB", (9, 9), rgb), tmp_path / f"{rgb}.png") for rgb in ((76,) * 3, (255, 0, 0))]
    grey, red = (found.content for path in equally_bright if (found := pictures.look(path)))
    assert grey != red
    ends = [
        pictures.look(saved(image, tmp_path / f"{n}.png", save_all=True, append_images=[last]))
        for n, last in enumerate((image.rotate(90), image.rotate(180)))
    ]
    assert ends[0] != ends[1]


@IN_ONE_FOLDER
@given(
    st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=12),
    st.floats(0, 1),
)
def test_no_damage_breaks_anything(tmp_path: Path, kind: str, hits: list[tuple[float, int]], kept: float) -> None:
    """Bytes changed and the end cut off: a fact or a sentence, never another exception."""
    held = io.BytesIO()
    scene(size=(24, 16)).save(held, kind)
    data = bytearray(held.getvalue())
    for place, value in hits:
        data[int(place * len(data))] = value
    path = tmp_path / "damaged.png"
    path.write_bytes(data[: int(kept * len(data))])
    found = pictures.look(path)
    assert found is None or isinstance(found, pictures.Look)
    with contextlib.suppress(pictures.Unreadable, UsageError):
        pictures.decoded(path)
        assert len(pictures.thumbnail(path)) <= pictures.THUMBNAIL_BYTES


@IN_ONE_FOLDER
@given(st.integers(0, 5), st.integers(0, 5), st.tuples(st.integers(1, 70), st.integers(1, 70)))
def test_difference_is_zero_for_equals_and_the_same_both_ways(one: int, other: int, size: tuple[int, int]) -> None:
    """For pictures of any size, also smaller than a window."""
    first, second = scene(one, size), scene(other, size)
    there, back = pictures.difference(first, second), pictures.difference(second, first)
    assert 0 <= there <= 2
    assert there == pytest.approx(back, abs=1e-4)
    assert (there < 1e-6) == (one == other) or size[0] * size[1] < 4


def test_difference_tells_noise_from_another_picture() -> None:
    """What is documented: noise and re-encoding stay under the default tolerance, other pictures are far above."""
    image = scene()
    small = [noisy(image, 2.0), as_jpeg(image, 90), as_jpeg(image, 75)]
    assert max(pictures.difference(image, each) for each in small) < 0.05
    large = [scene(2), image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), ImageChops.invert(image)]
    large += [Image.new("RGB", image.size), image.filter(ImageFilter.GaussianBlur(40))]
    assert min(pictures.difference(image, each) for each in large) > 0.05
    assert pictures.difference(image, noisy(image, 16.0)) > pictures.difference(image, noisy(image, 2.0))


def test_what_transparency_hides_makes_no_difference(tmp_path: Path) -> None:
    """But transparency itself does; a layer that is opaque everywhere is none."""
    shown, hidden = scene().convert("RGBA"), scene(2).convert("RGBA")
    clear = Image.new("L", shown.size, 0)
    for each in (shown, hidden):
        each.putalpha(clear)
    assert pictures.difference(shown, hidden) == pytest.approx(0, abs=1e-6)
    assert pictures.difference(shown, scene().convert("RGBA")) > 0.2
    opaque = pictures.decoded(saved(scene().convert("RGBA"), tmp_path / "opaque.png"))
    assert opaque.mode == "RGB"


def test_sixteen_bits_of_grey_are_seen_as_a_screen_shows_them(tmp_path: Path) -> None:
    """Not clipped to white."""
    grey = Image.new("I;16", (40, 40), 257 * 100)
    assert pictures.decoded(saved(grey, tmp_path / "deep.png")).getpixel((3, 3)) == (100, 100, 100)


@pytest.mark.parametrize("side", [256, 900])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "LA", "CMYK"])
def test_a_thumbnail_is_small_whatever_it_shows(tmp_path: Path, mode: str, side: int) -> None:
    """At most 256 pixels and 20,000 bytes, also of pure noise."""
    noise = Image.frombytes("RGB", (side, side - 9), random.Random(1).randbytes(side * (side - 9) * 3)).convert(mode)
    data = pictures.thumbnail(saved(noise, tmp_path / ("x.jpg" if mode == "CMYK" else "x.png")))
    small = Image.open(io.BytesIO(data))
    hardest = mode == "1" and side == 256  # black and white dots, each of them kept
    assert (small.format, small.mode, max(small.size)) == ("JPEG", "RGB", 128 if hardest else 256)
    assert len(data) <= 20_000


def test_a_side_by_side_picture_holds_both_and_their_difference(tmp_path: Path) -> None:
    """Of any size and mode; equal halves leave the third black."""
    image = scene(size=(2000, 40))
    same = pictures.side_by_side(image, image)
    assert same.size == (3 * 512 + 16, 10)
    assert same.crop((2 * 520, 0, *same.size)).getextrema() == ((0, 0),) * 3
    pictures.side_by_side(scene(size=(1, 1)).convert("RGBA"), scene(size=(1, 1)))


def test_a_written_picture_has_pixels_and_no_metadata(tmp_path: Path) -> None:
    """And nothing half-written lies beside it."""
    notes = PngImagePlugin.PngInfo()
    notes.add_text("prompt", "secret plans")
    source = saved(scene(), tmp_path / "a.png", pnginfo=notes)
    pictures.write_png(pictures.decoded(source), tmp_path / "b.png")
    assert b"secret plans" not in (tmp_path / "b.png").read_bytes()
    assert pictures.difference(pictures.decoded(source), pictures.decoded(tmp_path / "b.png")) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("name", "kind", "media"),
    [
        ("a.png", "image", "image/png"),
        ("a.WEBP", "image", "image/webp"),
        ("a.webm", "video", "video/webm"),
        ("a.mp4", "video", "video/mp4"),
        ("a.flac", "audio", "audio/flac"),
        ("a.opus", "audio", "audio/opus"),
        ("a.mp3", "audio", "audio/mpeg"),
        ("a.txt", "text", "text/plain"),
        ("a.glb", "model", "model/gltf-binary"),
        ("a.obj", "model", "model/obj"),
        ("a.latent", "application", "application/octet-stream"),
        ("a.nobody-knows", "application", "application/octet-stream"),
    ],
)
def test_every_kind_of_output_has_its_media_type(name: str, kind: str, media: str) -> None:
    """The kind is its first half."""
    found = content_type(name)
    assert found == media
    assert Artifact(name, Path(name), "", 1, found).kind == kind


def test_a_media_type_does_not_hang_on_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tables differ from machine to machine, and so would a verdict."""
    mimetypes.init()
    monkeypatch.setitem(mimetypes.types_map, ".own", "image/own")
    assert content_type("x.own") == "application/octet-stream"
    assert content_type("x.bmp") == "image/bmp"
