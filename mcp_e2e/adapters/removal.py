"""Delete one file below a folder, never through a link, and only the very file that was looked at.

On POSIX every folder on the way is held open while the next one is opened in it, so whoever swaps one for a link in the
meantime changes nothing. Windows cannot do that: there the folder is resolved again just before the file is deleted.
"""

import hashlib
import os
import re
import stat
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path, PureWindowsPath

_SEPARATOR = r"[\\/]" if sys.platform == "win32" else "/"
Judge = Callable[[os.stat_result, Callable[[], str]], bool]  # the file as it is now and its SHA-256, read when asked


def plain_parts(*texts: str) -> tuple[str, ...] | None:
    """The folders and name that a server gave as relative paths; None when they could lead out of a folder.

    Absolute paths, drives, shares, ``..`` and names that Windows reads as something else are refused everywhere.
    """
    parts: list[str] = []
    for text in texts:
        strange = PureWindowsPath(text)
        if strange.drive or strange.root or "\0" in text or ".." in re.split(r"[\\/]", text):
            return None
        if sys.platform == "win32" and (":" in text or any(part != part.rstrip(". ") for part in strange.parts)):
            return None
        parts += [
            part for part in re.split(r"[\\/]" if sys.platform == "win32" else "/", text) if part not in ("", ".")
        ]
    return tuple(parts) or None


def remove(root: Path, parts: Sequence[str], judge: Judge) -> bool:
    """Delete the regular file ``root/*parts`` when ``judge`` says so; False when it stays, whatever the reason.

    ``root`` itself may be a link: that is its owner's choice.
    """
    try:
        with ExitStack() as held:
            return _remove(root, parts, judge, held)
    except (OSError, ValueError):
        return False


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return all(
        getattr(one, fact) == getattr(other, fact) for fact in ("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_mode")
    )


def _read(opened: int, expected: os.stat_result) -> str:
    with os.fdopen(opened, "rb") as file:
        if not _same(os.fstat(file.fileno()), expected):
            raise OSError("it was replaced")
        return hashlib.file_digest(file, "sha256").hexdigest()


if sys.platform == "win32":

    def _remove(root: Path, parts: Sequence[str], judge: Judge, held: ExitStack) -> bool:  # noqa: ARG001
        path = root.joinpath(*parts)

        def sha256() -> str:
            return _read(os.open(path, os.O_RDONLY | os.O_BINARY), before)

        before = path.lstat()
        if not stat.S_ISREG(before.st_mode) or not _inside(root, path, parts) or not judge(before, sha256):
            return False
        if not _same(path.lstat(), before) or not _inside(root, path, parts):
            return False
        path.unlink()
        return True

    def _inside(root: Path, path: Path, parts: Sequence[str]) -> bool:
        return path.parent.resolve() == root.resolve().joinpath(*parts[:-1])

else:

    def _remove(root: Path, parts: Sequence[str], judge: Judge, held: ExitStack) -> bool:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        held.callback(os.close, folder)
        for part in parts[:-1]:
            folder = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            held.callback(os.close, folder)
        name = parts[-1]

        def sha256() -> str:
            return _read(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder), before)

        before = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(before.st_mode) or not judge(before, sha256):
            return False
        if not _same(os.stat(name, dir_fd=folder, follow_symlinks=False), before):
            return False
        os.unlink(name, dir_fd=folder)
        return True
