"""``.env``: KEY=VALUE lines, quotes, ``export``, comments. Values never appear in messages."""

import re
from dataclasses import dataclass

_PAIR = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.]*)[ \t]*=[ \t]*")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_SINGLE = re.compile(r"'([^']*)'")
_REST = re.compile(r"[ \t]*(?:#[^\r\n]*)?\r?$", re.MULTILINE)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True)
class Dotenv:
    """Names and values, the line of each name, and the lines that mean nothing."""

    values: dict[str, str]
    lines: dict[str, int]
    odd_lines: tuple[int, ...] = ()


def parse_dotenv(text: str) -> Dotenv:
    """Read a whole ``.env``; a quoted value may span lines. A line that is no assignment is listed, not fatal:
    the file is often shared with tools that allow more."""
    found = Dotenv({}, {})
    odd: list[int] = []
    at = 0
    while at < len(text):
        end = _line_end(text, at)
        line = text.count("\n", 0, at) + 1
        content = text[at:end].strip()
        if content and not content.startswith("#"):
            pair = _PAIR.match(text, at, end)
            value = pair and _value(text, pair.end())
            if pair and value:
                found.values[pair[1]], end = value
                found.lines[pair[1]] = line
            else:
                odd.append(line)
        at = end + 1
    return Dotenv(found.values, found.lines, tuple(odd))


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _value(text: str, at: int) -> tuple[str, int] | None:
    """The value that begins at ``at`` and the end of its last line; None for a quote that is never closed."""
    quote = text[at : at + 1]
    if quote in {'"', "'"}:
        match = (_DOUBLE if quote == '"' else _SINGLE).match(text, at)
        rest = match and _REST.match(text, match.end())
        if not match or not rest:
            return None
        value = _ESCAPE.sub(_unescape, match[1]) if quote == '"' else match[1]
        return value, _line_end(text, rest.end())
    end = _line_end(text, at)
    return re.split(r"(?:^|[ \t])#", text[at:end], maxsplit=1)[0].strip(), end


def _unescape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[1], match[1] if match[1] in "\"\\$'" else match[0])
