"""What only a person may do: told by a terminal, and by no agent's mark in sight."""

import contextlib
import getpass
import os
import sys
from typing import Any

from mcp_e2e.entrypoints.cli import agent_markers
from mcp_e2e.errors import Refused


def refused(message: str, why: str, remedy: str, rule: str, **facts: Any) -> Refused:
    """``message`` says what was not done."""
    said = f"{message}: {why}"
    return Refused(said, text=f"{said}. {remedy}", remedy=remedy, refused=True, rule=rule, **facts)


def no_agent(message: str, remedy: str) -> None:
    """Raises Refused where an agent's mark stands."""
    if mark := agent_markers.found(os.environ):
        raise refused(message, mark.shown, remedy, "agent", marker=mark.name)


def at_terminal(message: str, remedy: str) -> None:
    """Raises Refused where nobody can look and type."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise refused(message, "it needs a terminal on stdin and stderr", remedy, "terminal")


def typed(question: str) -> str:
    """One line from the terminal; empty when it was closed."""
    sys.stderr.write(question)
    sys.stderr.flush()
    with contextlib.suppress(EOFError):
        return sys.stdin.readline().strip()
    return ""


def actor() -> dict[str, Any]:
    """Who did it, for the record: terminal, user, and the processes this one comes from."""
    user = None
    with contextlib.suppress(OSError, KeyError):
        user = getpass.getuser()
    return {
        "tty": os.ttyname(sys.stdin.fileno()) if hasattr(os, "ttyname") and sys.stdin.isatty() else None,
        "uid": os.getuid() if hasattr(os, "getuid") else None,
        "user": user,
        "parents": agent_markers.ancestors(),
    }
