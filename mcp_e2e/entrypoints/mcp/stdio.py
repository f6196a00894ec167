"""Serving over stdin and stdout: the start, and above all the end.

A blocked read of stdin cannot be interrupted, so the process ends by ``os._exit`` after a bounded cleanup. Keepers are
no part of it: what they run goes on.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn, TextIO

import anyio
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

logger = logging.getLogger(__name__)

CLEANUP_S = 1.5  # after a signal: clients send SIGKILL two seconds later
LEAVING_S = 0.8  # after the end of stdin
DEFECT = 3

Message = SessionMessage | Exception


def log_to_stderr(stream: TextIO) -> None:
    """Warnings and worse to ``stream``: hosts show its lines as errors, and stdout belongs to the protocol."""
    logging.basicConfig(level=logging.WARNING, stream=stream, format="mcp-e2e %(levelname)s %(name)s: %(message)s")


class _Ending:
    """How the process ends: its code, and a thread that ends it even when the loop is stuck."""

    def __init__(self) -> None:
        self.code = 0
        self.by_signal = False

    def within(self, seconds: float) -> None:
        timer = threading.Timer(seconds, lambda: os._exit(self.code))
        timer.daemon = True
        timer.start()


async def run_stdio(server: Server[Any]) -> NoReturn:
    """Serve one client on stdin and stdout, then end the process.

    The exit code is 0 when the client left, 128 + n after signal n, 3 after a defect.
    """
    ending = _Ending()
    try:
        await _serve(server, ending)
    except* (BrokenPipeError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        logger.debug("the client stopped reading")
    except* Exception:
        logger.exception("the server failed")
        ending.code = DEFECT
    os._exit(ending.code)


async def _serve(server: Server[Any], ending: _Ending) -> None:
    async with stdio_server() as (read, write), anyio.create_task_group() as group:
        with anyio.CancelScope() as serving:

            def stop(number: int) -> None:
                ending.code, ending.by_signal = 128 + number, True
                ending.within(CLEANUP_S)
                serving.cancel()

            group.start_soon(_heed_signals, stop)
            sent, received = anyio.create_memory_object_stream[Message](0)
            group.start_soon(_relay, server, read, write, sent, ending)
            await server.run(received, write, server.create_initialization_options())
        if ending.by_signal:
            os._exit(ending.code)
        group.cancel_scope.cancel()


if sys.platform == "win32":

    async def _heed_signals(stop: Callable[[int], None]) -> None:
        for number in (signal.SIGINT, signal.SIGBREAK):
            signal.signal(number, lambda number, _frame: stop(number))

else:

    async def _heed_signals(stop: Callable[[int], None]) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async for number in signals:
                stop(number)


async def _relay(server: Server[Any], read: Any, write: Any, sent: Any, ending: _Ending) -> None:
    """Hand the client's messages on, and answer ``server/discover`` here while nothing else has come.

    To the SDK the first request settles the protocol era for good; some clients discover and then ``initialize``.
    """
    async with sent:
        opening = True
        async for message in read:
            opening = opening and _is_discovery(message)
            if opening:
                await write.send(_discovered(server, message.message.id))
            else:
                await sent.send(message)
        ending.within(LEAVING_S)


def _is_discovery(message: Message) -> bool:
    if not isinstance(message, SessionMessage) or not isinstance(message.message, types.JSONRPCRequest):
        return False
    request = message.message
    meta = (request.params or {}).get("_meta")
    version = meta.get(types.PROTOCOL_VERSION_META_KEY) if isinstance(meta, dict) else None
    return request.method == "server/discover" and version in MODERN_PROTOCOL_VERSIONS


def _discovered(server: Server[Any], request_id: types.RequestId) -> SessionMessage:
    result = types.DiscoverResult(
        supported_versions=list(MODERN_PROTOCOL_VERSIONS),
        capabilities=server.get_capabilities(protocol_version=MODERN_PROTOCOL_VERSIONS[-1]),
        instructions=server.instructions,
        ttl_ms=0,
        cache_scope="private",
        _meta={types.SERVER_INFO_META_KEY: server.server_info_stamp},
    )
    said = result.model_dump(by_alias=True, mode="json", exclude_none=True)
    return SessionMessage(types.JSONRPCResponse(jsonrpc="2.0", id=request_id, result=said))
