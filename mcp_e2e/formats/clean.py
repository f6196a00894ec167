"""Text that any reader can take: no escape sequences, nothing that XML, UTF-8 or a terminal cannot carry."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
_NEWLINES = re.compile("\r\n?|[\x85\u2028\u2029]")
# beyond XML 1.0's own range also DEL and C1: legal there, but they steer terminals
_ILLEGAL = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(text: str) -> str:
    """``text`` without ANSI sequences, control characters and lone surrogates; every line ends with ``\\n``."""
    return _ILLEGAL.sub("", _NEWLINES.sub("\n", _ESCAPES.sub("", text)))


def one_line(text: str) -> str:
    return " ".join(clean(text).split())


def flat(text: str) -> str:
    """On one line with its spaces kept, for paths."""
    return clean(text).replace("\n", " ")


def utc(seconds: float) -> str:
    """ISO 8601 with ``Z``, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def listed(words: Iterable[str], limit: int = 6) -> str:
    """With commas, the first ``limit`` of them and how many more."""
    every = list(words)
    more = f" and {len(every) - limit} more" if len(every) > limit else ""
    return ", ".join(every[:limit]) + more


def span(seconds: float | None) -> str:
    """A duration as people read it: ``0.8 s``, ``42 s``, ``3 min 5 s``, ``2 h 4 min``; empty when unknown."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
