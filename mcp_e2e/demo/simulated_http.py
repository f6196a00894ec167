"""HTTP of the SIMULATED ComfyUI: requests to routes, answers in the forms of the real one, upgrades to its sockets."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from wsproto.utilities import ProtocolError

from mcp_e2e.demo.simulated_api import Api
from mcp_e2e.demo.simulated_log import log
from mcp_e2e.demo.simulated_rules import Rejected
from mcp_e2e.demo.simulated_sockets import MAX_UPLOAD, Peer
from mcp_e2e.demo.simulated_view import Query, Refusal, Reply

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with one write for each answer; no access log, as on the real server."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True  # events are many small writes
    api: ClassVar[Api]

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path = parts.path.removeprefix("/api")
        first, _, rest = path.lstrip("/").partition("/")
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        if first == "ws":
            self._upgrade(query)
            return
        route = self.api.gets.get(first)
        if first == "jobs" and path != parts.path:
            route = self.api.jobs
        self._answer((lambda: route(unquote(rest), query)) if route else None)

    do_HEAD = do_GET  # noqa: N815  the name is the base class's

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_UPLOAD:
            self.close_connection = True  # the body stays unread
            self._send(_text(HTTPStatus.REQUEST_ENTITY_TOO_LARGE))
            return
        raw = self.rfile.read(length)
        path = urlsplit(self.path).path.removeprefix("/api").strip("/")
        route = self.api.posts.get(path)
        missing = HTTPStatus.METHOD_NOT_ALLOWED if path in self.api.gets else HTTPStatus.NOT_FOUND
        body_is_free = path == "interrupt" or path.startswith("simulated/")
        self._answer((lambda: route(_json(raw, tolerant=body_is_free))) if route else None, missing)

    def _upgrade(self, query: Query) -> None:
        engine, peer = self.api.engine, Peer(self.connection, self.rfile.read1)
        try:
            peer.accept(self.headers.items(), self.path)
        except ProtocolError:
            self._send(_text(HTTPStatus.BAD_REQUEST))
        else:
            self.close_connection = True
            engine.sockets.attend(peer, query.get("clientId", ""), engine.status(), engine.node_of)

    def _answer(self, work: Callable[[], Any] | None, missing: HTTPStatus = HTTPStatus.NOT_FOUND) -> None:
        try:
            if work is None:
                raise Refusal(missing)
            found = work()
        except Rejected as rejected:
            self._send(_as_json(rejected.body, HTTPStatus.BAD_REQUEST))
        except Refusal as refusal:
            self._send(Reply(b"", "application/octet-stream", refusal.status))
        except Exception as error:  # the real server answers 500 text for anything it did not foresee
            log(f"Error handling request: {type(error).__name__}: {error}")
            self._send(_text(HTTPStatus.INTERNAL_SERVER_ERROR))
        else:
            self._send(found if isinstance(found, Reply) else _as_json(found))

    def _send(self, reply: Reply) -> None:
        wanted = _RANGE.fullmatch(self.headers.get("Range", "")) if reply.ranged else None
        if wanted:
            reply = _part(reply, wanted[1], wanted[2])
        self.send_response(reply.status)
        headers = {"Content-Type": reply.content_type, "Content-Length": str(len(reply.body)), **reply.headers}
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is the base class's
        pass


def _json(raw: bytes, *, tolerant: bool) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        if not tolerant:
            raise
        return {}


def _part(reply: Reply, first: str, last: str) -> Reply:
    size = len(reply.body)
    start = int(first) if first else max(size - int(last or 0), 0)
    end = min(int(last), size - 1) if first and last else size - 1
    if start > end:
        headers = {**reply.headers, "Content-Range": f"bytes */{size}"}
        return replace(reply, body=b"", status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
    headers = {**reply.headers, "Content-Range": f"bytes {start}-{end}/{size}"}
    return replace(reply, body=reply.body[start : end + 1], status=HTTPStatus.PARTIAL_CONTENT, headers=headers)


def _as_json(value: Any, status: HTTPStatus = HTTPStatus.OK) -> Reply:
    if value is None:
        return Reply(b"", "", status)
    return Reply(json.dumps(value).encode(), "application/json; charset=utf-8", status)


def _text(status: HTTPStatus) -> Reply:
    return Reply(f"{status}: {status.phrase} (simulated)".encode(), "text/plain; charset=utf-8", status)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
