"""The client's two pipes, in the hands of the server before anything else can touch them.

Descriptor 0 then is empty and 1 is stderr, for prints and for children. A thread reads and a thread writes, so neither
a client that does not read nor an import that takes its time keeps the process from seeing that the client has left.
Part of the quick start: nothing but cheap modules of the standard library may be imported here.
"""

import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator

from mcp_e2e.entrypoints.mcp.ending import LEAVING_S, Ending

MOST_LINE = 64 << 20  # bytes; a longer line is no message, and is dropped while it comes
MOST_UNSENT = 1 << 20  # bytes; from here on whoever writes waits for the client to read
FAREWELL_S = 0.2  # for what is written and not yet read when everything else is done
_CHUNK = 1 << 16

Hear = Callable[[bytes | None], None]


class Wire:
    """Lines in, bytes out.

    ``greet`` sees every line before somebody listens, and answers it or says None; ``waits`` tells whether one it saw
    has yet to be answered.
    """

    def __init__(self, ending: Ending, greet: Callable[[bytes], bytes | None], waits: Callable[[], bool]) -> None:
        self._ending, self._greet, self._waits = ending, greet, waits
        self._source = _taken(0, os.open(os.devnull, os.O_RDONLY))
        self._sink = _taken(1, _aside())
        self._listening = threading.Lock()
        self._kept: list[bytes | None] = []
        self._hear: Hear | None = None
        self._moved = threading.Condition()
        self._unsent: deque[bytes] = deque()
        self._bytes_unsent = 0
        self.broken = False

    def open(self) -> None:
        for work in (self._read, self._write):
            threading.Thread(target=work, name=f"wire{work.__name__}", daemon=True).start()

    def listen(self, hear: Hear) -> list[bytes | None]:
        """What came so far, None being its end; ``hear`` gets what comes from now on, in the reading thread."""
        with self._listening:
            self._hear = hear
            return self._kept

    def put(self, data: bytes) -> None:
        """Send it soon. Never blocks."""
        with self._moved:
            if not self.broken:
                self._unsent.append(data)
                self._bytes_unsent += len(data)
                self._moved.notify_all()

    def is_behind(self) -> bool:
        """The client is not reading what it is sent."""
        return self._bytes_unsent > MOST_UNSENT

    def catch_up(self, at_most: int = MOST_UNSENT, seconds: float | None = None) -> None:
        """Wait until no more than so many bytes are unsent, the client is gone, or the time is over."""
        with self._moved:
            self._moved.wait_for(lambda: self.broken or self._bytes_unsent <= at_most, seconds)

    def _read(self) -> None:
        for line in _lines(self._source):
            self._take(line)
        self._ending.within(LEAVING_S)
        self._take(None)

    def _take(self, line: bytes | None) -> None:
        with self._listening:
            hear = self._hear
            if hear is None:
                self._keep(line)
        if hear is not None:
            hear(line)

    def _keep(self, line: bytes | None) -> None:
        self._kept.append(line)
        if line is not None and (answer := self._greet(line)) is not None:
            self.put(answer)
        if line is None and not self._waits():
            self.catch_up(0, FAREWELL_S)
            self._ending.now()

    def _write(self) -> None:
        while not self.broken:
            with self._moved:
                self._moved.wait_for(lambda: self._unsent)
                data = self._unsent.popleft()
            sent = _sent(self._sink, data)
            with self._moved:
                self._bytes_unsent -= len(data)
                self.broken = not sent
                self._moved.notify_all()


def _taken(fd: int, instead: int) -> int:
    """A private duplicate of a standard descriptor, which from now on is ``instead``."""
    private = _above_standard(fd)
    os.dup2(instead, fd)
    os.close(instead)
    return private


if sys.platform == "win32":

    def _above_standard(fd: int) -> int:
        return os.dup(fd)

else:
    import fcntl

    def _above_standard(fd: int) -> int:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)


def _aside() -> int:
    try:
        return os.dup(2)
    except OSError:  # there is no stderr
        return os.open(os.devnull, os.O_WRONLY)


def _lines(fd: int) -> Iterator[bytes]:
    """Each line as soon as it is whole, without its end; the last one need not have one. Of one too long, nothing."""
    parts: list[bytes] = []
    size = 0
    while chunk := _some(fd):
        first, *more = chunk.split(b"\n")
        size += len(first)
        if size <= MOST_LINE:
            parts.append(first)
        else:
            parts.clear()
        for part in more:
            yield b"".join(parts)
            parts, size = [part], len(part)
    if last := b"".join(parts):
        yield last


def _some(fd: int) -> bytes:
    try:
        while True:
            try:
                return os.read(fd, _CHUNK)
            except BlockingIOError:  # a client may have made its pipes so
                select.select([fd], [], [])
    except OSError:  # a terminal or pseudo-terminal that was closed
        return b""


def _sent(fd: int, data: bytes) -> bool:
    """False when nobody will read it any more."""
    rest = memoryview(data)
    try:
        while rest:
            try:
                rest = rest[os.write(fd, rest) :]
            except BlockingIOError:
                select.select([], [fd], [])
    except OSError:
        return False
    return True
