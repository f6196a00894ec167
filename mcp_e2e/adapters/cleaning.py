"""Clean outputs before a test: delete what earlier attempts wrote, and nothing else."""

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from mcp_e2e.errors import ConfigError


def clean(
    cwd: Path, globs: Sequence[str], newer_than: float, produced: Sequence[Path], outputs: Path | None = None
) -> list[Path]:
    """Delete ``produced`` files and those matching ``globs`` under ``cwd``; returns what was deleted, sorted.

    Only regular files modified after ``newer_than`` (epoch seconds, the session's start), only inside ``cwd`` (for
    ``produced`` also inside ``outputs``) after following every symbolic link, never inside ``.git``. A file that
    cannot be deleted stays. Raises ``ConfigError`` for a glob that is absolute or contains ``..``.
    """
    roots = [root.resolve() for root in (cwd, outputs) if root is not None]
    ours = (path for path in map(cwd.joinpath, produced) if _inside(path, roots))
    theirs = (path for path in _matches(cwd, globs) if _inside(path, roots[:1]))
    doomed = {path.parent.resolve() / path.name for path in (*ours, *theirs) if _is_new_file(path, newer_than)}
    return [path for path in sorted(doomed) if _delete(path)]


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


def _inside(path: Path, roots: Sequence[Path]) -> bool:
    folder = path.parent.resolve()
    return ".git" not in folder.parts and any(folder.is_relative_to(root) for root in roots)


def _is_new_file(path: Path, newer_than: float) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_mtime > newer_than


def _delete(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True
