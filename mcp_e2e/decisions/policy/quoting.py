"""From a word's syntax to its text: quotes and escapes undone, braces expanded, the unknown marked.

``r''m``, ``"rm"``, ``\\rm`` and ``$'\\x72m'`` are all ``rm``. A character that was quoted and would mean something bare
travels hidden in a private plane of Unicode until the word is done.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_e2e.decisions.policy.parsing import Parsed
from mcp_e2e.decisions.policy.words import DYNAMIC, Word

if TYPE_CHECKING:
    from tree_sitter import Node

_MEANING = "*?[]{},~"
_HIDE = {ord(sign): chr(0xF700 + ord(sign)) for sign in _MEANING}
_SHOW = {0xF700 + ord(sign): sign for sign in _MEANING}
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED_IN_DOUBLE_QUOTES = re.compile(r'\\([$`"\\\n])')
_ANSI_C = re.compile(r"\\(x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{1,4}|U[0-9a-fA-F]{1,8}|[0-7]{1,3}|c.|.)", re.DOTALL)
_ANSI_C_LETTERS = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "e": "\x1b",
    "E": "\x1b",
}
_INNERMOST_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
_MOST_ALTERNATIVES = 64
_EXPANSIONS = {"simple_expansion", "expansion", "command_substitution", "process_substitution", "arithmetic_expansion"}


@dataclass(frozen=True)
class Reader:
    """Reads words of one text; ``known`` gives the text of expansions that need no shell to be known."""

    parsed: Parsed
    known: Mapping[str, str]

    def words(self, node: "Node") -> list[Word]:
        """Usually one; several where braces stand."""
        text = self._text(node)
        if "~" in text[:1]:
            text = self.known.get("~", DYNAMIC) + text[1:] if text[1:2] in {"", "/"} else DYNAMIC + text[1:]
        return [_finished(alternative) for alternative in _alternatives(text)]

    def _text(self, node: "Node") -> str:
        written = self.parsed.source(node)
        match node.type:
            case "raw_string":
                return written[1:-1].translate(_HIDE)
            case "ansi_c_string":
                return _ANSI_C.sub(_ansi_c, written[2:-1]).translate(_HIDE)
            case "string":
                return "".join(self._quoted(part) for part in node.children if part.type != '"').translate(_HIDE)
            case "concatenation" | "command_name":
                return "".join(self._text(part) for part in node.children if part.type != "$")
            case kind if kind in _EXPANSIONS:
                return self.known.get(written, DYNAMIC)
        return _ESCAPED.sub(lambda found: found[1].strip("\n").translate(_HIDE), written)

    def _quoted(self, node: "Node") -> str:
        written = self.parsed.source(node)
        if node.type in _EXPANSIONS:
            return self.known.get(written, DYNAMIC)
        return _ESCAPED_IN_DOUBLE_QUOTES.sub(lambda found: found[1].strip("\n"), written)


def _finished(text: str) -> Word:
    return Word(text.translate(_SHOW), pattern=any(sign in text for sign in "*?["))


def _ansi_c(found: re.Match[str]) -> str:
    escape = found[1]
    if escape[0] in "xuU" and len(escape) > 1:
        return _character(int(escape[1:], 16))
    if escape[0] in "01234567":
        return _character(int(escape, 8) & 0xFF)
    return _ANSI_C_LETTERS.get(escape, escape)


def _character(code: int) -> str:
    return chr(code) if 0 < code < 0xD800 or 0xE000 <= code <= 0x10FFFF else ""


def _alternatives(text: str) -> list[str]:
    """``a{b,c}`` is ``ab`` and ``ac``; too many of them are one unknown word."""
    done: list[str] = []
    waiting = [text]
    while waiting:
        braces = _INNERMOST_BRACES.search(start := waiting.pop())
        if braces is None:
            done.append(start)
            continue
        waiting += [start[: braces.start()] + part + start[braces.end() :] for part in braces[1].split(",")][::-1]
        if len(waiting) + len(done) > _MOST_ALTERNATIVES:
            return [DYNAMIC]
    return done
