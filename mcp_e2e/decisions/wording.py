"""Counts, names and causes as a sentence says them. Pure."""

from collections.abc import Iterable


def some(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def names(tests: Iterable[str], limit: int = 3) -> str:
    """Each once, the first ``limit`` of them and how many more."""
    found = list(dict.fromkeys(tests))
    more = f" and {len(found) - limit} more" if len(found) > limit else ""
    return ", ".join(found[:limit]) + more


def one_line(text: str, limit: int = 160) -> str:
    """Without its full stop, at most ``limit`` characters."""
    words = " ".join(text.split()).rstrip(".") or "no reason given"
    return words if len(words) <= limit else f"{words[: limit - 1]}…"
