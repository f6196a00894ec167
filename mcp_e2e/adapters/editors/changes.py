"""A change to an object in a JSON text: the fewest edits of it, in the indentation and line ends that stand there."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mcp_e2e.adapters.editors.jsonc import Malformed, Node, parse

_INDENT = re.compile(r"[ \t]*")
_BLANKS = " \t\r\n"


@dataclass(frozen=True)
class Edit:
    """The characters from ``start`` to ``end`` become ``text``."""

    start: int
    end: int
    text: str


def applied(text: str, edits: Sequence[Edit]) -> str:
    """All of them, each at its place in the ``text`` as it was; of two at one place the first comes first."""
    for edit in sorted(enumerate(edits), key=lambda each: (each[1].start, each[0]), reverse=True):
        text = text[: edit[1].start] + edit[1].text + text[edit[1].end :]
    return text


class Changes:
    """The edits of one text. Raises Malformed: it is no JSON, or no object stands where one must."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.root = self.an_object(parse(text), "the file")
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._unit = self._indent_unit()
        self.edits: list[Edit] = []

    def an_object(self, node: Node | None, what: str) -> Node:
        if node is None or node.members is None:
            raise Malformed(f"{what} is no object, {{ … }}", node.start if node else 0)
        return node

    def replace(self, node: Node, value: Any) -> None:
        """``value`` instead of that one; on one line where that one stood on one."""
        one_line = "\n" not in self._text[node.start : node.end]
        text = self._inline(value) if one_line else self._lines(value, self._margin(node.start))
        self.edits.append(Edit(node.start, node.end, text))

    def put(self, node: Node, values: Mapping[str, Any]) -> None:
        """Members of an object: those there are get their value if it is another, the others follow behind the last."""
        for key, value in values.items():
            there = node.member(key)
            if there is not None and there.value != value:
                self.replace(there, value)
        new = {key: value for key, value in values.items() if node.member(key) is None}
        if new:
            self._append(node, new)

    def _append(self, node: Node, values: Mapping[str, Any]) -> None:
        last = node.end - 1  # before the closing bracket, and what is blank before it
        while self._text[last - 1] in _BLANKS:
            last -= 1
        if not node.members:
            self._fill(node, last, values)
            return
        margin = self._margin_within(node)
        pairs = [self._pair(key, value, margin) for key, value in values.items()]
        gap = " " if margin is None else self._newline + margin
        text = gap + f",{gap}".join(pairs)
        if node.comma:
            self.edits.append(Edit(last, last, f"{text},"))
        else:
            self.edits += [Edit(node.members[-1].node.end, node.members[-1].node.end, ","), Edit(last, last, text)]

    def _fill(self, node: Node, last: int, values: Mapping[str, Any]) -> None:
        """An object without members; a comment in it stays where it is."""
        outer = self._margin(node.start)
        margin = outer + self._unit
        gap = self._newline + margin
        text = gap + f",{gap}".join(self._pair(key, value, margin) for key, value in values.items())
        if "\n" not in self._text[last : node.end]:
            text += self._newline + outer
        blank = last == node.start + 1 and "\n" not in self._text[last : node.end]
        self.edits.append(Edit(last, node.end - 1 if blank else last, text))

    def _pair(self, key: str, value: Any, margin: str | None) -> str:
        text = self._inline(value) if margin is None else self._lines(value, margin)
        return f"{json.dumps(key)}: {text}"

    def _inline(self, value: Any) -> str:
        return json.dumps(value, ensure_ascii=False)

    def _lines(self, value: Any, margin: str) -> str:
        text = json.dumps(value, ensure_ascii=False, indent=self._unit)
        return text.replace("\n", self._newline + margin)

    def _margin(self, at: int) -> str:
        """The indentation of the line on which a character stands."""
        start = self._text.rfind("\n", 0, at) + 1
        found = _INDENT.match(self._text, start, at)
        return found[0] if found else ""

    def _own_line(self, at: int) -> str | None:
        """The same where nothing else stands before it on its line; None where something does."""
        margin = self._margin(at)
        start = at - len(margin)
        return margin if start > 0 and self._text[start - 1] == "\n" else None

    def _margin_within(self, node: Node) -> str | None:
        """Of a new member of an object that has some; None where the object stands on one line."""
        if "\n" not in self._text[node.start : node.end]:
            return None
        margin = self._own_line(node.members[-1].start) if node.members else None
        return self._margin(node.start) + self._unit if margin is None else margin

    def _indent_unit(self) -> str:
        """How far members stand in from their object: as the first member of the root does."""
        first = self._own_line(self.root.members[0].start) if self.root.members else None
        outer = self._margin(self.root.start)
        return first[len(outer) :] if first and first.startswith(outer) and first != outer else "  "
