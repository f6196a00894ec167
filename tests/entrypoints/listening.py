"""``mcp-e2e serve --http`` as a person starts it, and what a test needs to talk to it."""

import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
import httpx2
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import Implementation

VERSION = "io.modelcontextprotocol/protocolVersion"
MODERN = {VERSION: "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}


@dataclass
class Listening:
    """A server process, where it listens and what opens it. ``said``: its lines on stderr."""

    process: Process
    url: str
    token: str | None
    said: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(re.search(r":(\d+)/mcp$", self.url)[1])

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    @asynccontextmanager
    async def client(self, mode: str, name: str = "tester", **more: Any) -> AsyncIterator[Client]:
        """The SDK's own client."""
        async with httpx2.AsyncClient(headers=self.headers, timeout=50, trust_env=False) as http:
            transport = streamable_http_client(self.url, http_client=http)
            who = Implementation(name=name, version="1")
            async with Client(transport, mode=mode, client_info=who, **more) as client:
                yield client

    @asynccontextmanager
    async def raw(self) -> AsyncIterator["Raw"]:
        """Plain HTTP with the token."""
        headers = ACCEPT | self.headers
        async with httpx.AsyncClient(headers=headers, timeout=30, trust_env=False) as http:
            yield Raw(http, self.url)

    async def end(self, number: int) -> int:
        """The exit code after a signal."""
        self.process.send_signal(number)
        return await self.process.wait()


@dataclass
class Raw:
    """One message a request, in either era."""

    http: httpx.AsyncClient
    url: str

    async def post(self, said: Any, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return await self.http.post(self.url, json=said, headers=headers)

    async def open(self) -> dict[str, str]:
        """A session of the handshake era: the headers of its further requests."""
        answer = await self.post(message("initialize", HELLO))
        headers = {"Mcp-Session-Id": answer.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25"}
        await self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, headers)
        return headers


def message(method: str, params: Mapping[str, Any] | None = None, number: int = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": dict(params or {})}


def modern(method: str, name: str | None = None) -> dict[str, str]:
    """The headers that a request of the new era needs."""
    named = {"Mcp-Name": name} if name else {}
    return {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, **named}


@asynccontextmanager
async def listening(
    environ: Mapping[str, str], project: Path, *args: str, where: str = "127.0.0.1:0"
) -> AsyncIterator[Listening]:
    """A server in a session of its own, terminated at the end of the block if it lives."""
    command = [sys.executable, "-m", "mcp_e2e", "serve", "--http", where, *args]
    async with (
        await anyio.open_process(
            command, env=environ, cwd=project, stdin=None, stdout=None, start_new_session=True
        ) as process,
        anyio.create_task_group() as group,
    ):
        lines = BufferedByteReceiveStream(process.stderr)
        said: list[str] = []
        try:
            with anyio.fail_after(30):
                found = None
                while found is None:
                    said.append((await lines.receive_until(b"\n", 1 << 16)).decode())
                    found = re.match(r"MCP at (\S+) \((?:bearer token: (.+)|no token.*)\)$", said[-1])
            group.start_soon(_gather, lines, said)
            yield Listening(process, found[1], _token(found[2], environ), said)
        finally:
            if process.returncode is None:
                process.terminate()
                with anyio.CancelScope(shield=True):
                    await process.wait()
            group.cancel_scope.cancel()


def _token(place: str | None, environ: Mapping[str, str]) -> str | None:
    if place is None:
        return None
    return environ[place] if place in environ else Path(place).read_text().strip()


async def _gather(lines: BufferedByteReceiveStream, said: list[str]) -> None:
    with suppress(anyio.EndOfStream, anyio.IncompleteRead):
        while True:
            said.append((await lines.receive_until(b"\n", 1 << 16)).decode())
