"""What the terminal can show: its width, its characters, colours; and a screen that is redrawn in place."""

import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from mcp_e2e.entrypoints.cli.options import Said
from mcp_e2e.entrypoints.cli.output import put

_ESCAPES = re.compile(r"(\x1b\[[0-9;]*m)")


def is_terminal() -> bool:
    """Whether stdout is one that can be drawn on."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def has_colors(said: Said) -> bool:
    return is_terminal() and not said.no_color and not os.environ.get("NO_COLOR")


def speaks_utf8(environ: Mapping[str, str] | None = None) -> bool:
    """Whether whoever reads can show more than ASCII. Into a pipe always: our streams are UTF-8."""
    if not is_terminal():
        return True
    found = os.environ if environ is None else environ
    if sys.platform == "win32":
        return bool(found.get("WT_SESSION") or found.get("TERM_PROGRAM"))
    else:  # noqa: RET505  for mypy on Windows
        told = next((found[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if found.get(name)), "")
        return "utf" in told.lower()


def fitted(lines: Iterable[str]) -> str:
    """Lines cut to the width of a terminal; into a pipe as they are."""
    if not is_terminal():
        return "\n".join(lines)
    width = shutil.get_terminal_size().columns
    return "\n".join(cut(line, width) for line in lines)


def cut(line: str, width: int) -> str:
    """``line`` in at most ``width`` columns; colours take none, and are switched off at its end."""
    shown, room = [], width
    for part in _ESCAPES.split(line):
        if part.startswith("\x1b"):
            shown.append(part)
            continue
        for char in part:
            room -= _columns(char)
            if room < 0:
                break
            shown.append(char)
    return "".join(shown)


def _columns(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


class Screen:
    """Lines drawn over those of before; what was on the terminal above stays, and so does the last state."""

    def __init__(self) -> None:
        self._drawn: list[str] = []
        self._size = os.terminal_size((0, 0))

    def draw(self, lines: Sequence[str]) -> bool:
        """Nothing is written where nothing has changed. False when the terminal is gone."""
        size = shutil.get_terminal_size()
        new = [cut(line, size.columns - 1) for line in lines[: size.lines - 1]]
        if new == self._drawn and size == self._size:
            return True
        if not self._drawn:
            back = ""
        elif size == self._size:
            back = f"\x1b[{len(self._drawn)}F"
        else:  # lines have been broken anew: where they begin is not known any more
            back = "\x1b[H\x1b[2J"
        self._drawn, self._size = new, size
        return put(back + "".join(f"{line}\x1b[K\n" for line in new) + "\x1b[J", end="")
