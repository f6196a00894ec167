"""Serving over stdin and stdout: the conversation, and above all its end.

A blocked read of stdin cannot be interrupted, so the process ends by ``os._exit`` after a bounded cleanup. Keepers are
no part of it: what they run goes on.
"""

import asyncio
import logging
import math
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import suppress
from types import TracebackType
from typing import Any, NoReturn, Self, TextIO

import anyio
import anyio.to_thread
from mcp import types
from mcp.os.win32.utilities import rebind_std_handle_to_fd
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_e2e.entrypoints.mcp.ending import DEFECT, LEAVING_S, SIGNALS
from mcp_e2e.entrypoints.mcp.line import Line
from mcp_e2e.entrypoints.mcp.opening import Id
from mcp_e2e.entrypoints.mcp.wire import FAREWELL_S, Wire

logger = logging.getLogger(__name__)

Message = SessionMessage | Exception
Given = MutableMapping[Id | None, Any]


def log_to_stderr(stream: TextIO) -> None:
    """Warnings and worse to ``stream``: hosts show its lines as errors, and stdout belongs to the protocol."""
    logging.basicConfig(level=logging.WARNING, stream=stream, format="mcp-e2e %(levelname)s %(name)s: %(message)s")


async def run_stdio(server: Server[Any], line: Line) -> NoReturn:
    """Serve one client on its wire, then end the process.

    The exit code is 0 when the client left, 128 + n after signal n, 3 after a defect.
    """
    ending = line.ending
    try:
        await _serve(server, line)
    except* (BrokenPipeError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        logger.debug("the client stopped reading")
    except* Exception:
        logger.exception("the server failed")
        ending.code = DEFECT
    line.wire.catch_up(0, FAREWELL_S)
    os._exit(ending.code)


async def _serve(server: Server[Any], line: Line) -> None:
    ending = line.ending
    if sys.platform == "win32":
        for fd in (0, 1):  # what children inherit there is not the descriptor
            rebind_std_handle_to_fd(fd)
    async with (
        stdio_server(_lines(line.wire), _Pen(line.wire)) as (read, write),  # type: ignore[arg-type]
        anyio.create_task_group() as group,
    ):
        with anyio.CancelScope() as serving:

            def stop(number: int) -> None:
                ending.code, ending.by_signal = 128 + number, True
                ending.within(LEAVING_S)
                serving.cancel()

            group.start_soon(_heed_signals, stop)
            await converse(server, read, write, line.opening.given)
        if ending.by_signal:
            os._exit(ending.code)
        group.cancel_scope.cancel()


if sys.platform == "win32":

    async def _heed_signals(stop: Callable[[int], None]) -> None:
        for number in SIGNALS:
            signal.signal(number, lambda number, _frame: stop(number))

else:

    async def _heed_signals(stop: Callable[[int], None]) -> None:
        with anyio.open_signal_receiver(*SIGNALS) as signals:
            async for number in signals:
                stop(number)


async def _lines(wire: Wire) -> AsyncIterator[str]:
    """What the client says, from its first word on."""
    send, receive = anyio.create_memory_object_stream[bytes | None](math.inf)
    loop = asyncio.get_running_loop()

    def take(line: bytes | None) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # nobody listens any more
            send.send_nowait(line)

    def hear(line: bytes | None) -> None:
        """Waits for nothing: the end of input is seen though the loop be stuck."""
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(take, line)

    with send, receive:
        for line in wire.listen(hear):
            if line is None:
                return
            yield line.decode(errors="replace")
        async for line in receive:
            if line is None:
                return
            yield line.decode(errors="replace")


class _Pen:
    """The wire as the file that the SDK's transport writes to."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def write(self, text: str) -> None:
        self._wire.put(text.encode(errors="replace"))
        if self._wire.is_behind():
            await anyio.to_thread.run_sync(self._wire.catch_up, abandon_on_cancel=True)

    async def flush(self) -> None:
        if self._wire.broken:
            raise BrokenPipeError


async def converse(server: Server[Any], read: Any, write: Any, given: Given) -> None:
    """One conversation, from the first message on; requests whose answers are ``given`` are not answered again."""
    sent, received = anyio.create_memory_object_stream[Message](0)
    async with anyio.create_task_group() as group:
        once = _Once(write, given)
        group.start_soon(_relay, server, read, once, sent)
        await server.run(received, once, server.create_initialization_options())
        group.cancel_scope.cancel()


class _Once:
    """The way out, without the answers that the client already has."""

    def __init__(self, write: Any, given: Given) -> None:
        self._write, self._given = write, given

    async def send(self, item: SessionMessage) -> None:
        message = item.message
        if isinstance(message, types.JSONRPCResponse | types.JSONRPCError) and message.id in self._given:
            known = self._given.pop(message.id)
            if not isinstance(message, types.JSONRPCResponse) or message.result != known:
                logger.warning("a recorded answer was not the server's own: make opening records it anew")
            return
        await self._write.send(item)

    async def aclose(self) -> None:
        await self._write.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


async def _relay(server: Server[Any], read: Any, write: _Once, sent: Any) -> None:
    """Hand the client's messages on, and answer ``server/discover`` here while nothing else has come.

    To the SDK the first request settles the protocol era for good; some clients discover and then ``initialize``.
    """
    async with read, sent:
        opening = True
        async for message in read:
            opening = opening and _is_discovery(message)
            if opening:
                await write.send(_discovered(server, message.message.id))
            else:
                await sent.send(message)


def _is_discovery(message: Message) -> bool:
    if not isinstance(message, SessionMessage) or not isinstance(message.message, types.JSONRPCRequest):
        return False
    request = message.message
    meta = (request.params or {}).get("_meta")
    version = meta.get(types.PROTOCOL_VERSION_META_KEY) if isinstance(meta, dict) else None
    return request.method == "server/discover" and version in MODERN_PROTOCOL_VERSIONS


def _discovered(server: Server[Any], request_id: types.RequestId) -> SessionMessage:
    hint = server.cache_hints["server/discover"]
    result = types.DiscoverResult(
        supported_versions=list(MODERN_PROTOCOL_VERSIONS),
        capabilities=server.get_capabilities(protocol_version=MODERN_PROTOCOL_VERSIONS[-1]),
        instructions=server.instructions,
        ttl_ms=hint.ttl_ms,
        cache_scope=hint.scope,
        _meta={types.SERVER_INFO_META_KEY: server.server_info_stamp},
    )
    said = result.model_dump(by_alias=True, mode="json", exclude_none=True)
    return SessionMessage(types.JSONRPCResponse(jsonrpc="2.0", id=request_id, result=said))
