"""Workflow files of a project: found within bounds, told apart from other JSON, and what each certainly saves."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mcp_e2e.adapters.comfyui.installation import missing_marks
from mcp_e2e.adapters.comfyui.workflow import Graph, load, parsed
from mcp_e2e.errors import SetupError

FOLDERS = frozenset({"workflows", "workflow", "example_workflows"})
_NAMED_API = re.compile(r"[ _.-]\(?api\)?\.json$", re.IGNORECASE)
_SKIPPED = frozenset(
    {"node_modules", "site-packages", "__pycache__", "venv", "env", "dist", "build", "models", "output"}
)
_DEPTH, _ENTRIES, _FILES = 6, 20_000, 200
_BYTES = 16 << 20

_SAVES = "SaveImage"
_SOURCES = frozenset({"EmptyImage", "EmptyLatentImage", "EmptySD3LatentImage"})  # their batch_size is what comes out
_PASSES = {  # one comes out for each that goes in here
    **dict.fromkeys(("VAEDecode", "VAEDecodeTiled", "LatentUpscale", "LatentUpscaleBy"), "samples"),
    **dict.fromkeys(("KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced"), "latent_image"),
    **dict.fromkeys(("ImageScale", "ImageScaleBy", "ImageInvert", "ImageBlur", "ImageSharpen"), "image"),
    "ImageUpscaleWithModel": "image",
    "VAEEncode": "pixels",
}


@dataclass(frozen=True)
class Sorted:
    """The workflow files of a project, each list in order of their paths."""

    workflows: tuple[tuple[Path, Graph], ...] = ()
    not_exported: tuple[Path, ...] = ()  # in the editor's own format
    broken: tuple[tuple[Path, str], ...] = ()
    stopped: bool = False  # the search came to its bounds


def sort(project: Path) -> Sorted:
    """Look through ``project``: JSON in folders that are named for workflows, and files that are named for the API."""
    workflows: list[tuple[Path, Graph]] = []
    not_exported: list[Path] = []
    broken: list[tuple[Path, str]] = []
    files, stopped = _files(project)
    for path in files:
        try:
            text = _text(path)
            data = parsed(text, path.name)
            if _is_editors(data):
                not_exported.append(path)
            elif _looks_like_api(data):
                path.relative_to(project).as_posix().encode()
                workflows.append((path, load(text, path.name)))
        except SetupError as error:
            broken.append((path, error.message.removeprefix(path.name).lstrip(": ").rstrip(".")))
        except UnicodeEncodeError:
            broken.append((path, "has a name that is not UTF-8, which a configuration cannot hold: rename it"))
        except (OSError, UnicodeDecodeError) as error:
            broken.append((path, f"cannot be read: {type(error).__name__}"))
    return Sorted(tuple(workflows), tuple(not_exported), tuple(broken), stopped)


def _text(path: Path) -> str:
    """Raises SetupError for what may not end or is not the project's own: a link, a pipe, a huge file."""
    seen = path.lstat()
    if stat.S_ISLNK(seen.st_mode):
        raise SetupError(f"{path.name} is a link, which is not followed")
    if not stat.S_ISREG(seen.st_mode):
        raise SetupError(f"{path.name} is no regular file")
    if seen.st_size > _BYTES:
        raise SetupError(f"{path.name} is larger than {_BYTES >> 20} MB")
    return path.read_text("utf-8-sig")


def images_of(graph: Graph) -> int | None:
    """How many images the workflow certainly gives; None where a node decides it that is not known here."""
    read = {node for each in graph.nodes for node in graph.feeders(each)}
    ends = [node for node in graph.nodes if graph.class_of(node) == _SAVES or node not in read]
    counts = [_batch(graph, node, "images") if graph.class_of(node) == _SAVES else None for node in ends]
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


def _batch(graph: Graph, node: str, field: str) -> int | None:
    """Follow the images of ``node``'s input back to what makes them."""
    for _ in range(len(graph.nodes)):
        link = graph.nodes[node]["inputs"].get(field)
        if not isinstance(link, list) or not link or str(link[0]) not in graph.nodes:
            return None
        node = str(link[0])
        name = graph.class_of(node)
        if name in _SOURCES:
            size = graph.nodes[node]["inputs"].get("batch_size", 1)
            return size if type(size) is int and size > 0 else None
        if name not in _PASSES:
            return None
        field = _PASSES[name]
    return None


def _is_editors(data: object) -> bool:
    return isinstance(data, dict) and isinstance(data.get("nodes"), list) and "links" in data


def _looks_like_api(data: object) -> bool:
    if isinstance(data, dict) and isinstance(data.get("prompt"), dict):
        data = data["prompt"]
    return isinstance(data, dict) and any(isinstance(node, dict) and "class_type" in node for node in data.values())


def _files(project: Path) -> tuple[list[Path], bool]:
    found: list[Path] = []
    for seen, (path, here) in enumerate(_walk(project)):
        if seen == _ENTRIES or len(found) == _FILES:
            return sorted(found), True
        if path.suffix.casefold() == ".json" and (here or _NAMED_API.search(path.name)):
            found.append(path)
    return sorted(found), False


def _walk(project: Path) -> Iterator[tuple[Path, bool]]:
    """Files, and whether a folder above is named for workflows; no hidden folder, no link to one, no environment."""
    for at, folders, names in os.walk(project):
        here = Path(at)
        parts = here.relative_to(project).parts
        folders[:] = sorted(name for name in folders if _entered(here / name, len(parts)))
        named = any(part.casefold() in FOLDERS for part in parts)
        for name in sorted(names):
            yield here / name, named


def _entered(folder: Path, depth: int) -> bool:
    name = folder.name
    if depth >= _DEPTH or name.startswith(".") or name.casefold() in _SKIPPED or (folder / "pyvenv.cfg").exists():
        return False
    if name == "custom_nodes" and not missing_marks(folder.parent):  # what came with other people's nodes
        return False
    return bool(missing_marks(folder))  # a ComfyUI in the project has its own
