"""Where each key of a TOML text stands. Reads only what ``tomllib`` has accepted, so it never judges, only counts."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mcp_e2e.settings.faults import Key

_BARE_KEY_END = " \t.=]\"'"
_BARE_VALUE_END = " \t,]}#\r\n"
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}
_WIDTHS = {"x": 2, "u": 4, "U": 8}


def key_lines(text: str) -> dict[Key, int]:
    """The line, counted from 1, on which each table, key and array item of a valid TOML ``text`` begins."""
    return _Scanner(text).scan()


@dataclass(frozen=True)
class Block:
    """A ``[table]`` with its pairs: from its bracket to where its name is closed (``head``), and to its last value."""

    key: Key
    start: int
    head: int
    end: int


def places(text: str) -> tuple[dict[Key, tuple[int, int]], list[Block]]:
    """Where each value begins and ends, and each table with a header, in characters; ``text`` is valid TOML."""
    scanner = _Scanner(text)
    scanner.scan()
    return scanner.values, scanner.blocks


def nearest_line(lines: Mapping[Key, int], key: Key) -> int | None:
    """The line of ``key``, or of the closest table around it that is written in the file."""
    for length in range(len(key), 0, -1):
        if key[:length] in lines:
            return lines[key[:length]]
    return None


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text + "\n"
        self._at = 0
        self._starts = [0, *(i + 1 for i, char in enumerate(text) if char == "\n")]
        self._lines: dict[Key, int] = {}
        self._counts: dict[Key, int] = {}
        self.values: dict[Key, tuple[int, int]] = {}
        self.blocks: list[Block] = []

    def scan(self) -> dict[Key, int]:
        table: Key = ()
        while self._skip_blank():
            start = self._at
            if self._text[start] == "[":
                table = self._array_header() if self._text.startswith("[[", start) else self._header()
                self.blocks.append(Block(table, start, self._at, self._at))
            else:
                self._pair(table)
                self._extend()
        return self._lines

    def _extend(self) -> None:
        if self.blocks:
            self.blocks[-1] = replace(self.blocks[-1], end=self._at)

    def _header(self) -> Key:
        self._at += 1
        start = self._at
        table = self._inside_arrays(self._path())
        self._note((), table, start)
        self._at += 1
        return table

    def _array_header(self) -> Key:
        self._at += 2
        start = self._at
        path = self._path()
        array = (*self._inside_arrays(path[:-1]), path[-1])
        self._counts[array] = self._counts.get(array, -1) + 1
        self._at += 2
        item = (*array, self._counts[array])
        self._note((), item, start)
        return item

    def _inside_arrays(self, path: tuple[str, ...]) -> Key:
        """The path with the index of the last item behind each name that is an array of tables."""
        key: Key = ()
        for part in path:
            key = (*key, part)
            if key in self._counts:
                key = (*key, self._counts[key])
        return key

    def _pair(self, table: Key) -> None:
        start = self._at
        path = self._path()
        self._at += 1  # the equals sign
        self._note(table, (*table, *path), start)
        self._value((*table, *path))

    def _value(self, key: Key) -> None:
        self._skip_spaces()
        start = self._at
        self._pass_value(key)
        self.values[key] = (start, self._at)

    def _pass_value(self, key: Key) -> None:
        match self._text[self._at]:
            case '"' | "'":
                self._string()
            case "[":
                self._array(key)
            case "{":
                self._inline_table(key)
            case _:
                while self._text[self._at] not in _BARE_VALUE_END:
                    self._at += 1
                if self._text[self._at] == " " and self._text[self._at + 1 : self._at + 2].isdigit():
                    self._at += 1
                    self._pass_value(key)  # a date and a time with a space between

    def _array(self, key: Key) -> None:
        self._at += 1
        index = 0
        while self._skip_blank() and self._text[self._at] != "]":
            if self._text[self._at] == ",":
                self._at += 1
                continue
            item = (*key, index)
            self._note(key, item, self._at)
            self._value(item)
            index += 1
        self._at += 1

    def _inline_table(self, key: Key) -> None:
        self._at += 1
        while self._skip_blank() and self._text[self._at] != "}":
            if self._text[self._at] == ",":
                self._at += 1
            else:
                self._pair(key)
        self._at += 1

    def _path(self) -> tuple[str, ...]:
        """A dotted key, up to its equals sign or closing bracket."""
        parts = []
        while True:
            self._skip_spaces()
            parts.append(self._string() if self._text[self._at] in "\"'" else self._bare_key())
            self._skip_spaces()
            if self._text[self._at] != ".":
                return tuple(parts)
            self._at += 1

    def _bare_key(self) -> str:
        start = self._at
        while self._text[self._at] not in _BARE_KEY_END:
            self._at += 1
        return self._text[start : self._at]

    def _string(self) -> str:
        quote = self._text[self._at]
        close = quote * 3 if self._text.startswith(quote * 3, self._at) else quote
        self._at += len(close)
        chars = []
        while not self._text.startswith(close, self._at):
            if quote == '"' and self._text[self._at] == "\\":
                chars.append(self._escape())
            else:
                chars.append(self._text[self._at])
                self._at += 1
        self._at += len(close)
        while len(close) == 3 and self._text[self._at] == quote:  # up to two quotes may stand before the closing three
            self._at += 1
        return "".join(chars)

    def _escape(self) -> str:
        mark = self._text[self._at + 1]
        self._at += 2
        if width := _WIDTHS.get(mark):
            self._at += width
            return chr(int(self._text[self._at - width : self._at], 16))
        return _ESCAPES.get(mark, mark)

    def _skip_spaces(self) -> None:
        while self._text[self._at] in " \t":
            self._at += 1

    def _skip_blank(self) -> bool:
        """Go on to the next character that means something; False at the end."""
        while self._at < len(self._text):
            if self._text[self._at] == "#":
                self._at = self._text.index("\n", self._at)
            elif self._text[self._at] not in " \t\r\n":
                return True
            self._at += 1
        return False

    def _note(self, parent: Key, key: Key, start: int) -> None:
        """Record ``key``, and those names between it and ``parent`` that stood nowhere before."""
        line = bisect_right(self._starts, start)
        for length in range(len(parent) + 1, len(key)):
            self._lines.setdefault(key[:length], line)
        self._lines[key] = line
