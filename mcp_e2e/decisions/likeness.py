"""When two texts tell the same: what a machine puts in anew each time is blanked, what a cause is made of stays.

A bare number stays, because ``3 failed`` after ``5 failed`` is news; ids, addresses, paths of temporary files, points
in time, durations and line numbers go.
"""

import hashlib
import json
import re
import shlex
import unicodedata
from collections.abc import Mapping
from typing import Any

MOST_CHARACTERS = 8000

_VOLATILE_KEY = (
    r"(?:now|ts|time|timestamp|date|elapsed\w*|uptime\w*|duration\w*|took\w*|eta\w*|pid|port|nonce|seq"
    r"|\w+_at|\w*_?id|\w+_ts|\w+_ms|\w+_s)"
)
_UNIT = r"(?:ns|µs|us|ms|s|secs?|seconds?|m|mins?|minutes?|h|hours?|[KMGT]i?B|bytes|it/s|s/it)"
_SOURCE = (
    "py|pyx|ipynb|[cm]?[jt]sx?|json|toml|ya?ml|ini|cfg|cc?|cpp|h|hpp|cu|rs|go|rb|java|kt|cs|php|sh|txt|md|html|css|vue"
)
_NOISE = tuple(
    (re.compile(pattern, re.IGNORECASE), blank)
    for pattern, blank in (
        (r"\x1b\[[0-9;?]*[A-Za-z]", ""),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>"),
        (r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?", "<time>"),
        (r"\b\d{1,2}:\d\d:\d\d(?:[.,]\d+)?\b", "<time>"),
        (r"\b0x[0-9a-f]+\b", "<addr>"),
        (r"(?<![\w.~-])(?:/private)?/(?:tmp|var/tmp|var/folders)/[\w.+/-]+", "<path>"),
        (r"\btmp\w{6,}", "<tmp>"),
        (r"[A-Z]:\\[\w\\. ~-]*\\Temp\\[\w.+\\-]+", "<path>"),
        (rf'(["\']{_VOLATILE_KEY}["\']\s*:\s*)(?:"[^"]*"|\'[^\']*\'|[^,}}\]\s]+)', r"\1<n>"),
        (r"\b(pid|process|thread|line|row|column|col|attempt|try|retry)(\s*[=:#]?\s*)\d+\b", r"\1\2<n>"),
        (r"(?<=[\w\]]):[1-6]\d{4}\b", ":<port>"),  # the system's choice; a chosen one has four digits
        (rf"(\.(?:{_SOURCE})):\d+(?::\d+)?\b", r"\1:<n>"),
        (rf"(?<![\w.])\d+(?:\.\d+)?\s?{_UNIT}(?![\w])", "<n>"),
        (r"\b\d{9,}(?:\.\d+)?\b", "<n>"),
    )
)


_HASH = re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}\b", re.IGNORECASE)


def without_noise(text: str, *, hashes: bool = False) -> str:
    """``text`` in one line with what differs from run to run blanked. Longer texts: their beginning and end.

    ``hashes``: keep them, where they may be what was asked for.
    """
    if len(text) > MOST_CHARACTERS:
        text = text[: MOST_CHARACTERS // 4] + " … " + text[-MOST_CHARACTERS * 3 // 4 :]
    for pattern, blank in _NOISE:
        text = pattern.sub(blank, text)
    if not hashes:
        text = _HASH.sub("<id>", text)
    return " ".join(text.split())


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def canonical(value: Any) -> Any:
    """One form for equal values: text composed and trimmed, whole floats as integers, unset keys left out."""
    match value:
        case str():
            return unicodedata.normalize("NFC", value).strip()
        case float() if value.is_integer():
            return int(value)
        case Mapping():
            return {str(canonical(key)): canonical(item) for key, item in value.items() if item is not None}
        case list() | tuple():
            return [canonical(item) for item in value]
    return value


def written(value: Any) -> str:
    """One text for equal values: keys sorted at every depth."""
    return json.dumps(canonical(value), sort_keys=True, default=str, ensure_ascii=False)


_COMMENT = re.compile(r"\s+#[^'\"\n]*$")
_SILENT = re.compile(
    r"^(?:(?:\w+=\S*|sudo|nohup|time|nice|exec|command|env|npx|(?:uv|poetry|pipx)\s+run|timeout\s+\S+|cd\s+\S+\s*(?:&&|;))\s+)+"
)
_SHELL = re.compile(r"^(?:\S*/)?(?:ba|z|da)?sh\s+-l?c\s+(.*)$", re.DOTALL)
_MODULE = re.compile(r"^(?:\S*/)?python[\d.]*\s+-m\s+(\S+)")


def command_line(command: str) -> str:
    """A shell line without a trailing comment, which selects no work."""
    return _COMMENT.sub("", command).strip()


def program(command: str) -> str:
    """What a shell line runs at heart: ``cd x && timeout 60 python -m pytest -q`` is ``pytest``."""
    line = _SILENT.sub("", command_line(command))
    if inner := _SHELL.match(line):
        return program(inner[1].strip().strip("'\""))
    if module := _MODULE.match(line):
        return module[1]
    try:
        first = shlex.split(line.replace("\\", "/"), comments=True)[:1]
    except ValueError:  # an open quote
        first = line.split()[:1]
    name = first[0].rsplit("/", 1)[-1] if first else ""
    return "python" if name.startswith("python") else name
