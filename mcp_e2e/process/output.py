"""Reading logs for people and models: by byte offset, by tail, by pattern; always valid text.

Offsets are bytes of the file, so they stay valid while it grows. Text is UTF-8 with replacement characters, without
ANSI sequences and control characters; of a line redrawn with ``\\r`` only its last state is left.
"""

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_e2e.errors import UsageError
from mcp_e2e.process.keeping.capture import unfinished
from mcp_e2e.process.redaction import REACH, SHAPES, Redactor, Span, blanked
from mcp_e2e.process.sparse import BLOCK_BYTES, extents, read_at

if TYPE_CHECKING:
    import regex

GREP_S = 2.0
LINE_BYTES = 4096  # of a longer line only this much is searched and shown
TRIM_BYTES = 512  # of a word that a cut has left a part of, at most this much is given up
COUNTED_BYTES = 1 << 20
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-~])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Slice:
    """A part of a log: its text without secrets, the byte it begins at and the one after its end."""

    text: str
    begin: int
    next_offset: int


@dataclass(frozen=True)
class Match:
    """A line that a pattern was found in; ``offset`` is where it begins in the file."""

    offset: int
    line: str


@dataclass(frozen=True)
class Matches:
    """The lines found and where to search on; ``more`` when the limit, not the end of the file, stopped the search."""

    found: tuple[Match, ...]
    next_offset: int
    more: bool


def clean(text: str) -> str:
    text = _ANSI.sub("", text).replace("\r\n", "\n")
    if "\r" in text:
        text = "\n".join(_last_state(line) for line in text.split("\n"))
    return _CONTROL.sub("", text)


def _last_state(line: str) -> str:
    redrawn = line.rstrip("\r")
    return redrawn[redrawn.rfind("\r") + 1 :]


def read_slice(path: Path, offset: int, limit: int, redactor: Redactor = SHAPES) -> tuple[str, int]:
    """At most ``limit`` bytes from ``offset`` (negative: from the end) and where to go on; a missing file is empty."""
    found = slice_at(path, offset, limit, redactor)
    return found.text, found.next_offset


def slice_at(path: Path, offset: int, limit: int, redactor: Redactor = SHAPES) -> Slice:
    """As ``read_slice``, with where the text begins: past the hole that ``offset`` may lie in."""
    try:
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            start = max(0, size + offset) if offset < 0 else min(offset, size)
            begin, stop = next(extents(file, start, size), (size, size))
            stop = min(stop, begin + max(0, limit))
            data = read_at(file, begin, stop)
            # a character that is half written, or cut by the limit, waits for the next slice
            held = unfinished(data)
            end = begin + len(data) - (held if held < len(data) else 0)
            return Slice(_decoded(_redacted(file, begin, end, redactor)), begin, end)
    except FileNotFoundError:
        return Slice("", 0, 0)


def tail(path: Path, size: int, start: int = 0, redactor: Redactor = SHAPES) -> str:
    """The last ``size`` bytes, nothing before ``start`` (where a generation's output begins), from a whole line on.

    Of a log that was truncated to less than ``start``, whatever is there. Without a line end, from a white space on.
    """
    try:
        end = path.stat().st_size
    except FileNotFoundError:
        return ""
    start = start if start <= end else 0
    begin = max(start, end - size, 0)
    found = slice_at(path, begin, end - begin, redactor)
    if begin == start or found.begin > begin:  # nothing stands before it
        return found.text
    _, newline, rest = found.text.partition("\n")
    return rest if newline else _from_white_space(found.text)


def last_line(path: Path, length: int = 120, redactor: Redactor = SHAPES) -> str | None:
    """The last line with something in it, its last ``length`` characters; None when there is none."""
    lines = tail(path, LINE_BYTES, redactor=redactor).strip().splitlines()
    if not lines:
        return None
    last = lines[-1]
    return last if len(last) <= length else _from_white_space(last[-length:])


def _from_white_space(text: str) -> str:
    """``text`` without the word it begins in the middle of, which may be the end of a secret; a long word stays."""
    space = re.search(r"\s", text[:TRIM_BYTES])
    return text[space.end() :] if space and space.end() < len(text) else text


def count_lines(path: Path, start: int = 0) -> int:
    """Line ends from the byte ``start`` on, all of them in a file truncated to less; a missing file has none."""
    count = 0
    with contextlib.suppress(FileNotFoundError), path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        for begin, end in extents(file, start if start <= size else 0, size):
            for at in range(begin, end, COUNTED_BYTES):
                count += read_at(file, at, min(end, at + COUNTED_BYTES)).count(b"\n")
    return count


