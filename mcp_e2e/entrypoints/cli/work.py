"""From a command to the use-cases: opens them, lets one piece of work use them, closes them."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import anyio

from mcp_e2e.entrypoints.cli import agent_markers
from mcp_e2e.entrypoints.cli.options import Said
from mcp_e2e.errors import E2EError
from mcp_e2e.process.environment import JOB_MARKER

if TYPE_CHECKING:
    from mcp_e2e.bootstrap import App
    from mcp_e2e.store.opening import ReadsOnly

T = TypeVar("T")


def inside(
    said: Said, work: Callable[[App], Awaitable[T]], *, settles: bool = False, reads_only: ReadsOnly = False
) -> T:
    """What ``work`` answers. ``settles``: go on with what dead processes left open, as long as it lasts.

    ``reads_only``: the state folder is not made, written or marked as in use.
    """
    from mcp_e2e.bootstrap import open_app  # noqa: PLC0415  a second of imports that help and completion do not need

    async def opened() -> T | E2EError:
        inner = reads_only or bool(os.environ.get(JOB_MARKER))  # what steers is refused there already
        async with open_app(
            said.options(), os.environ, door="cli", settles=settles, person=is_person(), reads_only=inner
        ) as app:
            try:
                return await work(app)
            except E2EError as error:  # as a value: a task group would wrap it
                return error
        raise AssertionError("open_app swallows nothing")

    ended = anyio.run(opened)
    if isinstance(ended, E2EError):
        raise ended
    return ended


def is_person() -> bool:
    """A terminal to type in and to talk to, and no agent in between."""
    return sys.stdin.isatty() and sys.stderr.isatty() and agent_markers.found(os.environ) is None
