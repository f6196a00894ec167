"""What a finished prompt left behind: its history entry as facts, its files brought home as artifacts."""

import hashlib
import mimetypes
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Protocol

import anyio
import httpx
from PIL import Image, UnidentifiedImageError

from mcp_e2e.adapters.comfyui.raised import node_error
from mcp_e2e.errors import NotFound
from mcp_e2e.model.work import Artifact, Collected, ImageFacts, OutputFile, PromptFacts

MAX_PIXELS = 64_000_000  # decoded at most; about 256 MB of RGBA
MAX_BYTES = 1 << 30  # one file
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
# Pillow would refuse to read even the size of a big picture; here the size is read and MAX_PIXELS guards decoding.
Image.MAX_IMAGE_PIXELS = None


def prompt_facts(prompt_id: str, entry: Mapping[str, Any]) -> PromptFacts:
    """The facts of one history entry; missing or unknown fields are taken as normal."""
    status = entry.get("status") or {}
    messages: dict[str, Mapping[str, Any]] = {
        str(name): data for name, data in status.get("messages", ()) if isinstance(data, Mapping)
    }
    cached = tuple(map(str, messages.get("execution_cached", {}).get("nodes", ())))
    outcome: Literal["success", "error", "interrupted"] = "success"
    if "execution_interrupted" in messages:
        outcome = "interrupted"
    elif "execution_error" in messages or status.get("status_str", "success") != "success":
        outcome = "error"
    graph, output_nodes = _asked(entry)
    ended = messages.get(f"execution_{outcome}", {})
    executed = ended.get("executed", ()) if outcome != "success" else set(_needed(graph, output_nodes)) - set(cached)
    return PromptFacts(
        prompt_id=prompt_id,
        status=outcome,
        executed=tuple(sorted(map(str, executed))),
        cached=cached,
        outputs=tuple(_files(entry.get("outputs") or {})),
        output_nodes=output_nodes,
        error=node_error(ended, graph) if outcome == "error" else None,
        started_ms=messages.get("execution_start", {}).get("timestamp"),
        ended_ms=ended.get("timestamp"),
    )


def _asked(entry: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    item = list(entry.get("prompt") or ())
    graph = item[2] if len(item) > 2 and isinstance(item[2], Mapping) else {}
    return graph, tuple(map(str, item[4])) if len(item) > 4 else ()


def _needed(graph: Mapping[str, Any], output_nodes: Sequence[str]) -> set[str]:
    needed: set[str] = set()
    frontier = list(output_nodes)
    while frontier:
        node = frontier.pop()
        if node in needed or node not in graph:
            continue
        needed.add(node)
        links = graph[node].get("inputs", {}).values()
        frontier.extend(str(link[0]) for link in links if isinstance(link, list) and len(link) == 2)
    return needed


def _files(outputs: Mapping[str, Any]) -> Iterator[OutputFile]:
    for node, groups in outputs.items():
        for items in groups.values() if isinstance(groups, Mapping) else ():
            for item in items if isinstance(items, list) else ():
                if isinstance(item, Mapping) and isinstance(item.get("filename"), str):
                    where = str(item.get("subfolder") or ""), str(item.get("type") or "output")
                    yield OutputFile(str(node), item["filename"], *where)


class Source(Protocol):
    """Where files are fetched from; raises ``NotFound`` for one that is listed but gone."""

    def fetch(self, file: OutputFile) -> AbstractAsyncContextManager[httpx.Response]: ...


async def collect(source: Source, files: Sequence[OutputFile], folder: Path) -> Collected:
    """Download ``files`` into ``folder`` (made when missing) under safe, unique names, and look at the images.

    What the server no longer has or what is larger than ``MAX_BYTES`` becomes a problem, not an error.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    artifacts: list[Artifact] = []
    problems: list[str] = []
    for file in dict.fromkeys(files):
        path = folder / safe_name(file, {artifact.name.casefold() for artifact in artifacts})
        try:
            sha256, size = await _download(source, file, path)
        except NotFound as gone:
            problems.append(f"node {file.node} listed {gone.message}")
            continue
        if sha256 is None:
            problems.append(f"node {file.node} listed {file.filename}: larger than {MAX_BYTES} bytes, not kept.")
            continue
        image = await anyio.to_thread.run_sync(image_facts, path)
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        artifacts.append(Artifact(path.name, path, sha256, size, kind, image))
    return Collected(tuple(artifacts), tuple(problems))


async def _download(source: Source, file: OutputFile, path: Path) -> tuple[str | None, int]:
    digest, size = hashlib.sha256(), 0
    part = path.with_name(f".{path.name}.part")
    try:
        async with source.fetch(file) as reply, await anyio.open_file(part, "wb") as target:
            async for chunk in reply.aiter_bytes():
                size += len(chunk)
                if size > MAX_BYTES:
                    return None, size
                digest.update(chunk)
                await target.write(chunk)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return digest.hexdigest(), size


def safe_name(file: OutputFile, taken: set[str]) -> str:
    """A plain file name for what a server calls ``file``: no folders, no leading dot, at most 130 characters.

    ``taken``: the names in use, in lower case, since some file systems do not tell cases apart.
    """
    base = PurePosixPath(file.filename.replace("\\", "/")).name
    plain = re.sub(r"[^\w.+()-]+", "_", base).lstrip(".") or "output"
    stem, suffix = Path(plain).stem[:100], Path(plain).suffix[:20]
    name, n = f"{stem}{suffix}", 1
    while name.casefold() in taken:
        n += 1
        name = f"{stem}-{n}{suffix}"
    return name


def image_facts(path: Path) -> ImageFacts | None:
    """Size and blankness of an image file; None when it is no image or too damaged to decode."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                return ImageFacts(width, height, None)
            pixels = image.convert("RGBA") if image.mode in ("P", "PA", "LA") else image
            return ImageFacts(width, height, _one_colour(pixels))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return None


def _one_colour(image: Image.Image) -> bool:
    extrema = [image.getchannel(band).getextrema() for band in image.getbands()]
    invisible = image.mode == "RGBA" and extrema[-1] == (0, 0)
    return invisible or all(low == high for low, high in extrema)
