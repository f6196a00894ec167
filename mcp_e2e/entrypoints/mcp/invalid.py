"""Errors of the protocol, in bounds: what a client sent is not sent back to it whole. And what is no text at all."""

import json
from typing import Any

from mcp import MCPError
from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult
from mcp.types import INVALID_PARAMS, METHOD_NOT_FOUND

_MOST, _HEAD = 1_000, 200  # characters


def invalid(message: str, **data: str) -> MCPError:
    """-32602, said shortly; ``data`` only where there is any."""
    return MCPError(INVALID_PARAMS, short(message), {name: short(text) for name, text in data.items()} or None)


def short(text: str) -> str:
    """``text``, or where it is very long its head and its tail."""
    if len(text) <= _MOST:
        return text
    return f"{text[:_HEAD]}[... {len(text) - 2 * _HEAD} characters left out ...]{text[-_HEAD:]}"


async def admit(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware: what can be neither stored nor said again goes no further; a notification of it is dropped.

    Raises:
        MCPError: -32602 for half a surrogate pair, which one of the SDK's parsers lets through; -32601 for a method
            whose name is so long that the SDK's own answer, which repeats it, would be too.
    """
    if (refusal := _refusal(ctx.method, ctx.params)) is None:
        return await call_next(ctx)
    if ctx.request_id is None:
        return None
    raise refusal


def _refusal(method: str, params: Any) -> MCPError | None:
    if len(method) > _MOST:
        return MCPError(METHOD_NOT_FOUND, "Method not found", short(method))
    try:
        json.dumps(params, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return invalid("params have text that is no Unicode (half a surrogate pair), or are nested too deeply")
    return None
