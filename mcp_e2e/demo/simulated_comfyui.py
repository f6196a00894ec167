"""A SIMULATED ComfyUI server: for the demo and for tests on machines without the real one.

    python -m mcp_e2e.demo.simulated_comfyui --port 8188 --boot-seconds 3 --output-directory out

It is not ComfyUI and generates nothing with a model; it boots slowly, opens its port last, and speaks enough of the
HTTP API and its event socket that the ``comfyui`` adapter drives it unchanged. ``/system_stats`` reports the version
``0.0.0-simulated``, so a simulated result cannot pass for a real one.
"""

import argparse
import json
import mimetypes
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from wsproto.utilities import ProtocolError

from mcp_e2e.demo.simulated_nodes import NODES, Studio
from mcp_e2e.demo.simulated_queue import Engine, log
from mcp_e2e.demo.simulated_rules import Rejected
from mcp_e2e.demo.simulated_sockets import Peer, Sockets

VERSION = "0.0.0-simulated"
STAGES = ("Device: simulated", "Importing simulated nodes", "Loading the simulated model list")
Query = Mapping[str, str]


class Refusal(Exception):
    """A request is answered with a plain-text status other than 200."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class Api:
    """The routes: a path and a request in, a JSON value, bytes or nothing out."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.gets: dict[str, Callable[[str, Query], Any]] = {
            "system_stats": self.system_stats,
            "prompt": lambda _rest, _query: engine.status()["status"],
            "queue": lambda _rest, _query: engine.queue(),
            "history": self.history,
            "object_info": self.object_info,
            "view": self.view,
        }
        self.posts: dict[str, Callable[[dict[str, Any]], Any]] = {
            "prompt": self.post_prompt,
            "queue": self.change_queue,
            "history": self.change_history,
            "interrupt": lambda body: engine.interrupt(body.get("prompt_id")),
            "simulated/drop-sockets": lambda _body: {"dropped": engine.sockets.drop_all()},
            "free": lambda body: engine.free() if body.get("free_memory") else None,
        }

    def system_stats(self, _rest: str, _query: Query) -> dict[str, Any]:
        memory = dict.fromkeys(("vram_total", "vram_free", "torch_vram_total", "torch_vram_free"), 1 << 30)
        return {
            "system": {
                "os": sys.platform,
                "comfyui_version": VERSION,
                "python_version": sys.version,
                "pytorch_version": "none (simulated)",
                "embedded_python": False,
                "argv": sys.argv,
            },
            "devices": [{"name": "simulated", "type": "cpu", "index": None, **memory}],
        }

    def history(self, rest: str, query: Query) -> dict[str, Any]:
        entries = dict(self.engine.history)
        if rest:
            return {rest: entries[rest]} if rest in entries else {}
        newest = list(entries.items())
        return dict(newest[-int(query["max_items"]) :] if "max_items" in query else newest)

    def object_info(self, rest: str, _query: Query) -> dict[str, Any]:
        return {name: node.describe(name) for name, node in NODES.items() if rest in ("", name)}

    def view(self, _rest: str, query: Query) -> bytes:
        name, kind = query.get("filename", ""), query.get("type", "output")
        if ".." in name or name.startswith("/") or kind not in ("output", "temp", "input"):
            raise Refusal(HTTPStatus.BAD_REQUEST)
        studio = self.engine.studio
        if kind == "temp" and name in studio.previews:
            return studio.previews[name]
        path = (studio.outputs / query.get("subfolder", "") / name).resolve()
        if not path.is_relative_to(studio.outputs.resolve()):
            raise Refusal(HTTPStatus.FORBIDDEN)
        if kind != "output" or not path.is_file():
            raise Refusal(HTTPStatus.NOT_FOUND)
        return path.read_bytes()

    def post_prompt(self, body: dict[str, Any]) -> dict[str, Any]:
        if "prompt" not in body:
            raise Rejected("no_prompt", "No prompt provided", "No prompt provided")
        wanted = body.setdefault("prompt_id", str(uuid.uuid4()))
        try:
            canonical = str(uuid.UUID(wanted)) == wanted
        except (ValueError, TypeError, AttributeError):
            canonical = False
        if not canonical:
            raise Rejected("invalid_prompt_id", "prompt_id is no canonical lower-case UUID", repr(wanted))
        return self.engine.post(body)

    def change_queue(self, body: dict[str, Any]) -> None:
        if body.get("clear"):
            self.engine.drop(None)
        self.engine.drop([str(wanted) for wanted in body.get("delete", ())])

    def change_history(self, body: dict[str, Any]) -> None:
        doomed = list(self.engine.history) if body.get("clear") else body.get("delete", ())
        for prompt_id in doomed:
            self.engine.history.pop(str(prompt_id), None)


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with one write for each answer; no access log, as on the real server."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True  # events are many small writes
    api: ClassVar[Api]

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        first, _, rest = parts.path.removeprefix("/api").lstrip("/").partition("/")
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        if first == "ws":
            self._upgrade(query)
            return
        route = self.api.gets.get(first)
        self._answer((lambda: route(unquote(rest), query)) if route else None, query.get("filename", ""))

    def _upgrade(self, query: Query) -> None:
        self.close_connection = True
        engine, peer = self.api.engine, Peer(self.connection, self.rfile.read1)
        try:
            peer.accept(self.headers.items(), self.path)
        except ProtocolError:
            self._send(HTTPStatus.BAD_REQUEST, b"No WebSocket upgrade asked for (simulated)", "text/plain")
        else:
            engine.sockets.attend(peer, query.get("clientId", ""), engine.status(), engine.node_of)

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        route = self.api.posts.get(urlsplit(self.path).path.removeprefix("/api").strip("/"))
        self._answer((lambda: route(json.loads(raw) if raw else {})) if route else None)

    def _answer(self, work: Callable[[], Any] | None, filename: str = "") -> None:
        try:
            if work is None:
                raise Refusal(HTTPStatus.NOT_FOUND)
            found = work()
        except Rejected as rejected:
            self._send(HTTPStatus.BAD_REQUEST, json.dumps(rejected.body).encode(), "application/json")
        except Refusal as refusal:
            self._send(refusal.status, f"{refusal.status}: {refusal}".encode(), "text/plain")
        except Exception as error:  # the real server answers 500 text for anything it did not foresee
            log(f"Error handling request: {type(error).__name__}: {error}")
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, b"500 Internal Server Error (simulated)", "text/plain")
        else:
            if isinstance(found, bytes):
                kind = mimetypes.guess_type(filename)[0] or "application/octet-stream"
                self._send(HTTPStatus.OK, found, kind)
            else:
                body = b"" if found is None else json.dumps(found).encode()
                self._send(HTTPStatus.OK, body, "application/json")

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is the base class's
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="simulated_comfyui", description="A SIMULATED ComfyUI, not the real one.")
    parser.add_argument("--listen", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8188)
    parser.add_argument("--boot-seconds", type=float, default=3.0)
    parser.add_argument("--run-seconds", type=float, default=0.0, help="extra time of a prompt that executes something")
    parser.add_argument(
        "--drop-sockets-after", type=int, default=0, metavar="N", help="cut each socket after N messages"
    )
    parser.add_argument("--output-directory", type=Path, default=Path("output"))
    options = parser.parse_args(argv)
    log(f"SIMULATED ComfyUI {VERSION} (part of mcp_e2e): no model runs here, pictures are drawn")
    for stage in STAGES:
        log(stage)
        time.sleep(options.boot_seconds / len(STAGES))
    options.output_directory.mkdir(parents=True, exist_ok=True)
    studio, sockets = Studio(options.output_directory.resolve()), Sockets(options.drop_sockets_after)
    Handler.api = Api(Engine(studio, options.run_seconds, sockets))
    log("Starting server")
    try:
        server = Server((options.listen, options.port), Handler)
    except OSError as error:
        log(f"Cannot listen on {options.listen}:{options.port}: {error}")
        return 1
    log(f"\nTo see the GUI go to: http://{options.listen}:{options.port} (simulated: there is none)")
    try:
        server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        log("Stopped server")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
