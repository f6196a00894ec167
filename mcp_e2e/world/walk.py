"""Files, seen without git: those of a folder, those that match a glob."""

# paths are text here: there may be fifty thousand of them
# ruff: noqa: PTH119

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from mcp_e2e.world.looking import Exclusions, Look

_SKIPPED = {"node_modules", "__pycache__"}
_JUNCTION = 0xA0000003  # on Windows a folder that is a link, and no symbolic one


def see_folder(look: Look, folder: str, label: bytes, *, loose: bool = False) -> None:
    """Counts what is in a folder, without hidden folders, packages, caches and virtual environments."""
    for path in _files(look, folder, look.exclusions(folder)):
        if look.over:
            return
        look.file(label + b"/" + relative(path, folder), path, loose=loose)


def see_glob(look: Look, base: str, pattern: str, label: bytes) -> None:
    """Counts the files that match, by what they hold, ignored or not."""
    exclusions = look.exclusions(base)
    try:
        for path in _matches(Path(base), pattern):
            if look.over:
                return
            if ".git" not in path.parts and not exclusions.cover(str(path)):
                look.file(label + b"/" + relative(str(path), base), str(path), follow=True)
    except (OSError, ValueError, NotImplementedError) as error:
        look.note(f"the glob {pattern!r} cannot be followed ({error})")


def relative(path: str, folder: str) -> bytes:
    """The same bytes on every system."""
    return os.fsencode(os.path.relpath(path, folder)).replace(os.fsencode(os.sep), b"/")


def _matches(base: Path, pattern: str) -> Iterator[Path]:
    anchor = Path(pattern).anchor
    return Path(anchor).glob(str(Path(pattern).relative_to(anchor))) if anchor else base.glob(pattern)


def _files(look: Look, folder: str, exclusions: Exclusions) -> Iterator[str]:
    waiting = [folder]
    while waiting and not look.over:
        entries = _entries(look, waiting.pop())
        if any(entry.name == "pyvenv.cfg" for entry in entries):
            continue
        for entry in entries:
            if exclusions.cover(entry.path) or entry.name == ".git":  # as a file it holds an absolute path
                continue
            if not _is_folder(entry):
                yield entry.path
            elif not entry.name.startswith(".") and entry.name not in _SKIPPED:
                waiting.append(entry.path)


def _entries(look: Look, folder: str) -> list["os.DirEntry[str]"]:
    """In order, so that a look that ends early ends at the same file each time."""
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        look.note(f"the folder {os.path.basename(folder)} cannot be read ({error.strerror})")
        return []


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and getattr(found, "st_reparse_tag", 0) != _JUNCTION
