"""What a file holds, read again only when its stat says so.

Laws:
- a state is written as git writes one, ``mode blob-id``, so that it can be compared with what HEAD holds;
- a hash is remembered only when the file had been at rest for ``RACY_NS`` before it was read and did not change
  while it was: a second edit within one tick of a coarse clock, of the same size, would otherwise never be seen.
"""

# paths are text here: there may be fifty thousand of them
# ruff: noqa: PTH115, PTH116, PTH123

import hashlib
import os
import stat
import time
from collections.abc import Callable

GONE = b""
LARGE = 4 * 1024 * 1024
RACY_NS = 2_000_000_000  # FAT keeps even seconds; all others are finer
REMEMBERED = 200_000
_CALM = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # a file swapped for a pipe must not hold us

Signature = tuple[int, int, int, int]


class Contents:
    """Belongs to one process; may be asked from several threads."""

    def __init__(self, now: Callable[[], int] = time.time_ns) -> None:
        self._now = now
        self._known: dict[tuple[str, str], tuple[Signature, bytes]] = {}
        #: how many files were read so far
        self.reads = 0

    def state(self, path: str, *, mode: bytes = b"", algorithm: str = "sha1", follow: bool = False) -> bytes:
        """``GONE``, or mode and content; a folder is ``GONE`` too, for what is in it counts by itself.

        ``mode`` is git's word for a regular file where git has one: it knows what this file system cannot say.
        Files over ``LARGE`` bytes are told apart by size and time of change only.

        Raises:
            OSError: it is there, but cannot be read.
        """
        try:
            found = os.stat(path, follow_symlinks=follow)
            if stat.S_ISLNK(found.st_mode):
                return b"120000 " + blob_id(os.fsencode(os.readlink(path)), algorithm)
            if stat.S_ISREG(found.st_mode):
                return (mode or _mode(found)) + b" " + self._content(path, found, algorithm, follow=follow)
        except (FileNotFoundError, NotADirectoryError):
            return GONE
        return GONE if stat.S_ISDIR(found.st_mode) else b"special"

    def _content(self, path: str, found: os.stat_result, algorithm: str, *, follow: bool) -> bytes:
        if found.st_size > LARGE:
            return f"large {found.st_size} {found.st_mtime_ns}".encode()
        signature = _signature(found)
        known = self._known.get((path, algorithm))
        if known and known[0] == signature:
            return known[1]
        began = self._now()
        content = blob_id(self._read(path), algorithm)
        at_rest = began - max(found.st_mtime_ns, found.st_ctime_ns) > RACY_NS
        if at_rest and _signature(os.stat(path, follow_symlinks=follow)) == signature:
            self._remember((path, algorithm), (signature, content))
        return content

    def _read(self, path: str) -> bytes:
        self.reads += 1
        with open(os.open(path, os.O_RDONLY | _CALM), "rb") as file:
            return file.read(LARGE + 1)

    def _remember(self, key: tuple[str, str], value: tuple[Signature, bytes]) -> None:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[key] = value


def blob_id(content: bytes, algorithm: str = "sha1") -> bytes:
    """The name git gives this content."""
    blob = hashlib.new(algorithm, b"blob %d\0" % len(content), usedforsecurity=False)
    blob.update(content)
    return blob.hexdigest().encode()


def _signature(found: os.stat_result) -> Signature:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _mode(found: os.stat_result) -> bytes:
    # Windows has no such bit, Python guesses one from the name
    return b"100755" if os.name != "nt" and found.st_mode & stat.S_IXUSR else b"100644"
