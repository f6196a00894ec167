"""Over HTTP a client of the handshake era hears on a stream that it opens by itself, sooner or later, and may lose."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import httpx

STATUS = "e2e://status"
ACCEPT = {"Accept": "application/json, text/event-stream"}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}


async def test_what_a_client_without_a_stream_missed_is_told_when_it_opens_one(environ, project) -> None:
    """It had subscribed, and was deaf: on its first stream, and on the next one of what happened between the two."""
    async with served(environ, project) as url, httpx.AsyncClient(headers=ACCEPT, timeout=30, trust_env=False) as http:
        deaf = Client(http, url)
        await deaf.subscribe()
        for turn in range(2):
            await changed(http, url, f"turn {turn}")
            assert await deaf.hears() == STATUS


class Client:
    """The handshake era on the wire."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self.http, self.url = http, url
        self.session: dict[str, str] = {}

    async def ask(self, method: str, params: dict[str, object]) -> httpx.Response:
        said = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return (await self.http.post(self.url, json=said, headers=self.session)).raise_for_status()

    async def subscribe(self) -> None:
        answer = await self.ask("initialize", HELLO)
        self.session = {"Mcp-Session-Id": answer.headers["mcp-session-id"]}
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        await self.http.post(self.url, json=ready, headers=self.session)
        await self.ask("resources/subscribe", {"uri": STATUS})

    async def hears(self, meanwhile: dict[str, object] | None = None) -> str:
        """The resource of the next notice on a new stream; ``meanwhile``: a call to make once it is open."""
        with anyio.fail_after(20):
            async with self.http.stream("GET", self.url, headers=self.session) as stream:
                if meanwhile is not None:
                    assert 'isError":true' not in (await self.ask("tools/call", meanwhile)).text.replace(" ", "")
                async for line in stream.aiter_lines():
                    if line.startswith("data:") and "resources/updated" in line:
                        return str(json.loads(line.removeprefix("data:"))["params"]["uri"])
        raise AssertionError("the stream ended")


async def changed(http: httpx.AsyncClient, url: str, reason: str) -> None:
    """Change something, and see that the server has told whoever could hear."""
    witness = Client(http, url)
    await witness.subscribe()
    plan = {"tests": ["asks"], "new": True, "reason": reason}
    await witness.hears({"name": "plan_run", "arguments": plan})


@asynccontextmanager
async def served(environ, project) -> AsyncIterator[str]:
    """The URL of a server that asks for no token."""
    line = [sys.executable, "-m", "mcp_e2e", "serve", "--http", "127.0.0.1:0", "--no-auth"]
    with subprocess.Popen(line, env=environ, cwd=project, stderr=subprocess.PIPE, text=True) as server:
        try:
            said = await anyio.to_thread.run_sync(server.stderr.readline)
            yield said.removeprefix("MCP at ").split()[0]
        finally:
            server.terminate()
