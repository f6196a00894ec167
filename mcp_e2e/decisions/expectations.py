"""What a workflow's outputs are held against: one sentence for each thing that is not as expected.

A sentence says what was found, what was expected, and of which file.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mcp_e2e.model.work import Artifact, Collected, Comparison

COUNTS: Mapping[str, str] = {
    "images": "image",
    "videos": "video",
    "audios": "audio",
    "texts": "text",
    "models3d": "model",
}
NAMES = {"audios": "audio files", "models3d": "3D models"}
ALWAYS_DECODED = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")  # not TIFF: many a sound one is unknown to Pillow
MOST_SENTENCES = 6


@dataclass(frozen=True)
class Unmet:
    """``wish`` is the key of ``expect``; empty for what no output may be."""

    wish: str
    sentence: str


@dataclass(frozen=True)
class Shown:
    """What an attempt produced, beside what it is compared with.

    ``previous``: contents of the test's previous passed attempt, None when there is none or nobody asked.
    """

    collected: Collected
    seconds: float | None = None
    comparisons: Sequence[Comparison] = ()
    previous: Mapping[str, str] | None = None

    @property
    def images(self) -> list[Artifact]:
        return [each for each in self.collected.artifacts if each.image is not None or each.kind == "image"]


def unmet(shown: Shown, expect: Mapping[str, Any]) -> list[Unmet]:
    """All that is not as ``expect`` asks, the plainest first."""
    found = [Unmet("", problem) for problem in shown.collected.problems]
    found += [Unmet("", sentence) for sentence in _broken(shown)]
    for wish, check in _CHECKS.items():
        if wish in expect:
            found += [Unmet(wish, sentence) for sentence in check(shown, expect)]
    return found


def told(problems: Sequence[Unmet]) -> str:
    """One text of the first sentences, and how many more there are."""
    more = len(problems) - MOST_SENTENCES
    first = "; ".join(each.sentence for each in problems[:MOST_SENTENCES])
    return f"{first}; and {more} more" if more > 0 else first


def _broken(shown: Shown) -> Iterator[str]:
    for each in shown.collected.artifacts:
        if not each.bytes and each.kind != "text":
            yield f"{each.name} is empty: 0 bytes"
        elif each.image is None and each.name.lower().endswith(ALWAYS_DECODED):
            yield f"{each.name} ({each.bytes:,} bytes) is damaged: it cannot be read as an image"


Check = Callable[[Shown, Mapping[str, Any]], Iterator[str]]


def _files(shown: Shown, expect: Mapping[str, Any]) -> Iterator[str]:
    count = len(shown.collected.artifacts) + len(shown.collected.left_out)
    if count != expect["files"]:
        yield f"{count} files instead of {expect['files']}"


def _count(wish: str) -> Check:
    def check(shown: Shown, expect: Mapping[str, Any]) -> Iterator[str]:
        kind = COUNTS[wish]
        here = shown.images if kind == "image" else [a for a in shown.collected.artifacts if a.kind == kind]
        left_out = [each for each in shown.collected.left_out if each.content_type.startswith(f"{kind}/")]
        count = len(here) + len(left_out)
        if count != expect[wish]:
            yield f"{count} {NAMES.get(wish, wish)} instead of {expect[wish]}"

    return check


def _min_bytes(shown: Shown, expect: Mapping[str, Any]) -> Iterator[str]:
    for each in shown.collected.artifacts:
        if each.bytes < expect["min_bytes"]:
            yield f"{each.name} has {each.bytes:,} bytes, at least {expect['min_bytes']:,} expected"


def _side(wish: str) -> Check:
    limit, _, side = wish.rpartition("_")
    words = {"min": "at least ", "max": "at most "}.get(limit, "")

    def check(shown: Shown, expect: Mapping[str, Any]) -> Iterator[str]:
        wanted = expect[wish]
        for each in shown.images:
            if each.image is None:
                yield from _unseen(each)
                continue
            seen = getattr(each.image, side)
            if (limit != "max" and seen < wanted) or (limit != "min" and seen > wanted):
                yield f"{each.name} has {side} {seen}, {words}{wanted} expected"

    return check


def _unseen(each: Artifact) -> Iterator[str]:
    """Of an image whose pixels are not known; a damaged one has its sentence already."""
    if each.image is not None:
        yield f"{each.name} is {each.image.width} x {each.image.height}, too large to be looked at"
    elif not each.name.lower().endswith(ALWAYS_DECODED):
        yield f"{each.name} ({each.content_type}) cannot be looked at: only PNG, JPEG, WebP, GIF, BMP, plain TIFF can"


def _not_blank(shown: Shown, _: Mapping[str, Any]) -> Iterator[str]:
    for each in shown.images:
        if each.image is None or each.image.blank is None:
            yield from _unseen(each)
        elif each.image.blank:
            yield f"{each.name} is blank: every pixel has one colour"


def _different(shown: Shown, _: Mapping[str, Any]) -> Iterator[str]:
    if shown.previous is None:
        return
    before = {content: name for name, content in shown.previous.items()}
    for each in shown.collected.artifacts:
        if each.content is not None and each.content in before:
            what = "pixels" if each.image is not None else "text"
            yield f"{each.name} has the same {what} as {before[each.content]} of the previous passed attempt"
        elif each.content is None and each in shown.images:
            yield from _unseen(each)
    if not any(each.content is not None for each in shown.collected.artifacts):
        yield "whether anything is different cannot be told: there is no image and no text to compare"


def _alike(shown: Shown, expect: Mapping[str, Any]) -> Iterator[str]:
    for each in shown.comparisons:
        if each.difference is None:
            yield f"{each.image}: {each.problem}" if each.image else str(each.problem)
        elif each.difference > expect["tolerance"]:
            seen = f" (see {each.picture.parent.name}/{each.picture.name})" if each.picture else ""
            yield (
                f"{each.image} differs from {each.golden} by {each.difference:.4f}, "
                f"at most {expect['tolerance']:g} expected{seen}"
            )


def _max_seconds(shown: Shown, expect: Mapping[str, Any]) -> Iterator[str]:
    if shown.seconds is not None and shown.seconds > expect["max_seconds"]:
        yield f"it took {shown.seconds:.1f} s, at most {expect['max_seconds']:g} s expected"


_CHECKS: Mapping[str, Check] = {
    "files": _files,
    **{wish: _count(wish) for wish in COUNTS},
    "min_bytes": _min_bytes,
    **{wish: _side(wish) for side in ("width", "height") for wish in (side, f"min_{side}", f"max_{side}")},
    "not_blank": _not_blank,
    "different": _different,
    "similar_to": _alike,
    "golden": _alike,
    "max_seconds": _max_seconds,
}
