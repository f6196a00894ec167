"""What is expected and what was found: one sentence for each difference, none where there is none."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_e2e.decisions import expectations, verdict
from mcp_e2e.decisions.expectations import Shown, Unmet, told, unmet
from mcp_e2e.model.runs import Verdict
from mcp_e2e.model.work import Artifact, Collected, Comparison, ImageFacts, LeftOut, OutputFile, PromptFacts

TYPES = {"png": "image/png", "mp4": "video/mp4", "flac": "audio/flac", "txt": "text/plain", "glb": "model/gltf-binary"}
DONE = PromptFacts("p", "success", ("9",), (), (OutputFile("9", "x.png", "", "output"),), output_nodes=("9",))


def artifact(name: str, *, size: int = 1000, image: ImageFacts | None = None, content: str | None = None) -> Artifact:
    suffix = name.rpartition(".")[2]
    return Artifact(name, Path("/a", name), "0" * 64, size, TYPES.get(suffix, "image/x-exr"), image, content, "9-1")


def picture(width: int = 512, height: int = 512, *, blank: bool | None = False, content: str = "c1") -> Artifact:
    return artifact("x.png", image=ImageFacts(width, height, blank), content=content)


def shown(*artifacts: Artifact, **more: Any) -> Shown:
    return Shown(Collected(artifacts, more.pop("problems", ()), more.pop("left_out", ())), **more)


def sentences(found: Shown, **expect: Any) -> list[str]:
    return [each.sentence for each in unmet(found, expect)]


ALL = (picture(), artifact("v.mp4"), artifact("a.flac"), artifact("t.txt"), artifact("m.glb"))


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ({"files": 4}, "5 files instead of 4"),
        ({"images": 2}, "1 images instead of 2"),
        ({"images": 0}, "1 images instead of 0"),
        ({"videos": 2}, "1 videos instead of 2"),
        ({"audios": 0}, "1 audio files instead of 0"),
        ({"texts": 3}, "1 texts instead of 3"),
        ({"models3d": 0}, "1 3D models instead of 0"),
        ({"width": 511}, "x.png has width 512, 511 expected"),
        ({"height": 513}, "x.png has height 512, 513 expected"),
        ({"min_width": 513}, "x.png has width 512, at least 513 expected"),
        ({"max_width": 511}, "x.png has width 512, at most 511 expected"),
        ({"max_height": 8}, "x.png has height 512, at most 8 expected"),
        ({"max_seconds": 2}, "it took 2.5 s, at most 2 s expected"),
    ],
)
def test_each_wish_has_its_sentence(expect: dict[str, Any], said: str) -> None:
    """What was found, what was expected, which file."""
    assert sentences(shown(*ALL, seconds=2.5), **expect) == [said]


def test_what_is_as_expected_is_not_mentioned() -> None:
    """All wishes at once, every one met on its very limit."""
    met = {"files": 5, "images": 1, "videos": 1, "audios": 1, "texts": 1, "models3d": 1, "min_bytes": 1000}
    met |= {"min_width": 512, "max_width": 512, "height": 512, "not_blank": True, "different": True}
    met |= {"golden": True, "tolerance": 0.05, "max_seconds": 2.5}
    alike = [Comparison("x.png", "portrait/9-1.png", 0.05)]
    assert sentences(shown(*ALL, seconds=2.5, comparisons=alike, previous={"x.png": "c0"}), **met) == []


def test_too_small_a_file_is_named_with_its_size() -> None:
    """Each of them."""
    found = sentences(shown(picture(), artifact("v.mp4", size=12)), min_bytes=1000)
    assert found == ["v.mp4 has 12 bytes, at least 1,000 expected"]


def test_what_is_empty_or_damaged_never_passes() -> None:
    """Without any wish; a text may be empty, and a format that cannot be read here is not damaged."""
    empty, damaged = artifact("e.png", size=0), artifact("d.png")
    assert sentences(shown(empty, damaged, artifact("t.txt", size=0), artifact("x.exr"))) == [
        "e.png is empty: 0 bytes",
        "d.png (1,000 bytes) is damaged: it cannot be read as an image",
    ]
    assert sentences(shown(damaged), images=1, min_width=4, not_blank=True) == [
        "d.png (1,000 bytes) is damaged: it cannot be read as an image"
    ]


@pytest.mark.parametrize("wish", ["min_width", "not_blank", "different"])
def test_what_cannot_be_looked_at_is_no_pass(wish: str) -> None:
    """A format that is not read here; pixels that are too many to decode, where pixels are asked for."""
    unread = sentences(shown(artifact("x.exr"), previous={}), **{wish: 4})
    assert "x.exr (image/x-exr) cannot be looked at" in unread[0]
    huge = artifact("h.png", image=ImageFacts(90_000, 9_000, None))
    found = sentences(shown(huge, previous={}), **{wish: 4})
    assert ("too large to be looked at" in "".join(found)) == (wish != "min_width")


def test_a_blank_image_is_named() -> None:
    """One colour, or nothing visible."""
    assert sentences(shown(picture(blank=True)), not_blank=True) == ["x.png is blank: every pixel has one colour"]
    assert sentences(shown(picture(blank=True))) == []


def test_an_image_that_was_there_before_is_not_different() -> None:
    """By its pixels, under whatever name; without a passed attempt before there is nothing to compare."""
    again = shown(picture(content="c1"), previous={"old.png": "c1", "other.png": "c2"})
    assert sentences(again, different=True) == ["x.png has the same pixels as old.png of the previous passed attempt"]
    text = shown(artifact("t.txt", content="t1"), previous={"t.txt": "t1"})
    assert "same text as t.txt" in sentences(text, different=True)[0]
    assert sentences(shown(picture(content="c3"), previous={"old.png": "c1"}), different=True) == []
    assert sentences(shown(picture(), previous=None), different=True) == []
    assert "cannot be told" in sentences(shown(artifact("v.mp4"), previous={}), different=True)[0]


def test_a_difference_over_the_limit_tells_both_and_the_picture() -> None:
    """At the limit it is alike."""
    apart = Comparison("x.png", "portrait/9-1.png", 0.31234, picture=Path("/a/compared/9-1.png"))
    found = sentences(shown(picture(), comparisons=[apart]), golden=True, tolerance=0.05)
    assert found == [
        "x.png differs from portrait/9-1.png by 0.3123, at most 0.05 expected (see compared/9-1.png)",
    ]
    sizes = Comparison("x.png", "portrait/9-1.png", None, "is 8 x 8, portrait/9-1.png is 9 x 9")
    lone = Comparison("", "portrait/9-2.png", None, "there is no image like portrait/9-2.png this time")
    assert sentences(shown(picture(), comparisons=[sizes, lone]), similar_to="a.png", tolerance=1) == [
        "x.png: is 8 x 8, portrait/9-1.png is 9 x 9",
        "there is no image like portrait/9-2.png this time",
    ]


def test_a_tiff_that_cannot_be_read_here_is_not_called_damaged() -> None:
    """Pillow knows few of its kinds: it passes, unless its pixels are asked for."""
    deep = artifact("deep.tif")
    assert sentences(shown(deep)) == []
    (sentence,) = sentences(shown(deep), not_blank=True)
    assert "cannot be looked at" in sentence


def test_what_was_left_out_is_counted_all_the_same() -> None:
    """Our own limits fail no test that expects two hundred images and one."""
    left = (LeftOut("z.png", "image/png", "one of more than 200 files"),)
    assert sentences(shown(picture(), left_out=left), images=2, files=2) == []
    judged = verdict.of_prompt("t", DONE, shown(left_out=left), {})
    assert judged.verdict is Verdict.PASSED


def test_many_sentences_become_a_few_and_a_number() -> None:
    """A failing batch of a hundred is no wall of text."""
    many = [artifact(f"{n}.png", size=0) for n in range(100)]
    message = told(unmet(shown(*many), {}))
    assert message.startswith("0.png is empty: 0 bytes; 1.png")
    assert message.endswith("; and 94 more")
    assert told([Unmet("", "one")]) == "one"


@given(st.lists(st.sampled_from(sorted(TYPES)), max_size=12))
def test_the_counts_by_kind_are_what_is_there(kinds: list[str]) -> None:
    """For every bag of files: its own counts are met, one more or less is not."""
    files = [
        artifact(f"{n}.{kind}", image=ImageFacts(8, 8, False) if kind == "png" else None)
        for n, kind in enumerate(kinds)
    ]
    counts = {
        wish: sum(TYPES[kind].startswith(f"{group}/") for kind in kinds) for wish, group in expectations.COUNTS.items()
    }
    assert sentences(shown(*files), **counts, files=len(kinds)) == []
    for wish, count in counts.items():
        assert len(sentences(shown(*files), **{wish: count + 1})) == 1


@given(
    st.integers(1, 5000), st.integers(1, 5000), st.sampled_from(["width", "height"]), st.sampled_from(["min", "max"])
)
def test_a_side_within_its_limit_passes_and_one_beyond_does_not(seen: int, limit: int, side: str, end: str) -> None:
    """The limit itself is within."""
    image = picture(**{side: seen})
    within = seen >= limit if end == "min" else seen <= limit
    assert (sentences(shown(image), **{f"{end}_{side}": limit}) == []) == within
    assert (sentences(shown(image), **{side: limit}) == []) == (seen == limit)
