"""``mcp-e2e serve`` as an editor starts it, one line of JSON at a time."""

import json
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

VERSION = "io.modelcontextprotocol/protocolVersion"
MODERN = {VERSION: "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


class Wire:
    """A server process and one line of JSON at a time."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._lines = BufferedByteReceiveStream(process.stdout)
        self._ids = iter(range(1, 1000))
        self.notices: list[dict[str, Any]] = []

    async def say(self, message: dict[str, Any]) -> None:
        await self.process.stdin.send(json.dumps(message).encode() + b"\n")

    async def ask(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """The response to one request; every line that comes must be a message."""
        number = next(self._ids)
        await self.say({"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}})
        while True:
            answer = await self.hear()
            if answer.get("id") == number:
                return answer
            self.notices.append(answer)

    async def hear(self) -> dict[str, Any]:
        """The next message of the server."""
        message: dict[str, Any] = json.loads(await self._lines.receive_until(b"\n", 1 << 20))
        assert message["jsonrpc"] == "2.0"
        return message

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The data of a tool's answer."""
        params = {"name": tool, "arguments": arguments, "_meta": MODERN}
        data: dict[str, Any] = (await self.ask("tools/call", params))["result"]["structuredContent"]
        return data

    async def ended(self) -> tuple[int, float]:
        """Exit code, and the seconds it took."""
        begun = time.monotonic()
        return await self.process.wait(), time.monotonic() - begun


@asynccontextmanager
async def serving(environ: Mapping[str, str], project: Path, stderr: int | None = None) -> AsyncIterator[Wire]:
    """A server in a session of its own, killed at the end of the block if it lives."""
    command = [sys.executable, "-m", "mcp_e2e", "serve"]
    with anyio.fail_after(50):
        async with await anyio.open_process(
            command, env=environ, cwd=project, stderr=stderr, start_new_session=True
        ) as process:
            try:
                yield Wire(process)
            finally:
                if process.returncode is None:
                    process.kill()
