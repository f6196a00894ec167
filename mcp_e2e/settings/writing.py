"""Writes TOML for ``mcp-e2e.toml``: services, tests, text in the right quotes; only ever new files or more lines."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mcp_e2e.errors import ConfigError

_LINE = 110


def text(value: str) -> str:
    """A TOML string: in single quotes where that saves backslashes, as in Windows paths."""
    if ("\\" in value or '"' in value) and not re.search(r"['\x00-\x1f\x7f]", value):
        return f"'{value}'"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def array(words: Sequence[str]) -> str:
    """An array of strings, on several lines where one would be too long; a flag stays on a line with its values."""
    line = f"[{', '.join(map(text, words))}]"
    if len(line) <= _LINE:
        return line
    groups: list[list[str]] = []
    for word in words:
        if groups and groups[-1][0].startswith("--") and not word.startswith("--"):
            groups[-1].append(word)
        else:
            groups.append([word])
    lines = [""]
    for group in groups:
        more = "".join(f"{text(word)}, " for word in group)
        if lines[-1] and len(lines[-1]) + len(more) > _LINE:
            lines.append("")
        lines[-1] += more
    return "[\n" + "".join(f"  {line.rstrip()}\n" for line in lines) + "]"


def inline(table: Mapping[str, int | bool]) -> str:
    """An inline table of numbers and truths."""
    return f"{{ {', '.join(f'{key} = {json.dumps(value)}' for key, value in table.items())} }}"


def create(file: Path, content: str) -> None:
    """Write a new file. Raises ConfigError where there is one by now, or none can be written."""
    data = _encoded(file, content)
    try:
        with file.open("xb") as new:
            new.write(data)
    except FileExistsError as error:
        raise ConfigError(f"{file} has been made meanwhile.", remedy="Call again; it is then added to.") from error
    except OSError as error:
        raise _unwritable(file, error) from error


def extend(file: Path, content: str) -> None:
    """Add lines at the end of ``file``, in its own line ends; what stands there stays as it is. Raises ConfigError."""
    try:
        before = file.read_bytes()
        if b"\r\n" in before:
            content = content.replace("\n", "\r\n")
        data = _encoded(file, content)
        with file.open("ab") as old:
            old.write(data)
    except OSError as error:
        raise _unwritable(file, error) from error


def joint(before: str, added: str) -> str:
    """What to write after ``before`` so that ``added`` begins on a line of its own, an empty one between."""
    return ("" if not before or before.endswith("\n") else "\n") + ("\n" if before.strip() else "") + added


def _encoded(file: Path, content: str) -> bytes:
    """Before anything is opened: a new file that holds nothing would be left behind."""
    try:
        return content.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{file} cannot be written: a path to be named in it is not UTF-8, which TOML cannot hold.",
            remedy="Rename that folder or file.",
        ) from error


def _unwritable(file: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"{file} cannot be written: {error.strerror}.", remedy="Correct its rights, or name another file."
    )
