"""Errors of the protocol, in bounds: what a client sent is not sent back to it whole."""

from mcp import MCPError
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
