"""A coding agent without a model: the SDK's MCP client on a server it starts itself, as an editor does."""

import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import Implementation, TextContent

from mcp_e2e import __version__
from mcp_e2e.demo.project import Project

PATIENCE_S = 60.0
_WAITING = frozenset({"starting", "running", "queued"})


class Unexpected(Exception):
    """A step did not do what it should; ``reply`` is what the server said, for a person to read."""

    def __init__(self, what: str, expected: Any, seen: Any, reply: str = "") -> None:
        super().__init__(f"{what}: expected {expected!r}, saw {seen!r}")
        self.what, self.expected, self.seen, self.reply = what, expected, seen, reply


@dataclass(frozen=True)
class Reply:
    """A tool's structured content and text, and the seconds it took (all calls, where one was repeated)."""

    tool: str
    data: dict[str, Any]
    text: str
    is_error: bool
    seconds: float

    def must(self, **expected: Any) -> None:
        """The structured content has these values, else ``Unexpected``."""
        for name, value in expected.items():
            self.holds(name, value, self.data.get(name))

    def holds(self, what: str, expected: Any, seen: Any) -> None:
        if expected != seen:
            raise Unexpected(f"{self.tool}: {what}", expected, seen, self.text)


class Agent:
    """Calls tools by name; ``server`` is what the server calls itself."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def server(self) -> str:
        said = self._client.server_info
        return f"{said.name} {said.version}" if said else "without a name"

    @property
    def protocol(self) -> str:
        return str(self._client.protocol_version)

    async def ask(self, tool: str, **arguments: Any) -> Reply:
        """One call, whatever it answers."""
        began = time.monotonic()
        try:
            with anyio.fail_after(PATIENCE_S):
                result = await self._client.call_tool(tool, arguments)
        except TimeoutError:
            raise Unexpected(tool, f"an answer within {PATIENCE_S:g} s", "silence") from None
        text = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
        data = result.structured_content
        if not isinstance(data, dict):
            raise Unexpected(tool, "structured content", data, text)
        return Reply(tool, data, text, result.is_error, time.monotonic() - began)

    async def do(self, tool: str, **arguments: Any) -> Reply:
        """A call that must do its work: repeated while it says that the work goes on, which is how an agent waits."""
        began = time.monotonic()
        while True:
            reply = await self.ask(tool, **arguments)
            reply.holds("isError", expected=False, seen=reply.is_error)
            waited = time.monotonic() - began
            if reply.data.get("state") not in _WAITING:
                return Reply(tool, reply.data, reply.text, reply.is_error, waited)
            reply.holds(f"done within {PATIENCE_S:g} s", expected=True, seen=waited < PATIENCE_S)


@asynccontextmanager
async def connected(project: Project) -> AsyncIterator[Agent]:
    """Start ``mcp-e2e serve`` for the project and speak to it over stdio until the block ends."""
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "mcp_e2e", "serve", "--project", str(project.root)], cwd=project.root
    )
    who = Implementation(name="mcp-e2e demo", version=__version__)
    with project.server_log.open("a", encoding="utf-8") as log:
        async with Client(stdio_client(server, errlog=log), client_info=who) as client:
            yield Agent(client)
