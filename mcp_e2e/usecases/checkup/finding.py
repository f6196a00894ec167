"""What a check found, and looks that end in time."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import anyio

T = TypeVar("T")
POLL_S = 0.01


class State(StrEnum):
    """``NOTE``: worth knowing, nothing is wrong. Only ``PROBLEM`` says that something does not work."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """``fix``: what to do about it, empty where nothing is to be done."""

    state: State
    what: str
    fix: str = ""

    def shown(self) -> dict[str, Any]:
        return {"state": self.state.value, "what": self.what} | ({"fix": self.fix} if self.fix else {})


def ok(what: str) -> Finding:
    return Finding(State.OK, what)


def note(what: str, fix: str = "") -> Finding:
    return Finding(State.NOTE, what, fix)


def warning(what: str, fix: str) -> Finding:
    return Finding(State.WARNING, what, fix)


def problem(what: str, fix: str) -> Finding:
    return Finding(State.PROBLEM, what, fix)


async def aside(work: Callable[[], T]) -> T:
    """``work`` in a thread that nobody waits for once we are cancelled: a dead disk must not hold the answer."""
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="mcp-e2e check", daemon=True)
    thread.start()
    while thread.is_alive():
        await anyio.sleep(POLL_S)
    if errors:
        raise errors[0]
    return results[0]
