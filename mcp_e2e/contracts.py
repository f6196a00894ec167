"""The few protocols that have two real implementations."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from mcp_e2e.model.services import Boot, Health
from mcp_e2e.model.work import Ready

Progress = Callable[[float, float | None, str], Awaitable[None]]
"""How a door hears of work it waits for: done so far, total if known (seconds or slots), a sentence."""


class ServiceAdapter(Protocol):
    """A kind of service: how to see whether it answers, and what its log tells of a start."""

    @property
    def kind(self) -> str: ...

    async def look(self, url: str, ready: Ready) -> Health:
        """One look, at most a few seconds; a service that does not answer is a fact, never an exception.

        Raises ``Unsupported`` for a way of being ready that this kind cannot check.
        """
        ...

    def read_boot(self, so_far: Boot, text: str) -> Boot:
        """``so_far`` with what the next part of the log tells; ``text`` has no ANSI codes and may end within a line."""
        ...

    def why_ended(self, tail: str) -> str | None:
        """Why a start failed and what to change, from the ``tail`` of its log; None: it does not tell."""
        ...
