"""Whether a service's log holds a line; run in a process of its own, for a regular expression may take for ever."""

# ruff: noqa: PLC0415, PTH123

from __future__ import annotations

LOOK_LIMIT_S = 10
LINE_BYTES = 65_536  # a line is searched up to here


def found(pattern: str, offset: int) -> bool:
    import re

    wanted = re.compile(pattern)
    with open("log", "rb") as log:
        log.seek(offset)
        while line := log.readline(LINE_BYTES):
            if wanted.search(line.decode("utf-8", "replace").rstrip("\r\n")):
                return True
    return False
