"""Reading logs for people and models: by byte offset, by tail, by pattern; always valid text.

Offsets are bytes of the file, so they stay valid while it grows. Text is UTF-8 with replacement characters, without
ANSI sequences and control characters; of a line redrawn with ``\\r`` only its last state is left.
"""

import contextlib
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

import regex

from mcp_e2e.errors import UsageError
from mcp_e2e.process.keeping.capture import unfinished

GREP_S = 2.0
LINE_BYTES = 4096  # of a longer line only this much is searched and shown
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-~])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_REDRAWN = re.compile(r"[^\n]*\r(?=[^\r\n])")


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
    return _CONTROL.sub("", _REDRAWN.sub("", text))


def read_slice(path: Path, offset: int, limit: int) -> tuple[str, int]:
    """At most ``limit`` bytes from ``offset`` (negative: from the end) and where to go on; a missing file is empty."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = max(0, size + offset) if offset < 0 else min(offset, size)
            file.seek(start)
            data = file.read(max(0, limit))
    except FileNotFoundError:
        return "", 0
    # a character that is half written, or cut by the limit, waits for the next slice
    held = unfinished(data)
    data = data[: len(data) - held] if held < len(data) else data
    return clean(data.decode("utf-8", "replace")), start + len(data)


def tail(path: Path, size: int, start: int = 0) -> str:
    """The last ``size`` bytes, nothing before ``start`` (where a generation's output begins), from a whole line on."""
    try:
        end = path.stat().st_size
    except FileNotFoundError:
        return ""
    begin = max(start, end - size, 0)
    text, _ = read_slice(path, begin, end - begin)
    _, newline, rest = text.partition("\n")
    return rest if begin > start and newline else text


def count_lines(path: Path, start: int = 0) -> int:
    """Line ends from the byte ``start`` on; a missing file has none."""
    count = 0
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(start)
        while chunk := file.read(1 << 20):
            count += chunk.count(b"\n")
    return count


def grep(path: Path, pattern: str, limit: int, offset: int = 0) -> Matches:
    """Up to ``limit`` lines matching the regular expression, in a thread that may run beside the event loop.

    Raises:
        UsageError: it is no regular expression, or one that takes more than ``GREP_S`` seconds.
    """
    try:
        wanted = regex.compile(pattern)
    except regex.error as error:
        raise UsageError(f"grep {pattern!r} is not a regular expression: {error}") from error
    found: list[Match] = []
    end = time.monotonic() + GREP_S
    try:
        with path.open("rb") as file:
            file.seek(max(0, offset))
            while len(found) < limit:
                at = file.tell()
                if not (raw := file.readline(LINE_BYTES)):
                    return Matches(tuple(found), at, more=False)
                line = clean(raw.decode("utf-8", "replace")).rstrip("\n")
                if _matches(wanted, line, end):
                    found.append(Match(at, line))
            return Matches(tuple(found), file.tell(), more=bool(file.read(1)))
    except FileNotFoundError:
        return Matches((), 0, more=False)


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
