"""Where a file holds data: the oldest part of a service's log may be a hole of many gigabytes of zeros."""

import errno
import os
from collections.abc import Iterator
from io import FileIO

BLOCK_BYTES = 1 << 18


def extents(file: FileIO, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts of ``[start, end)`` that are no holes, each from its first byte that is not zero.

    Where the system cannot tell, the zeros are read.
    """
    at = start
    while (begin := _seek(file, at, "SEEK_DATA", end)) < end:
        at = min(end, _seek(file, begin, "SEEK_HOLE", end))
        first = _past_zeros(file, begin, at)
        if first < at:
            yield first, at
        at = max(at, begin + 1)


def read_at(file: FileIO, start: int, end: int) -> bytes:
    """``file[start:end]``, less only where the file ends."""
    file.seek(start)
    parts, missing = [], max(0, end - start)
    while missing and (part := file.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _seek(file: FileIO, at: int, whence: str, end: int) -> int:
    """Where data, or a hole, next begins; the end when there is none."""
    unknown = at if whence == "SEEK_DATA" else end
    if not hasattr(os, whence):
        return unknown
    try:
        return os.lseek(file.fileno(), at, getattr(os, whence))
    except OSError as error:
        return end if error.errno == errno.ENXIO else unknown


def _past_zeros(file: FileIO, at: int, end: int) -> int:
    """A hole begins and ends with a block of the file system: what is left of one is zeros."""
    while at < end:
        block = read_at(file, at, min(end, at + BLOCK_BYTES))
        rest = block.lstrip(b"\0")
        if rest or not block:
            return at + len(block) - len(rest)
        at += len(block)
    return end
