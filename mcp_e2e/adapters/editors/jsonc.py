"""JSON as editors keep it, with comments and trailing commas: what stands where, so that a change touches nothing else.

Libraries that keep comments write the whole file anew; here the text is only read, and a change is a place in it.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

_BLANK = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_BARE = re.compile(r"(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)(?![\w.+-])")
_LINE_END = re.compile(r"\r\n|\r|\n")
_DEEPEST = 100


class Malformed(Exception):
    """The text is no JSON with comments; ``at`` is where, in characters from its beginning."""

    def __init__(self, problem: str, at: int) -> None:
        super().__init__(problem)
        self.at = at


@dataclass(frozen=True)
class Node:
    """A value and its place, ``start`` to ``end``; only of an object ``members``, and a ``comma`` behind the last."""

    value: Any
    start: int
    end: int
    members: tuple["Member", ...] | None = None
    comma: bool = False

    def member(self, key: str) -> "Node | None":
        """Raises Malformed for a key that stands twice: readers differ in which they take."""
        found = [member for member in self.members or () if member.key == key]
        if len(found) > 1:
            raise Malformed(f"the key {json.dumps(key)} stands twice", found[1].start)
        return found[0].node if found else None


@dataclass(frozen=True)
class Member:
    """``start`` is where its key begins."""

    key: str
    start: int
    node: Node


def parse(text: str) -> Node | None:
    """The one value of ``text``; None where there is nothing but blanks and comments. Raises Malformed."""
    reader = _Reader(text)
    if not reader.peek():
        return None
    node = reader.value(0)
    if reader.peek():
        raise reader.expected("the end of the file")
    return node


def place(text: str, at: int) -> tuple[int, int]:
    """Line and column of a character, both counted from 1."""
    lines = _LINE_END.split(text[:at])
    return len(lines), len(lines[-1]) + 1


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def peek(self) -> str:
        """The next character that means something, blanks and comments passed over; empty at the end."""
        found = _BLANK.match(self._text, self._at)
        self._at = found.end() if found else self._at
        if self._text.startswith("/*", self._at):
            raise Malformed("a comment is not closed", self._at)
        return self._text[self._at : self._at + 1]

    def expected(self, what: str) -> Malformed:
        found = self.peek()
        return Malformed(
            f"expected {what}, found {json.dumps(found, ensure_ascii=False) if found else 'the end'}", self._at
        )

    def value(self, depth: int) -> Node:
        start, first = self._at, self.peek()
        if depth > _DEEPEST:
            raise Malformed(f"nested more than {_DEEPEST} deep", start)
        start = self._at
        if first == "{":
            return self._object(depth)
        if first == "[":
            return self._array(depth)
        value = self._string() if first == '"' else self._bare()
        return Node(value, start, self._at)

    def _bare(self) -> Any:
        found = _BARE.match(self._text, self._at)
        if found is None:
            raise self.expected("a value")
        self._at = found.end()
        return json.loads(found[0])

    def _string(self) -> str:
        if self.peek() != '"':
            raise self.expected("a key in double quotes")
        found = _STRING.match(self._text, self._at)
        if found is None:
            raise Malformed("a text is not closed, or holds what must be escaped", self._at)
        self._at = found.end()
        return str(json.loads(found[0]))

    def _take(self, char: str) -> bool:
        taken = self.peek() == char
        self._at += taken
        return taken

    def _object(self, depth: int) -> Node:
        start, members, comma = self._at, list[Member](), False
        self._at += 1
        while not self._take("}"):
            self._separated(comma=comma, first=not members, close="}")
            begin = self._at
            key = self._string()
            if not self._take(":"):
                raise self.expected("a colon")
            members.append(Member(key, begin, self.value(depth + 1)))
            comma = self._take(",")
        return Node({each.key: each.node.value for each in members}, start, self._at, tuple(members), comma)

    def _array(self, depth: int) -> Node:
        start, items, comma = self._at, list[Any](), False
        self._at += 1
        while not self._take("]"):
            self._separated(comma=comma, first=not items, close="]")
            items.append(self.value(depth + 1).value)
            comma = self._take(",")
        return Node(items, start, self._at)

    def _separated(self, *, comma: bool, first: bool, close: str) -> None:
        if not (comma or first):
            raise self.expected(f'"," or "{close}"')
