"""A look at a service: a child of its own with a time limit, that ends with 0 when what was looked for is there.

Neither a slow regular expression, nor a program that hangs, nor a server that accepts and never answers holds the
keeper up.
"""

# ruff: noqa: PLC0415, PTH123

from __future__ import annotations

import os

from . import child
from .quiet import TYPE_CHECKING, quietly

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping
    from typing import Any

    from .tree import Tree
else:
    import _signal as signal

LIMIT_S = 10.0
LINE_BYTES = 65_536  # a line is searched, and a status line waited for, up to here


class Look:
    """By ``rule`` (``model.jobs.Readiness``); one at a time."""

    def __init__(self, rule: Mapping[str, Any], program: child.Program, tree: Tree, limit_s: float = LIMIT_S) -> None:
        self._rule, self._program, self._tree, self._limit_s = rule, program, tree, limit_s
        self._pid: int | None = None

    @property
    def under_way(self) -> bool:
        return self._pid is not None

    def start(self, log_offset: int = 0) -> None:
        """``log_offset``: where the log is searched from. Raises OSError when the machine allows no more processes."""
        keeper = os.getpid()
        self._pid = os.fork()
        self._tree.aside[self._pid] = None
        if self._pid == 0:
            try:
                child.default_signals()
                child.end_with(keeper)  # it would hold the job's lock for as long as it looks
                signal.setitimer(signal.ITIMER_REAL, self._limit_s)
                os._exit(0 if self._seen(log_offset) else 1)
            finally:
                os._exit(1)

    def result(self) -> bool | None:
        """None while it is under way; asked once."""
        assert self._pid is not None
        if (status := self._tree.aside[self._pid]) is None:
            return None
        del self._tree.aside[self._pid]
        self._pid = None
        return status == 0

    def dismiss(self) -> None:
        """The life is over: whatever still looks ends."""
        if self._pid is not None and self._tree.aside.pop(self._pid) is None:
            with quietly(OSError):
                os.kill(self._pid, signal.SIGKILL)  # our own child, not waited for yet: the pid is its own
                os.waitpid(self._pid, 0)
        self._pid = None

    def _seen(self, log_offset: int) -> bool:
        rule = self._rule
        if rule["log"]:
            return _printed(rule["log"], log_offset)
        return self._executed() if rule["exec"] else _answers(rule["port"], rule["http"])

    def _executed(self) -> bool:
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nothing, fd)
        os.chdir(self._program.cwd)
        argv = list(self._rule["exec"])
        os.execvpe(argv[0], argv, dict(self._program.env))


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
