"""Requests in flight, and their end: when the server stops, and when a client hangs up.

A stream may stand open for hours, and the server's stop must not wait for it. In the handshake era the SDK goes on with
a call whose client has hung up; its verdict would be handed over to nobody. Here that stops the waiting, as it does
in the new era. Work goes on in both.
"""

import json
from collections.abc import MutableMapping
from typing import Any

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_e2e.entrypoints.mcp.http.checks import said

SESSION = "mcp-session-id"
_LAST_WORDS_S = 0.5


class Streams:
    """The outermost layer: knows which requests are open and can end them all."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open: set[anyio.CancelScope] = set()
        self._ending = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        response = _Response(send)
        with anyio.CancelScope() as request:
            self._open.add(request)
            try:
                if not self._ending:
                    await self._app(scope, receive, response.send)
            finally:
                self._open.discard(request)
        if self._ending and not response.ended:
            with anyio.move_on_after(_LAST_WORDS_S):  # its client may have stopped reading
                await response.end(scope, receive)

    async def end(self, grace_s: float) -> None:
        """Let open requests end for ``grace_s`` seconds, then end them; later ones are turned away."""
        self._ending = True
        with anyio.move_on_after(grace_s):
            while self._open:
                await anyio.sleep(0.02)
        for request in list(self._open):
            request.cancel()


class _Response:
    """How far the answer to one request has come."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._begun = False
        self.ended = False

    async def send(self, message: Message) -> None:
        await self._send(message)
        self._begun = True
        self.ended = message["type"] == "http.response.body" and not message.get("more_body", False)

    async def end(self, scope: Scope, receive: Receive) -> None:
        """Whole and short: a stream stops after what it has said, an unanswered request learns why."""
        if self._begun:
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        remedy = "What it began goes on; call again when a server runs."
        await said(503, "interrupted", "The server stops.", remedy, {"Connection": "close"})(scope, receive, self.send)


class HangUps:
    """Between the checks and the SDK: a call of the handshake era is cancelled when its client hangs up."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or SESSION not in Headers(scope=scope):
            await self._app(scope, receive, send)
            return
        body, left, response = bytearray(), False, _Response(send)

        async def hear() -> Message:
            nonlocal left
            message = await receive()
            body.extend(message.get("body", b""))
            left = left or (message["type"] == "http.disconnect" and not response.ended)
            return message

        await self._app(scope, hear, response.send)
        if left and (request := _request_id(bytes(body))) is not None:
            await self._cancel(scope, request)

    async def _cancel(self, scope: Scope, request: str | int) -> None:
        """Say to the SDK what a client says that wants an answer no more."""
        note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": request}}
        body = json.dumps(note).encode()
        spoken = {b"content-type": b"application/json", b"content-length": str(len(body)).encode()}
        headers = [(name, value) for name, value in scope["headers"] if name not in spoken]
        saying: MutableMapping[str, Any] = {**scope, "headers": [*headers, *spoken.items()]}

        async def say() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def nowhere(_: Message) -> None:
            return None

        await self._app(saying, say, nowhere)


def _request_id(body: bytes) -> str | int | None:
    """The id of a request; None for everything else."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    request = message.get("id") if isinstance(message, dict) and "method" in message else None
    return request if isinstance(request, str | int) else None
