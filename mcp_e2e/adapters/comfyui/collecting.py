"""Bring home what a prompt produced: from its own folder where that is provably the same file, else by ``/view``."""

import contextlib
import errno
import hashlib
import re
import shutil
import stat
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

import anyio
import anyio.to_thread

from mcp_e2e.adapters.media import content_type
from mcp_e2e.errors import NotFound, StoreError
from mcp_e2e.model.work import Artifact, Collected, LeftOut, NodeText, OutputFile

if TYPE_CHECKING:
    import httpx

MAX_FILES = 200
MAX_BYTES = 1 << 30  # one file
MAX_TOTAL_BYTES = 4 << 30
CLOCK_S = 2.0  # file systems round the time of a change, some to two seconds
PART = ".part"  # what is being written: no collected name begins with a dot
STEM_BYTES, SUFFIX_BYTES = 100, 20  # in UTF-8: file systems take 255 for a name
_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\.|$)", re.IGNORECASE)  # to Windows
_FULL = {errno.ENOSPC, errno.EDQUOT}


class Source(Protocol):
    """Where files are fetched from; raises ``NotFound`` for one that is listed but gone."""

    def fetch(self, file: OutputFile) -> "AbstractAsyncContextManager[httpx.Response]": ...


@dataclass(frozen=True)
class Disk:
    """The outputs folder of a service that we have started on this machine, and when (UTC seconds) a prompt began."""

    outputs: Path
    since: float

    def holds(self, file: OutputFile) -> Path | None:
        """The file that the prompt wrote: a regular one inside the folder, no link out of it, not older than it."""
        if file.type != "output":
            return None
        path = self.outputs / file.subfolder / file.filename
        try:
            found = path.lstat()
            inside = path.resolve().is_relative_to(self.outputs.resolve())
        except (OSError, ValueError):
            return None
        fresh = stat.S_ISREG(found.st_mode) and found.st_mtime >= self.since - CLOCK_S
        return path if inside and fresh else None


@dataclass
class _Bag:
    """What has been collected so far, and the limits of it."""

    folder: Path
    artifacts: list[Artifact] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    bytes: int = 0

    def room(self) -> int:
        """Bytes that the next file may have; 0 where no file may come any more."""
        return min(MAX_BYTES, MAX_TOTAL_BYTES - self.bytes) if len(self.artifacts) < MAX_FILES else 0

    def path(self, file: OutputFile) -> Path:
        return self.folder / safe_name(file, {artifact.name.casefold() for artifact in self.artifacts})

    def leave_out(self, name: str) -> None:
        why = f"larger than {MAX_BYTES:,} bytes"
        if len(self.artifacts) >= MAX_FILES:
            why = f"one of more than {MAX_FILES} files"
        elif self.room() < MAX_BYTES:
            why = f"with it the files would have more than {MAX_TOTAL_BYTES:,} bytes"
        self.left_out.append(LeftOut(name, content_type(name), why))

    def unwritten(self, node: str, name: str, error: OSError) -> None:
        """A problem; of a full disk StoreError, since it tells nothing about the outputs."""
        if error.errno in _FULL:
            remedy = "Make room there, or set [project] state_dir to another disk, then run the test again."
            raise StoreError(f"the outputs do not fit into {self.folder}: {error.strerror}", remedy=remedy) from error
        self.problems.append(f"node {node} listed {name}, which cannot be written: {error.strerror or error}.")

    def add(self, artifact: Artifact) -> None:
        self.artifacts.append(artifact)
        self.bytes += artifact.bytes


