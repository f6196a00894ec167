"""What a look looks for: a line of the log, or an answer at the port. In a process of its own: both can take long."""

# ruff: noqa: PLC0415, PTH123

from __future__ import annotations

from .quiet import TYPE_CHECKING, quietly

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

LINE_BYTES = 65_536  # a line is searched, and a status line waited for, up to here


def seen(rule: Mapping[str, Any], log_offset: int) -> bool:
    """Whether what ``rule`` (``model.jobs.Readiness``, but for ``exec``) asks for is there."""
    return _printed(rule["log"], log_offset) if rule["log"] else _answers(rule["port"], rule["http"])


def _printed(pattern: str, offset: int) -> bool:
    import re

    wanted = re.compile(pattern)
    with open("log", "rb") as log:
        log.seek(offset)
        while line := log.readline(LINE_BYTES):
            if wanted.search(line.decode("utf-8", "replace").rstrip("\r\n")):
                return True
    return False


def _answers(port: int, path: str | None) -> bool:
    """On either loopback address: it accepts, and where a ``path`` is given has an answer for it."""
    import _socket

    for family, host in ((_socket.AF_INET, "127.0.0.1"), (_socket.AF_INET6, "::1")):
        with quietly(OSError):
            connection = _socket.socket(family, _socket.SOCK_STREAM)
            connection.connect((host, port))
            if path is None:
                return True
            name = f"[{host}]" if ":" in host else host
            ask = f"GET {path} HTTP/1.1\r\nHost: {name}:{port}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
            connection.sendall(ask.encode("ascii", "replace"))
            if _good(_first_line(connection)):
                return True
    return False


def _first_line(connection: Any) -> bytes:
    said = b""
    while b"\n" not in said and len(said) < LINE_BYTES and (more := connection.recv(4096)):
        said += more
    return said.partition(b"\n")[0]


def _good(line: bytes) -> bool:
    """As a server judges it (``adapters.command``): an answer, and neither "not found" nor its own failure."""
    words = line.split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        return False
    return int(words[1]) < 500 and int(words[1]) != 404
