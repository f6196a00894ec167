"""Where clients come in: one server over HTTP for many, and for each of some a server of its own over stdio.

A door knows when its server was killed, so that a client which loses its server for no such reason is told apart.
"""

import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.session import MessageHandlerFnT
from mcp.client.stdio import get_default_environment, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import Implementation

from mcp_e2e.process.identity import send_signal
from mcp_e2e.process.locks import leases
from tests.soak.actor import NAME
from tests.soak.chaos import servers
from tests.soak.project import MARKER, Project

UP_S = 30.0
NOTICED_S = 20.0  # after a kill: so long its clients may still stumble over it


class Door(ABC):
    def __init__(self, name: str, project: Project) -> None:
        self.name = name
        self.project = project
        self.killed: list[float] = []

    @abstractmethod
    def connected(self, name: str, era: str, heed: MessageHandlerFnT) -> AbstractAsyncContextManager[Client]: ...

    def kill(self) -> bool:
        """With SIGKILL; False when no server is there."""
        who = servers().get(self.name)
        if who is None or not send_signal(who, signal.SIGKILL):
            return False
        self.killed.append(time.time())
        return True

    def excused(self, at: float) -> bool:
        """Whether a client that lost its server at this time lost it by a kill."""
        return any(killed <= at <= killed + NOTICED_S for killed in self.killed)

    @property
    def environment(self) -> dict[str, str]:
        return {MARKER: str(self.project.root), NAME: self.name}

    @property
    def argv(self) -> list[str]:
        return ["-m", "mcp_e2e", "serve", "--project", str(self.project.root)]


class Stdio(Door):
    """A new server for each connection."""

    @asynccontextmanager
    async def connected(self, name: str, era: str, heed: MessageHandlerFnT) -> AsyncIterator[Client]:
        server = StdioServerParameters(
            command=sys.executable, args=self.argv, env=self.environment, cwd=self.project.root
        )
        who = Implementation(name=name, version="1")
        with (self.project.root.parent / "servers.log").open("a", encoding="utf-8") as log:
            transport = stdio_client(server, errlog=log)
            async with Client(transport, mode=era, client_info=who, message_handler=heed) as client:
                yield client


class Http(Door):
    """One server at one address as long as ``serve`` runs; a killed one is started anew there."""

    def __init__(self, name: str, project: Project) -> None:
        super().__init__(name, project)
        self._url = ""
        self._up = anyio.Event()
        self._over = anyio.Event()
        self._token = ""
        self.ended: list[int] = []  # exit codes

    async def serve(self, *, task_status: Any = anyio.TASK_STATUS_IGNORED) -> None:
        """Until ``close``."""
        address = "127.0.0.1:0"
        while not self._over.is_set():
            with (self.project.root.parent / "servers.log").open("a", encoding="utf-8") as log:
                process = await anyio.open_process(
                    [sys.executable, *self.argv, "--http", address],
                    env=get_default_environment() | self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    start_new_session=True,
                )
            try:
                await self._opened(process.pid)
                address = self._url.removeprefix("http://").removesuffix("/mcp")
                if not self.ended:
                    task_status.started()
                await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
            self._up = anyio.Event()
            self.ended.append(process.returncode or 0)

    async def _opened(self, pid: int) -> None:
        private = self.project.state.private
        with anyio.fail_after(UP_S):
            while True:
                told = [lease.description for lease in leases(private / "http", sweep=False) if lease.alive]
                if found := [each["url"] for each in told if each.get("pid") == pid]:
                    break
                await anyio.sleep(0.05)
        self._url = str(found[0])
        self._token = (private / "http-token").read_text("ascii").strip()
        self._up.set()

    def close(self) -> None:
        self._over.set()
        if who := servers().get(self.name):
            send_signal(who, signal.SIGTERM)

    @asynccontextmanager
    async def connected(self, name: str, era: str, heed: MessageHandlerFnT) -> AsyncIterator[Client]:
        await self._up.wait()
        bearer = {"Authorization": f"Bearer {self._token}"}
        async with httpx2.AsyncClient(headers=bearer, timeout=httpx2.Timeout(30.0, read=300.0)) as http:
            transport = streamable_http_client(self._url, http_client=http)
            who = Implementation(name=name, version="1")
            async with Client(transport, mode=era, client_info=who, message_handler=heed) as client:
                yield client
