"""Errors of the protocol, in bounds: what a client sent is not sent back to it whole. And what is no text at all."""

import json
from typing import Any

from mcp import MCPError
from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult
from mcp.types import INVALID_PARAMS

_MOST, _HEAD = 1_000, 200  # characters


def invalid(message: str, **data: str) -> MCPError:
    """-32602, said shortly; ``data`` only where there is any."""
    return MCPError(INVALID_PARAMS, short(message), {name: short(text) for name, text in data.items()} or None)


def short(text: str) -> str:
    """``text``, or where it is very long its head and its tail."""
    if len(text) <= _MOST:
        return text
    return f"{text[:_HEAD]}[... {len(text) - 2 * _HEAD} characters left out ...]{text[-_HEAD:]}"


async def only_text(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware: half a surrogate pair, which one of the SDK's parsers lets through, can be neither stored nor said.

    Raises MCPError -32602 for a request with one in it; a notification is dropped.
    """
    try:
        json.dumps(ctx.params, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError) as error:
        if ctx.request_id is None:
            return None
        raise invalid(
            "params have text that is no Unicode (half a surrogate pair), or are nested too deeply"
        ) from error
    return await call_next(ctx)
