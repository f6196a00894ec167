"""A project with a small real service and command tests, and apps that stand for servers on it."""

import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from mcp_e2e.bootstrap import App, Options, open_app
from mcp_e2e.errors import ConfigError
from mcp_e2e.model.answers import AttemptAnswer
from tests.leftovers import end_leftovers

RUNNING_S = 30.0
SERVICE = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(str(os.getpid()).encode())
    def log_message(self, *args): pass
print("serving", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""

CONFIG = """
[services.api]
kind = "command"
command = ['{python}', "service.py", "{{port}}"]
port = 0
ready = {{ http = "/" }}
stop_grace_s = 2

[[tests]]
id = "green"
command = ["sh", "-c", "echo fine"]

[[tests]]
id = "red"
command = ["sh", "-c", "echo AssertionError: no; exit 1"]

[[tests]]
id = "slow"
command = ["sh", "-c", "until [ -e go ]; do sleep 0.02; done; echo gone"]
"""

Servers = Callable[..., AbstractAsyncContextManager[App]]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A folder with ``mcp-e2e.toml`` and its service; nothing of it runs on after the test."""
    (tmp_path / "service.py").write_text(SERVICE)
    (tmp_path / "mcp-e2e.toml").write_text(CONFIG.format(python=sys.executable))
    yield tmp_path
    end_leftovers(tmp_path)


@pytest.fixture
def server(project: Path) -> Servers:
    """``async with server() as app``: one more server on the project; the service is stopped at its end."""

    @asynccontextmanager
    async def one(*, client: str = "claude", stops: bool = True, **environ: str) -> AsyncIterator[App]:
        base = {"PATH": "/usr/bin:/bin", "HOME": str(project.parent)}
        async with open_app(Options(project=project), base | environ, client_name=client) as app:
            try:
                yield app
            finally:
                if stops:
                    await stop_all(app)

    return one


async def stop_all(app: App) -> None:
    with contextlib.suppress(ConfigError):  # a test that broke the configuration on purpose never started anything
        await app.sessions.stop(app.caller)


async def until_running(app: App, test: str, **how: Any) -> AttemptAnswer:
    """The attempt at ``test``, begun if need be, once its work runs."""
    with anyio.fail_after(RUNNING_S):
        answer = await app.attempts.run(app.caller, test=test, wait_seconds=0, **how)
        while answer.state != "running":
            answer = await app.attempts.run(app.caller, test=test, wait_seconds=0.05)
    return answer
