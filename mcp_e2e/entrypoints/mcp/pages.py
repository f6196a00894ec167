"""Lists in pages: a cursor names where the next page begins, and means nothing to anybody else."""

from collections.abc import Sequence
from typing import TypeVar

from mcp.types import PaginatedRequestParams

from mcp_e2e.entrypoints.mcp.invalid import invalid

T = TypeVar("T")

SIZE = 50  # more than any list of ours has today: clients that never ask for a second page miss nothing
_PREFIX = "from-"


def page(items: Sequence[T], params: PaginatedRequestParams | None, size: int = SIZE) -> tuple[list[T], str | None]:
    """One page of ``items``, and the cursor of the next one; None after the last.

    Raises:
        MCPError: -32602 for a cursor that this server has not given out.
    """
    cursor = params.cursor if params else None
    begin = 0 if cursor is None else _begin(cursor, len(items))
    following = begin + size
    return list(items[begin:following]), f"{_PREFIX}{following}" if following < len(items) else None


def _begin(cursor: str, total: int) -> int:
    number = cursor.removeprefix(_PREFIX)
    if cursor.startswith(_PREFIX) and number.isascii() and number.isdecimal() and 0 < int(number[:9]) < total:
        return int(number[:9])
    raise invalid(f"unknown cursor {cursor[:40]!r}: list without a cursor to begin anew")
