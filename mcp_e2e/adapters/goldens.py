"""Golden images: one PNG for each image of a test, named by node and number, in a folder that is committed."""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mcp_e2e.model.work import Artifact, Comparison
from mcp_e2e.settings import Loaded, TestConfig

SUFFIX = ".png"
COMPARED = "compared"
_KEY = re.compile(r"[0-9A-Za-z_.]+-[0-9]+")  # as ``file_key`` writes it; a picture of another name is a person's own


def folder_of(loaded: Loaded, test: str) -> Path:
    """Where the golden images of a test are kept."""
    return loaded.folder(loaded.settings.project.golden_dir) / test


def reference(loaded: Loaded, test: TestConfig) -> Path | None:
    """What the images of a test are compared with: one image, or the folder of its golden ones; None: nothing."""
    if test.expect is None:
        return None
    if test.expect.golden:
        return folder_of(loaded, test.id)
    return loaded.folder(test.expect.similar_to) if test.expect.similar_to is not None else None


def missing(loaded: Loaded, test: TestConfig) -> list[str]:
    """One sentence for each image to compare with that is not there, or is none."""
    wanted = reference(loaded, test)
    if wanted is None:
        return []
    from mcp_e2e.adapters import pictures  # noqa: PLC0415  loaded when it is needed: a server starts without

    golden = test.expect is not None and test.expect.golden
    found = list(kept(wanted).values()) if golden else [wanted]
    if not found:
        how = "Run it once without golden = true, look at its images, and a person accepts them"
        return [f"no golden image has been accepted in {wanted}. {how}: mcp-e2e golden accept {test.id}"]
    what = "the golden image" if golden else "similar_to:"
    return [
        f"{what} {path} {'is no readable image' if path.exists() else 'is missing'}"
        for path in found
        if not pictures.readable(path)
    ]


def kept(folder: Path) -> dict[str, Path]:
    """The accepted images of one test by their key; none where there is no such folder."""
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}")) if _KEY.fullmatch(path.stem)}


def against_kept(images: Sequence[Artifact], folder: Path, limit: float) -> list[Comparison]:
    """Each image beside its golden one; what is on one side only is a problem. Pictures go beside the images."""
    goldens = kept(folder)
    unused = [_shown(path) for key, path in goldens.items() if key not in {image.key for image in images}]
    found = list(_against_kept(images, goldens, folder, limit))
    return found + [Comparison("", name, None, f"there is no image like {name} this time") for name in unused]


def _against_kept(
    images: Sequence[Artifact], goldens: Mapping[str, Path], folder: Path, limit: float
) -> Iterator[Comparison]:
    for image in images:
        name = f"{image.key}{SUFFIX}"
        if image.key in goldens:
            yield compared(image, goldens[image.key], limit)
        else:
            problem = f"no golden image {name} has been accepted: mcp-e2e golden accept {folder.name}"
            yield Comparison(image.name, name, None, problem)


def against_one(images: Sequence[Artifact], golden: Path, limit: float) -> list[Comparison]:
    """Every image beside the same one."""
    if not images:
        return [Comparison("", golden.name, None, f"there is no image to compare with {golden.name}")]
    return [compared(image, golden, limit) for image in images]


def compared(image: Artifact, golden: Path, limit: float) -> Comparison:
    """How far the two differ; beyond ``limit`` with a picture of both beside the image."""
    from mcp_e2e.adapters import pictures  # noqa: PLC0415  loaded when it is needed: a server starts without

    name = _shown(golden)
    try:
        old = pictures.decoded(golden)
    except pictures.Unreadable as why:
        return Comparison(image.name, name, None, f"its golden image {golden} {why}")
    try:
        new = pictures.decoded(image.path)
    except pictures.Unreadable as why:
        return Comparison(image.name, name, None, str(why))
    if old.size != new.size:
        sizes = f"is {new.width} x {new.height}, {name} is {old.width} x {old.height}"
        return Comparison(image.name, name, None, sizes)
    apart = pictures.difference(old, new)
    picture = None
    if apart > limit:
        path = image.path.with_name(COMPARED) / f"{image.key}{SUFFIX}"  # where no output can lie
        with contextlib.suppress(OSError):  # an output of that name, or a full disk: the number alone tells enough
            path.parent.mkdir(exist_ok=True)
            pictures.write_png(pictures.side_by_side(old, new), path)
            picture = path
    return Comparison(image.name, name, apart, picture=picture)


def _shown(golden: Path) -> str:
    return f"{golden.parent.name}/{golden.name}"
