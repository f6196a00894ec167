"""What a ComfyUI tells over its WebSocket while a prompt runs: hints that wake whoever polls, and progress.

Nothing heard here is the truth: an event can be lost with its connection, and an end is told before it can be looked
up. Each connection has a client id of its own. One id used again is unregistered when the server notices the end of the
connection before, and is then told nothing any more; so after a reconnect nothing is heard of the prompt that runs.
"""

import json
import logging
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import httpx
from httpx_ws import AsyncWebSocketSession, HTTPXWSException, aconnect_ws

from mcp_e2e.adapters.beside import beside
from mcp_e2e.adapters.comfyui.workflow import Graph

CONNECT_S = 2.0
RETRY_S = (0.05, 0.2, 1.0, 5.0)  # between tries to connect; the last one again and again
READ_BYTES = 1 << 16
log = logging.getLogger(__name__)
_ENDS = frozenset({"execution_success", "execution_error", "execution_interrupted"})
_NETWORK = (HTTPXWSException, httpx.HTTPError, OSError, anyio.ClosedResourceError, anyio.EndOfStream)


class Listener:
    """Listens for one prompt. ``started`` and ``ended`` are what was heard, ``connected`` whether anything can be."""

    def __init__(self, http: httpx.AsyncClient, prompt_id: str, graph: Graph | None = None) -> None:
        """``graph``: for the names of its nodes."""
        self.prompt_id = prompt_id
        self.client_id = ""
        self.connected = False
        self.started = False
        self.ended = False
        self.connections = 0
        self.heard_at = anyio.current_time()
        self._http = http
        self._graph = graph
        self._posted_as = ""
        self._node = ""
        self._step: tuple[int, int] | None = None
        self._done: set[str] = set()
        self._woken = anyio.Event()
        self._tried = anyio.Event()

    @property
    def hears_us(self) -> bool:
        """Whether events of our prompt reach this connection."""
        return self.connected and self.client_id == self._posted_as

    async def address(self) -> str:
        """The client id to post the prompt with; waits a moment for the connection that it belongs to."""
        with anyio.move_on_after(CONNECT_S):
            await self._tried.wait()
        self._posted_as = self.client_id or f"mcp_e2e-{uuid.uuid4()}"
        return self._posted_as

    async def wait(self, within_s: float) -> None:
        """Until something was heard that is worth a look, at most ``within_s``."""
        with anyio.move_on_after(within_s):
            await self._woken.wait()
        self._woken = anyio.Event()

    def progress(self) -> str | None:
        """Node, step and how much of the graph is done, in a few words; None when nothing was heard of it."""
        parts = []
        if self._node:
            step = f": step {self._step[0]}/{self._step[1]}" if self._step else ""
            parts.append(f"{self._label(self._node)}{step}")
        if self._graph is not None and self._done:
            parts.append(f"{len(self._done)} of {len(self._graph.nodes)} nodes done")
        return ", ".join(parts) or None

    def _label(self, node: str) -> str:
        if self._graph is None or node not in self._graph.nodes:
            return f"node {node}"
        return f"node {node} ({self._graph.class_of(node)})"

    async def run(self) -> None:
        """Connect, and connect again, until cancelled. Raises nothing: without a socket the server is polled."""
        tries = 0
        while True:
            before = self.connections
            try:
                await self._listen()
            except* _NETWORK as lost:
                log.debug("the event socket of %s is gone: %r", self._http.base_url, lost)
            except* Exception as odd:  # whatever a server sends, it may not end the attempt
                log.warning("the event socket of %s: %r", self._http.base_url, odd)
            self.connected = False
            self._tried.set()
            self._wake()
            tries = 0 if self.connections > before else tries + 1
            await anyio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])

    async def _listen(self) -> None:
        client_id = f"mcp_e2e-{uuid.uuid4()}"
        # Connecting may not take for ever, but once connected there is no limit to how long a node may be silent.
        timeout = httpx.Timeout(CONNECT_S * 2, read=None)
        connecting: AbstractAsyncContextManager[AsyncWebSocketSession] = aconnect_ws(
            "/ws", self._http, params={"clientId": client_id}, timeout=timeout, max_message_size_bytes=READ_BYTES
        )
        async with connecting as socket:
            self.client_id, self.connected = client_id, True
            self.connections += 1
            self._tried.set()
            self._wake()
            await self._drain(socket)

    async def _drain(self, socket: AsyncWebSocketSession) -> None:
        """Read all that comes: the server tells nobody anything while one socket is not read."""
        while True:
            event: Any = await socket.receive()
            if isinstance(event.data, str):
                self._hear(event.data)

    def _hear(self, text: str) -> None:
        try:
            said = json.loads(text)
            kind, data = said["type"], said["data"]
        except (ValueError, KeyError, TypeError):
            return
        if not isinstance(data, Mapping):
            return
        if data.get("prompt_id") == self.prompt_id:
            self.heard_at = anyio.current_time()
            self._note(kind, data)

    def _note(self, kind: str, data: Mapping[str, Any]) -> None:
        if not self.started:
            self.started = True
            self._wake()
        if kind in _ENDS or (kind == "executing" and data.get("node") is None):
            self.ended = True
            self._wake()
        elif kind == "executing":
            self._node, self._step = str(data.get("node")), None
        elif kind == "progress":
            self._node, self._step = str(data.get("node")), _step(data.get("value"), data.get("max"))
        elif kind == "execution_cached":
            self._done.update(map(str, data.get("nodes") or ()))
        elif kind == "progress_state" and isinstance(nodes := data.get("nodes"), Mapping):
            self._done.update(str(node) for node, state in nodes.items() if _finished(state))

    def _wake(self) -> None:
        self._woken.set()


def _finished(state: object) -> bool:
    return isinstance(state, Mapping) and state.get("state") == "finished"


def _step(value: object, most: object) -> tuple[int, int] | None:
    """Custom nodes send what they like."""
    try:
        return int(float(str(value))), int(float(str(most)))
    except (ValueError, OverflowError):
        return None


@asynccontextmanager
async def listening(http: httpx.AsyncClient, prompt_id: str, graph: Graph | None = None) -> AsyncGenerator[Listener]:
    """A listener at work until the block ends."""
    listener = Listener(http, prompt_id, graph)
    async with beside(listener.run):
        yield listener
