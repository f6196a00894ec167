"""Clean outputs before a test: delete what earlier attempts wrote, and nothing else. Folders stay.

What an attempt collected is deleted by the name it was collected under and its content, as long as it is as old as the
attempt: a later file of the same name and content is somebody else's. What a glob names is deleted by its age alone.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from mcp_e2e.adapters.removal import plain_parts, remove
from mcp_e2e.errors import ConfigError

CLOCK_S = 2.0  # what the times of files are rounded to at worst


@dataclass(frozen=True)
class Produced:
    """A file as its server named it, with the SHA-256 sums and sizes of what its attempt collected.

    ``since`` and ``until`` are the attempt's own span in epoch seconds.
    """

    subfolder: str
    filename: str
    contents: frozenset[tuple[str, int]]
    since: float
    until: float


def clean_produced(root: Path, files: Sequence[Produced]) -> list[Path]:
    """Delete ``files`` below ``root``, the server's output folder; returns what was deleted, in their order."""
    deleted = []
    for file in files:
        parts = plain_parts(file.subfolder, file.filename)
        if parts is None or plain_parts(file.filename) != parts[-1:]:
            continue

        def ours(found: os.stat_result, sha256: Callable[[], str], file: Produced = file) -> bool:
            in_time = file.since - CLOCK_S <= found.st_mtime <= file.until + CLOCK_S
            sizes = {size for _, size in file.contents}
            return in_time and found.st_size in sizes and (sha256(), found.st_size) in file.contents

        if remove(root, parts, ours):
            deleted.append(root.joinpath(*parts))
    return deleted


def clean_matching(
    cwd: Path, globs: Sequence[str], newer_than: float, *, until: float = math.inf, spare: Sequence[Path] = ()
) -> list[Path]:
    """Delete regular files that ``globs`` name under ``cwd``; returns what was deleted, sorted.

    Only what was modified after ``newer_than`` (the session's start) and before ``until`` (the start of what else runs
    now), never through a link, never in ``.git`` or a folder of ``spare``. Raises ``ConfigError`` for a glob that is
    absolute or contains ``..``.
    """
    spared = [folder.resolve() for folder in spare]
    home = cwd.resolve()

    def old_enough(found: os.stat_result, _sha256: Callable[[], str]) -> bool:
        return newer_than < found.st_mtime < until

    deleted = []
    for parts in sorted({path.relative_to(cwd).parts for path in _matches(cwd, globs)}):
        path = home.joinpath(*parts)
        if ".git" in parts or any(path.is_relative_to(folder) for folder in spared):
            continue
        if remove(cwd, parts, old_enough):
            deleted.append(path)
    return deleted


def _matches(cwd: Path, globs: Sequence[str]) -> Iterator[Path]:
    for pattern in globs:
        parts = PurePath(pattern).parts
        if not parts or PurePath(pattern).is_absolute() or ".." in parts:
            raise ConfigError(
                f"clean: {pattern!r} does not stay under the service's cwd.",
                remedy="Write a relative glob without '..', e.g. \"output/**/*.png\".",
                glob=pattern,
            )
        yield from cwd.glob(pattern)
