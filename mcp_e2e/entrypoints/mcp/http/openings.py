"""When a client opens its stream for notices: what was sent to it before that is lost, and has to be told again."""

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_e2e.entrypoints.mcp.http.streams import SESSION


class Openings:
    """Tells of each stream for notices that a client of the handshake era opens, by its session."""

    def __init__(self, app: ASGIApp, opened: Callable[[str], None]) -> None:
        self._app = app
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        session = Headers(scope=scope).get(SESSION) if scope["method"] == "GET" else None

        async def heed(message: Message) -> None:
            await send(message)
            if session and message["type"] == "http.response.start" and message["status"] == 200:
                self._opened(session)

        await self._app(scope, receive, heed)