def grep(path: Path, pattern: str, limit: int, offset: int = 0, redactor: Redactor = SHAPES) -> Matches:
    """Up to ``limit`` lines matching the regular expression, in a thread that may run beside the event loop.

    What is searched is the line as it is shown, so no pattern can be used to guess a secret.

    Raises:
        UsageError: it is no regular expression, or one that takes more than ``GREP_S`` seconds.
    """
    import regex  # noqa: PLC0415  loaded when it is needed: a server starts without

    try:
        wanted = regex.compile(pattern)
    except regex.error as error:
        raise UsageError(f"grep {pattern!r} is not a regular expression: {error}") from error
    found: list[Match] = []
    deadline = time.monotonic() + GREP_S
    try:
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            at = min(max(0, offset), size)
            for begin, end, raw in _lines(file, at, size, redactor):
                if len(found) >= limit:
                    return Matches(tuple(found), at, more=True)
                line, at = _decoded(raw).rstrip("\n"), end
                if _matches(wanted, line, deadline):
                    found.append(Match(begin, line))
            return Matches(tuple(found), at, more=False)
    except FileNotFoundError:
        return Matches((), 0, more=False)


def pour(path: Path, begin: int, write: Callable[[bytes], None], redactor: Redactor | None, *, last: bool) -> int:
    """Write what the file holds from ``begin`` on and answer where that ended. A missing file holds nothing.

    Without a ``redactor`` the bytes are as they are. With one, the end of which more text could make a secret is kept
    back unless it is the ``last`` time.
    """
    try:
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            limit = size if last or redactor is None else _settled(file, begin, size, redactor)
            for start, end in extents(file, begin, limit):
                for at in range(start, end, BLOCK_BYTES):
                    stop = min(end, at + BLOCK_BYTES)
                    write(_redacted(file, at, stop, redactor) if redactor else read_at(file, at, stop))
            return max(begin, limit)
    except FileNotFoundError:
        return begin


def _settled(file: FileIO, begin: int, size: int, redactor: Redactor) -> int:
    """Up to where in ``[begin, size)`` nothing that is written later can make a secret of the text."""
    floor = max(0, size - 2 * REACH)
    return max(begin, floor + redactor.settled(read_at(file, floor, size)))


def _redacted(file: FileIO, begin: int, end: int, redactor: Redactor) -> bytes:
    """``file[begin:end]`` without secrets, also those that only begin or end there."""
    data, spans, front = _seen(file, begin, end, redactor)
    return blanked(data, spans, front, front + end - begin)


def _seen(file: FileIO, begin: int, end: int, redactor: Redactor) -> tuple[bytes, list[Span], int]:
    """``file[begin:end]`` with what is around it, where secrets stand in that, and how much is before ``begin``."""
    floor = max(0, begin - REACH)
    data = read_at(file, floor, end + REACH)
    cut_end = len(data) < end + REACH - floor  # more may be written later
    gone = data.rfind(b"\0", 0, begin - floor) + 1  # a hole: what stood there cannot be looked at any more
    spans = redactor.spans(data[gone:], cut_start=floor + gone > 0, cut_end=cut_end)
    return data[gone:], spans, begin - floor - gone


def _lines(file: FileIO, offset: int, size: int, redactor: Redactor) -> Iterator[tuple[int, int, bytes]]:
    """Beginning, end and redacted bytes of each line; a longer one than ``LINE_BYTES`` comes in parts."""
    for first, stop in extents(file, offset, size):
        at = first
        while at < stop:
            until = min(stop, at + BLOCK_BYTES)
            data, spans, front = _seen(file, at, until, redactor)
            block, begin = data[: front + until - at], front
            while begin < len(block):
                newline = block.find(b"\n", begin, begin + LINE_BYTES)
                end = newline + 1 if newline >= 0 else min(len(block), begin + LINE_BYTES)
                if newline < 0 and end == len(block) and until < stop and end - begin < LINE_BYTES:
                    break
                yield at + begin - front, at + end - front, blanked(data, spans, begin, end)
                begin = end
            at += max(begin - front, 1)


def _decoded(data: bytes) -> str:
    return clean(data.decode("utf-8", "replace"))


def _matches(wanted: "regex.Pattern[str]", line: str, end: float) -> bool:
    try:
        return wanted.search(line, concurrent=True, timeout=max(0.001, end - time.monotonic())) is not None
    except TimeoutError as error:
        raise UsageError(
            f"grep {wanted.pattern!r} took more than {GREP_S:g} s", remedy="Use a simpler pattern, or a later offset."
        ) from error


def cut(text: str, head: int, tail: int) -> str:
    """The text itself when it has at most ``head + tail`` bytes, else both ends around a line that names the gap."""
    data = text.encode("utf-8", "replace")
    if len(data) <= head + tail:
        return text
    first = data[:head].decode("utf-8", "ignore")
    last = data[len(data) - tail :].decode("utf-8", "ignore") if tail else ""
    omitted = len(data) - len(first.encode()) - len(last.encode())
    return f"{first}\n… {omitted} bytes omitted …\n{last}"
