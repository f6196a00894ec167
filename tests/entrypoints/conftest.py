"""Doors are tested through the SDK's own client, in both protocol eras, on a project with a real service."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from jsonschema import Draft202012Validator
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, Implementation

from tests.entrypoints.listening import listening
from tests.leftovers import end_leftovers

SERVICE = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"pong")
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
ASKS = """
import os, pathlib, urllib.request
answer = urllib.request.urlopen(os.environ["MCP_E2E_SERVICE_URL"] + "/").read().decode()
pathlib.Path(os.environ["MCP_E2E_OUTPUT_DIR"], "answer.txt").write_text(answer)
print("the service says", answer)
assert answer == "pong"
"""
CONFIG = """
[services.api]
kind = "command"
command = [{python}, "service.py", "{{port}}"]
port = 0
ready = {{ http = "/" }}

[[tests]]
id = "asks"
command = [{python}, "asks.py"]
timeout_s = 30
"""
WAITS = """
[[tests]]
id = "waits"
command = [{python}, "-c", "import os, time\\nwhile not os.path.exists('go'): time.sleep(0.02)"]
timeout_s = 30
"""
BREAKS = """
[[tests]]
id = "breaks-{n}"
command = [{python}, "-c", "print('tick'); raise SystemExit('cause {n}')"]
timeout_s = 30
"""

Call = Callable[..., Awaitable[CallToolResult]]
Connect = Callable[[], AbstractAsyncContextManager[Client]]
Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> str:
    """``Client(mode=…)``: 2026-07-28 by discovery, or the 2025-11-25 handshake."""
    return str(request.param)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A project with a service, a test that asks it something, one that waits, and three that break."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "service.py").write_text(SERVICE)
    (folder / "asks.py").write_text(ASKS)
    python = json.dumps(sys.executable)
    config = CONFIG.format(python=python) + WAITS.format(python=python)
    config += "".join(BREAKS.format(n=n, python=python) for n in (1, 2, 3))
    (folder / "mcp-e2e.toml").write_text(config)
    yield folder
    end_leftovers(folder)


@pytest.fixture
def environ(project: Path, tmp_path: Path) -> dict[str, str]:
    """What an editor hands to a server it starts."""
    home = tmp_path / "home"
    home.mkdir()
    return {"PATH": os.environ["PATH"], "HOME": str(home), "MCP_E2E_PROJECT": str(project)}


@pytest.fixture
def transport(era: str, request: pytest.FixtureRequest) -> str:
    """Each era over the transport that its clients mostly use; ``FOUR_WAYS`` takes both for each."""
    return str(getattr(request, "param", "stdio" if era == "legacy" else "http"))


FOUR_WAYS = pytest.mark.parametrize("transport", ["stdio", "http"], indirect=True)


@pytest.fixture
def connect(era: str, transport: str, environ: dict[str, str], project: Path) -> Connect:
    """Start a server and talk to it: over stdio as an editor does, or over HTTP, a server for this one client."""

    @asynccontextmanager
    async def over_http() -> AsyncIterator[Client]:
        with anyio.fail_after(50):
            async with listening(environ, project) as server, server.client(era) as client:
                yield client

    @asynccontextmanager
    async def over_stdio() -> AsyncIterator[Client]:
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "mcp_e2e", "serve"], env=environ, cwd=str(project)
        )
        with anyio.fail_after(50):
            async with Client(server, mode=era, client_info=Implementation(name="tester", version="1")) as client:
                yield client

    return over_http if transport == "http" else over_stdio


@pytest.fixture
def cli(environ: dict[str, str], project: Path) -> Iterator[Cli]:
    """Call ``mcp-e2e`` in the project; keywords are variables. The service is stopped at the end."""

    def call(*args: str, **more: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "mcp_e2e", *args]
        return subprocess.run(
            line, env=environ | more, cwd=project, capture_output=True, encoding="utf-8", timeout=55, check=False
        )

    yield call
    if (project / ".mcp-e2e").is_dir():
        call("stop")


class Agent:
    """Calls tools as an agent does: every answer fits the schema the server listed, and waiting is calling again."""

    def __init__(self, client: Client, schemas: dict[str, Any]) -> None:
        self.client = client
        self.schemas = schemas

    async def call(self, name: str, **arguments: Any) -> CallToolResult:
        result = await self.client.call_tool(name, arguments)
        Draft202012Validator(self.schemas[name]).validate(result.structured_content)
        assert result.structured_content["next_step"]
        return result

    async def does(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The data of a call that must succeed, repeated until its work is done."""
        while True:
            result = await self.call(name, **arguments)
            data: dict[str, Any] = result.structured_content
            assert not result.is_error, data
            if data.get("state") not in {"running", "starting", "queued"}:
                return data

    async def fails(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The data of a call that must not succeed."""
        result = await self.call(name, **arguments)
        data: dict[str, Any] = result.structured_content
        assert result.is_error, data
        return data


@pytest.fixture
async def meet() -> Callable[[Client], Awaitable[Agent]]:
    """Make an agent of a client: it reads the list of tools first."""

    async def met(client: Client) -> Agent:
        tools = (await client.list_tools()).tools
        return Agent(client, {tool.name: tool.output_schema for tool in tools})

    return met
