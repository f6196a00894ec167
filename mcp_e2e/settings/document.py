"""A TOML file as read from disk: its content, its lines, and what went wrong on the way."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp_e2e.errors import ConfigError
from mcp_e2e.settings.faults import Fault, Key, dotted
from mcp_e2e.settings.lines import key_lines, nearest_line

_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_ABOUT_ESCAPES = re.compile(r"unescaped|escape|hex value|unicode scalar", re.IGNORECASE)
_ESCAPED = re.compile(r"[\b\t\n\f\r\x1b]")
_ESCAPED_DRIVE = re.compile(r"[A-Za-z]:(?:[^\n]*\\)?[\b\t\n\f\r\x1b]")  # at the start only: scripts hold "if x:\n"
_PATH_KEYS = frozenset({"cwd", "workflow", "state_dir", "golden_dir", "similar_to", "watch", "clean", "reload_on"})
_BACKSLASH = 'a backslash in "…" starts an escape such as \\t or \\U'
_BACKSLASH_FIX = "Write Windows paths in single quotes ('C:\\ComfyUI') or with / (\"C:/ComfyUI\")."


@dataclass(frozen=True)
class Document:
    """``origins`` names the variable behind each key that does not come from the file."""

    file: Path
    raw: dict[str, Any] = field(default_factory=dict)
    lines: dict[Key, int] = field(default_factory=dict)
    origins: dict[Key, str] = field(default_factory=dict)

    def failure(self, faults: Iterable[Fault]) -> ConfigError:
        """One error for all ``faults``: the topmost makes the sentence, the others follow, each on its own line.

        Facts: file, line, key, and ``problems`` with line, key, problem and fix of each.
        """
        found = sorted(faults, key=lambda fault: self._line(fault.key) or 0)
        first = found[0]
        message = f"{self._place(first, str(self.file))}: {_said(first)}"
        message += "".join(
            f"\nAlso {self._place(other, 'the file')}: {_said(other)} {other.fix}" for other in found[1:]
        )
        problems = [
            {"line": self._line(fault.key), "key": dotted(fault.key), "problem": fault.problem, "fix": fault.fix}
            for fault in found
        ]
        line, key = self._line(first.key), dotted(first.key)
        return ConfigError(message, remedy=first.fix, file=str(self.file), line=line, key=key, problems=problems)

    def _line(self, key: Key) -> int | None:
        return None if key in self.origins else nearest_line(self.lines, key)

    def _place(self, fault: Fault, file: str) -> str:
        if origin := self.origins.get(fault.key):
            return origin
        line = self._line(fault.key)
        if file == str(self.file):
            return f"{file}, line {line}" if line else file
        return f"line {line}" if line else file


def _said(fault: Fault) -> str:
    return f"{dotted(fault.key)}: {fault.problem}." if fault.key else f"{fault.problem}."


def read_text(file: Path) -> str:
    """The file's text, without a byte order mark. Raises ConfigError for what is no readable UTF-8."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.", remedy="Make it a readable file.") from error
    return decoded(file, data)


def decoded(file: Path, data: bytes) -> str:
    """The text of bytes read from ``file``, otherwise as ``read_text``."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:100]:
        raise ConfigError(f"{file} is UTF-16, not UTF-8.", remedy="Save it as UTF-8.", file=str(file))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = f"{file}, line {line}: is not UTF-8 (byte 0x{data[error.start]:02x})."
        raise ConfigError(problem, remedy="Save it as UTF-8.", file=str(file), line=line) from error


def read_document(file: Path) -> Document:
    """Parse ``file``. Raises ConfigError with the line of the first mistake in the TOML."""
    return parse_document(file, read_text(file))


def parse_document(file: Path, text: str) -> Document:
    """Parse ``text`` as the content of ``file``, which is not looked at. Raises ConfigError as ``read_document``."""
    try:
        return Document(file, tomllib.loads(text), key_lines(text))
    except RecursionError as error:
        raise ConfigError(f"{file} is nested too deeply.", file=str(file)) from error
    except ValueError as error:  # besides its own errors, tomllib lets those of int() through
        raise _syntax_error(file, text, str(error)) from error


def escape_faults(raw: dict[str, Any]) -> list[Fault]:
    """Paths in which ``"C:\\temp"`` has silently become "C:", a tab and "emp"."""
    return [
        Fault(key, f"holds a control character: {_BACKSLASH}", _BACKSLASH_FIX)
        for key, value in _texts((), raw)
        if _swallowed(key, value)
    ]


def _swallowed(key: Key, value: str) -> bool:
    if "env" in key:
        return False
    if _PATH_KEYS.intersection(key[-2:]):
        return _ESCAPED.search(value) is not None
    return "command" in key and _ESCAPED_DRIVE.match(value) is not None


def _texts(key: Key, value: object) -> Iterator[tuple[Key, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts((*key, name), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts((*key, index), inner)


def _syntax_error(file: Path, text: str, said: str) -> ConfigError:
    """The parser's words with file, line and a fix; a backslash and an unclosed text get words of their own."""
    line = _line_said(said, text)
    problem = _AT.sub("", said)
    remedy = "Correct the TOML on that line; text needs quotes, lists [ ], tables a [header]."
    if _ABOUT_ESCAPES.search(problem) and line and "\\" in text.split("\n")[line - 1]:
        problem, remedy = _BACKSLASH, _BACKSLASH_FIX
    elif problem == r"Illegal character '\n'":
        problem = "the text is not closed on this line"
    elif problem.startswith(("Cannot overwrite", "Cannot declare")):
        remedy = "The same key or table stands twice: keep one."
    place = f"{file}, line {line}" if line else str(file)
    return ConfigError(f"{place}: {problem}.", remedy=remedy, file=str(file), line=line)


def _line_said(said: str, text: str) -> int | None:
    at = _AT.search(said)
    if at is None:
        return None
    return int(at[1]) if at[1] else len(text.rstrip().split("\n"))
