"""A command's output: everything into one log up to a cap, and per stream the first and last bytes with exact counts.

Memory stays flat whatever is printed, a gigabyte without a line end included.
"""

from __future__ import annotations

import os

from .quiet import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

LOG_BYTES = 64 * 1024 * 1024
RING_BYTES = 64 * 1024
HEAD_BYTES = 2 * 1024
TAIL_BYTES = 6 * 1024


class Tail:
    """The last ``size`` bytes of what was added."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._data = bytearray()

    def add(self, data: bytes) -> None:
        self._data += data[-self._size :]
        if len(self._data) > 2 * self._size:
            del self._data[: -self._size]

    def last(self) -> bytes:
        return bytes(self._data[-self._size :])


class CappedLog:
    """Appends to the log; beyond the cap bytes are counted and only the newest kept, to be written at the end."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._room = LOG_BYTES
        self._beyond = 0
        self._failed = 0
        self._ring = Tail(RING_BYTES)

    def write(self, data: bytes) -> None:
        fits, rest = data[: self._room], data[self._room :]
        if fits:
            self._room -= len(fits)
            self._append(fits)
        if rest:
            self._beyond += len(rest)
            self._ring.add(rest)

    def close(self) -> int:
        """Bytes that are not on disk."""
        kept = self._ring.last()
        omitted = self._beyond - len(kept)
        if omitted:
            self._append(f"\n[mcp_e2e: {omitted} bytes of output omitted here]\n".encode())
        self._append(kept)
        os.close(self._fd)
        return omitted + self._failed

    def _append(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except OSError:  # a full disk: count, go on
                self._failed += len(rest)
                return


class Excerpt:
    """Head, tail and size of one stream."""

    def __init__(self) -> None:
        self._head = b""
        self._tail = Tail(TAIL_BYTES)
        self._bytes = 0

    def add(self, data: bytes) -> None:
        self._bytes += len(data)
        missing = HEAD_BYTES - len(self._head)
        self._head += data[:missing]
        if len(data) > missing:
            self._tail.add(data[missing:])

    def stored(self) -> dict[str, Any]:
        """As ``model.jobs.Stream``; cut between characters, so ``head + tail`` is the text when nothing is omitted."""
        head, tail = self._head, self._tail.last()
        whole = self._bytes == len(head) + len(tail)
        cut = len(head) - unfinished(head) if tail else len(head)
        head, tail = head[:cut], (head[cut:] + tail if whole else tail[_continued(tail) :])
        texts = {"head": head.decode("utf-8", "replace"), "tail": tail.decode("utf-8", "replace")}
        return {**texts, "bytes": self._bytes, "omitted": self._bytes - len(head) - len(tail)}


def unfinished(data: bytes) -> int:
    """How many bytes at the end begin a UTF-8 character that is not whole."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            needed = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return back if needed > back else 0
    return 0


def _continued(data: bytes) -> int:
    """How many bytes at the start belong to a character that began before them."""
    return next((i for i, byte in enumerate(data[:3]) if byte & 0xC0 != 0x80), min(3, len(data)))
