"""What every request must pass, whatever its route: a known ``Host``, no foreign ``Origin``, the token.

In this order: a page that has rebound its name to this machine learns nothing, not even whether its token is right.
A browser's ``Origin`` must be the very host that the request names; programs send none.
"""

import hmac
import re
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_e2e.entrypoints.mcp.http.address import ALLOWED_HOSTS

_HOST = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


def said(status: int, code: str, message: str, remedy: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error as this project says them, outside of MCP."""
    return JSONResponse({"code": code, "message": message, "remedy": remedy}, status, headers)


class Checked:
    """Lets through to ``app`` what may pass; ``token`` None: nobody has to show one."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str], token: str | None) -> None:
        self._app = app
        self._hosts = hosts
        self._token = token.encode() if token is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = None if scope["type"] == "lifespan" else self._refusal(Headers(scope=scope))
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, headers: Headers) -> Response | None:
        host = headers.get("host", "").lower()
        name = _HOST.fullmatch(host)
        if name is None or name[1] not in self._hosts:
            remedy = f"Use the address that the server printed, or name the host in {ALLOWED_HOSTS} where it starts."
            return said(421, "wrong_host", "This server does not answer to that Host.", remedy)
        if any(origin.lower() not in {f"http://{host}", f"https://{host}"} for origin in headers.getlist("origin")):
            remedy = "Web pages of other origins cannot use it; a program sends no Origin header."
            return said(403, "wrong_origin", "This server takes no requests from pages of that Origin.", remedy)
        return None if self._is_known(headers) else _unauthorized()

    def _is_known(self, headers: Headers) -> bool:
        if self._token is None:
            return True
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode("latin-1"), self._token)


def _unauthorized() -> Response:
    remedy = "Send the header 'Authorization: Bearer TOKEN'; the server said at its start where the token lies."
    return said(401, "unauthorized", "The token is missing or wrong.", remedy, {"WWW-Authenticate": "Bearer"})