async def collect(
    source: Source,
    files: Sequence[OutputFile],
    folder: Path,
    *,
    texts: Sequence[NodeText] = (),
    disk: Disk | None = None,
) -> Collected:
    """Bring ``files`` and ``texts`` into ``folder`` (made when missing) under safe, unique names; look at the images.

    What the server no longer has, or cannot be written, becomes a problem; what goes beyond our limits is left out and
    told. Raises StoreError when the disk is full.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    bag, nths = _Bag(folder), dict[str, int]()
    for file in dict.fromkeys(files):
        await _bring(source, file, bag, nths, disk)
    for text in texts:  # after the files: a node may tell any number of them
        await anyio.to_thread.run_sync(_write, text, bag)
    return Collected(tuple(bag.artifacts), tuple(bag.problems), tuple(bag.left_out))


async def _bring(source: Source, file: OutputFile, bag: _Bag, nths: dict[str, int], disk: Disk | None) -> None:
    import httpx  # noqa: PLC0415  loaded when it is needed: a server starts without

    path, room = bag.path(file), bag.room()
    try:
        sha256, size = await _kept(source, file, path, room, disk) if room else (None, 0)
    except NotFound as gone:
        bag.problems.append(f"node {file.node} listed {gone.message}")
        return
    except (ValueError, httpx.InvalidURL):  # half a character in its name, which no address can hold
        bag.problems.append(f"node {file.node} listed {path.name} under a name that cannot be asked for.")
        return
    except OSError as error:
        bag.unwritten(file.node, path.name, error)
        return
    nths[file.node] = nth = nths.get(file.node, 0) + 1
    if sha256 is None:
        bag.leave_out(path.name)
    else:
        bag.add(await anyio.to_thread.run_sync(_artifact, path, sha256, size, file_key(file.node, nth)))


def _write(text: NodeText, bag: _Bag) -> None:
    path = bag.path(OutputFile(text.node, f"text_{text.node}.txt", "", "text"))
    data, room = text.text.encode("utf-8", "replace"), bag.room()
    if not room or len(data) > room:
        bag.leave_out(path.name)
        return
    try:
        path.write_bytes(data)
    except OSError as error:
        bag.unwritten(text.node, path.name, error)
    else:
        bag.add(_artifact(path, hashlib.sha256(data).hexdigest(), len(data)))


async def _kept(source: Source, file: OutputFile, path: Path, room: int, disk: Disk | None) -> tuple[str | None, int]:
    """Hash and size of the file, now at ``path``; no hash when it is larger than ``room``."""
    here = disk.holds(file) if disk else None
    if here is not None:
        with contextlib.suppress(OSError):  # not ours to read, or gone in this moment: the server may still have it
            return await anyio.to_thread.run_sync(_copy, here, path, room)
    return await _download(source, file, path, room)


def _copy(here: Path, path: Path, room: int) -> tuple[str | None, int]:
    part = path.with_name(PART)
    try:
        if (size := here.stat().st_size) > room:
            return None, size
        shutil.copyfile(here, part)
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        part.replace(path)
        return digest, path.stat().st_size
    finally:
        part.unlink(missing_ok=True)


async def _download(source: Source, file: OutputFile, path: Path, room: int) -> tuple[str | None, int]:
    digest, size = hashlib.sha256(), 0
    part = path.with_name(PART)
    try:
        async with source.fetch(file) as reply, await anyio.open_file(part, "wb") as target:
            async for chunk in reply.aiter_bytes():
                size += len(chunk)
                if size > room:
                    return None, size
                digest.update(chunk)
                await target.write(chunk)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return digest.hexdigest(), size


def _artifact(path: Path, sha256: str, size: int, key: str = "") -> Artifact:
    from mcp_e2e.adapters import pictures  # noqa: PLC0415  loaded when it is needed: a server starts without

    found, kind = pictures.look(path), content_type(path.name)
    if found is not None:
        return Artifact(path.name, path, sha256, size, kind, found.facts, found.content, key)
    content = sha256 if kind.startswith("text/") else None
    return Artifact(path.name, path, sha256, size, kind, None, content, key)


def file_key(node: str, nth: int) -> str:
    """Which output of a workflow it is, in every attempt the same: ``9-1``. Plain enough for a file name."""
    return f"{re.sub(r'[^0-9A-Za-z_.]+', '.', node)}-{nth}"


def safe_name(file: OutputFile, taken: set[str]) -> str:
    """A plain file name for what a server calls ``file``: no folders, no leading dot, some 130 bytes, no device.

    ``taken``: the names in use, in lower case, since some file systems do not tell cases apart.
    """
    base = PurePosixPath(file.filename.replace("\\", "/")).name
    plain = re.sub(r"[^\w.+()-]+", "_", base).lstrip(".") or "output"
    plain = f"_{plain}" if _DEVICES.match(plain) else plain
    stem, suffix = _shortened(Path(plain).stem, STEM_BYTES), _shortened(Path(plain).suffix, SUFFIX_BYTES)
    name, n = f"{stem}{suffix}", 1
    while name.casefold() in taken:
        n += 1
        name = f"{stem}-{n}{suffix}"
    return name


def _shortened(text: str, size: int) -> str:
    """Its beginning of at most ``size`` bytes in UTF-8, no character of it halved."""
    return text.encode()[:size].decode(errors="ignore")
