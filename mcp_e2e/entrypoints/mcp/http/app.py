"""The application: MCP at ``/mcp``, other routes beside it, everything behind the same checks."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from mcp_e2e.entrypoints.mcp.http.checks import Checked, said
from mcp_e2e.entrypoints.mcp.http.openings import Openings
from mcp_e2e.entrypoints.mcp.http.streams import HangUps, Streams

PATH = "/mcp"
MAX_SESSIONS = 1_000
# A client that cannot open a session anew sleeps a night. A script that comes each minute and never says goodbye does
# not fill the house in that time.
IDLE_S = 12 * 3600.0


def http_app(
    server: Server[Any],
    *,
    hosts: frozenset[str],
    token: str | None,
    routes: Sequence[BaseRoute] = (),
    opened: Callable[[str], None] = lambda _session: None,
) -> Streams:
    """``server`` at ``/mcp`` and ``routes`` beside it. Its lifespan enters the server's own, once.

    ``opened`` hears of each session (handshake era) whose client opens its stream for notices.
    """
    sessions = StreamableHTTPSessionManager(
        server,
        security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # Checked does it for all
        session_idle_timeout=IDLE_S,
        max_sessions=MAX_SESSIONS,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with sessions.run():
            yield

    app = Starlette(
        routes=[Route("/", _hint), Route(PATH, Openings(HangUps(StreamableHTTPASGIApp(sessions)), opened)), *routes],
        exception_handlers={404: _nothing_here},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirect would go where the Host header says
    return Streams(Checked(app, hosts, token))


async def _hint(_: Request) -> Response:
    return PlainTextResponse(f"mcp-e2e: an MCP server over Streamable HTTP; its endpoint is {PATH}\n")


async def _nothing_here(_: Request, __: Exception) -> Response:
    return said(404, "not_found", "There is nothing at this path.", f"The MCP endpoint is {PATH}.")
