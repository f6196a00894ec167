"""Servers in TOML: Codex."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcp_e2e.adapters.editors.changes import Edit, applied
from mcp_e2e.adapters.editors.formats import Unreadable
from mcp_e2e.settings import writing
from mcp_e2e.settings.faults import Key
from mcp_e2e.settings.lines import places

_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_LINE_END = re.compile(r"\r?\n")
_LONE_LF = re.compile(r"(?<!\r)\n")


@dataclass(frozen=True)
class TomlServers:
    """See ``Format``. A new entry is more lines at the end; in an old one comments and order stay."""

    key: str

    def read(self, text: str) -> Mapping[str, Any]:
        try:
            return tomllib.loads(text)
        except RecursionError as error:
            raise Unreadable("nested too deeply") from error
        except ValueError as error:
            at = _AT.search(str(error))
            place = (int(at[1]), int(at[2])) if at and at[1] else (len(text.rstrip().split("\n")), 1) if at else ()
            raise Unreadable(_AT.sub("", str(error)), *place) from error

    def with_entry(self, text: str, name: str, entry: Mapping[str, Any]) -> str:
        return _ends(text, text + writing.joint(text, self.alone(name, entry)))

    def with_values(self, text: str, name: str, values: Mapping[str, Any]) -> str:
        there, (spans, _) = self.read(text)[self.key][name], places(text)
        new = {key: value for key, value in values.items() if key not in there}
        edits = [
            Edit(*_span(spans, (self.key, name, key)), _value(value))
            for key, value in values.items()
            if key in there and there[key] != value
        ]
        if new:
            last = max((end for key, (_, end) in spans.items() if key[:-1] == (self.key, name)), default=0)
            inline = (self.key, name) in spans
            at = last if inline else _line_end(text, last)
            edits.append(Edit(at, at, "".join(f", {pair}" if inline else f"\n{pair}" for pair in _pairs(new))))
        return _ends(text, applied(text, edits))

    def with_other(self, text: str, name: str, entry: Mapping[str, Any]) -> str:
        spans, blocks = places(text)
        whole = (self.key, name)
        if whole in spans:
            return applied(text, [Edit(*spans[whole], f"{{ {', '.join(_pairs(entry))} }}")])
        edits = []
        for block in blocks:
            if block.key == whole:
                begin = _line_end(text, block.head)
                edits.append(Edit(begin, max(begin, block.end), "".join(f"\n{pair}" for pair in _pairs(entry))))
            elif block.key[:2] == whole:
                edits.append(Edit(block.start, _line_end(text, block.end) + 1, ""))
        return _ends(text, applied(text, edits))

    def alone(self, name: str, entry: Mapping[str, Any]) -> str:
        return "\n".join([f"[{self.key}.{name}]", *_pairs(entry), ""])


def _span(spans: Mapping[Key, tuple[int, int]], key: Key) -> tuple[int, int]:
    if key not in spans:
        raise Unreadable(f"{'.'.join(map(str, key))} is a table of its own")
    return spans[key]


def _line_end(text: str, at: int) -> int:
    """Where the line of ``at`` ends, before its line end."""
    found = _LINE_END.search(text, at)
    return found.start() if found else len(text)


def _ends(before: str, after: str) -> str:
    """New lines end as the old ones do, where those all end with CR LF."""
    return after if _LONE_LF.search(before) or "\r\n" not in before else _LONE_LF.sub("\r\n", after)


def _pairs(values: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_value(value)}" for key, value in values.items()]


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(writing.text, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return writing.text(value) if isinstance(value, str) else str(value)
