"""status --watch: a screen that is redrawn, or a line or envelope for each change; until Ctrl-C, or nobody reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import anyio

from mcp_e2e.entrypoints.cli.options import Said
from mcp_e2e.entrypoints.cli.output import Outcome, put, put_envelope
from mcp_e2e.entrypoints.cli.screen import Screen, has_colors, is_terminal, speaks_utf8
from mcp_e2e.formats.board import Style, changes, data, screen
from mcp_e2e.model.board import Board

if TYPE_CHECKING:
    from mcp_e2e.usecases.boards import Boards

POLL_S = 0.3
LOOK_S = 2.0
FIRST_LOOK_S = 1.0  # a service that hangs holds nothing up but its own line

Show = Callable[[Board], bool]
"""Shows a board, or what is new in it; False when nobody reads any more."""


async def watch(said: Said, boards: Boards) -> None:
    """Returns when nobody reads any more. Raises ConfigError when there is no project."""
    tell = _as_envelopes(said) if said.json else _as_screen(said) if is_terminal() else _as_lines()
    await boards.show()  # where there is no project, that is all
    looked = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_again_and_again, boards.look_at_services, looked)
        with anyio.move_on_after(FIRST_LOOK_S):
            await looked.wait()
        board = await boards.show()
        while tell(board):
            await anyio.sleep(POLL_S)
            board = await boards.show()
        tasks.cancel_scope.cancel()


async def _again_and_again(look: Callable[[], Awaitable[None]], looked: anyio.Event) -> None:
    while True:
        await look()
        looked.set()
        await anyio.sleep(LOOK_S)


def _as_screen(said: Said) -> Show:
    style, drawn = Style(has_colors(said), not speaks_utf8()), Screen()
    return lambda board: drawn.draw(screen(board, style))


def _as_lines() -> Show:
    last: list[Board] = []

    def tell(board: Board) -> bool:
        lines = changes(last[-1] if last else None, board)
        last[:] = [board]
        return all(map(put, lines))

    return tell


def _as_envelopes(said: Said) -> Show:
    last: list[dict[str, object]] = []

    def tell(board: Board) -> bool:
        facts = data(board)
        same = {name: value for name, value in facts.items() if name != "at"}
        if last == [same]:
            return True
        last[:] = [same]
        return put_envelope(said, Outcome(facts))

    return tell
