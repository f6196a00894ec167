"""A raw client for the tests of the wire: HTTP and sockets as they are, without the adapter that is to be trusted."""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
from httpx_ws import AsyncWebSocketSession, HTTPXWSException, aconnect_ws

from mcp_e2e.adapters.comfyui.workflow import Graph

from .conftest import Backend

LIMIT_S = 60.0
ENDS = {"execution_success", "execution_error", "execution_interrupted"}


class Ear:
    """A socket. ``heard`` keeps each message as (type, data), a frame of bytes as ("bytes", the bytes)."""

    def __init__(self, session: AsyncWebSocketSession) -> None:
        self.session = session
        self.heard: list[tuple[str, Any]] = []
        self.closed = False
        self._news = anyio.Event()

    async def listen(self) -> None:
        while not self.closed:
            try:
                message = await self.session.receive()
            except HTTPXWSException:
                self.closed = True
            else:
                data = message.data  # type: ignore[attr-defined]
                said = json.loads(data) if isinstance(data, str) else {"type": "bytes", "data": bytes(data)}
                self.heard.append((said["type"], said["data"]))
            self._news.set()
            self._news = anyio.Event()

    async def until(self, event: str, **fields: Any) -> Any:
        """The data of the first message of that type, heard already or to come, with those fields.

        A field is a value, or a function that tells whether it fits.
        """

        def fits(wanted: Any, value: Any) -> bool:
            return bool(wanted(value)) if callable(wanted) else value == wanted

        seen = 0
        with anyio.fail_after(LIMIT_S):
            while True:
                for kind, data in self.heard[seen:]:
                    if kind == event and all(fits(wanted, data.get(name, fields)) for name, wanted in fields.items()):
                        return data
                seen = len(self.heard)
                assert not self.closed, f"closed before {event} {fields} came"
                await self._news.wait()

    async def next_of(self, prompt_id: str, number: int) -> list[str]:
        """The types of that many messages of the prompt from now on, fewer when it ends."""
        known = len(self.of(prompt_id))
        with anyio.fail_after(LIMIT_S):
            while True:
                new = [kind for kind, _ in self.of(prompt_id)[known:]]
                if len(new) >= number or ENDS.intersection(new):
                    return new
                await self._news.wait()

    async def all_said(self) -> list[tuple[str, Any]]:
        """Everything that the server sent to this socket before it answers a ping now."""
        with anyio.fail_after(LIMIT_S):
            await (await self.session.ping()).wait()
            await anyio.wait_all_tasks_blocked()
        return self.heard

    def of(self, prompt_id: str) -> list[tuple[str, Any]]:
        """What was heard of that prompt."""
        return [(kind, data) for kind, data in self.heard if kind != "bytes" and data.get("prompt_id") == prompt_id]


@asynccontextmanager
async def listening(backend: Backend, client_id: str, *first: object) -> AsyncIterator[Ear]:
    """A socket of that client, always read; ``first`` are messages to say before anything else."""
    url = f"{backend.url.replace('http', 'ws')}/ws?clientId={client_id}"
    async with httpx.AsyncClient(trust_env=False) as http, aconnect_ws(url, http, queue_size=100_000) as session:
        ear = Ear(session)
        for message in first:
            await session.send_text(json.dumps(message))
        async with anyio.create_task_group() as group:
            group.start_soon(ear.listen)
            await ear.until("status")
            yield ear
            group.cancel_scope.cancel()


class Wire:
    """HTTP to one server."""

    def __init__(self, backend: Backend, http: httpx.AsyncClient) -> None:
        self.backend = backend
        self.http = http

    async def post(self, graph: Graph, **more: Any) -> str:
        """Queue it; its prompt id."""
        reply = await self.http.post("/prompt", json={"prompt": graph.nodes, "prompt_id": new_id(), **more})
        assert reply.status_code == 200, reply.text
        return str(reply.json()["prompt_id"])

    async def entry(self, prompt_id: str) -> dict[str, Any] | None:
        """What the history has of it."""
        found: dict[str, dict[str, Any]] = (await self.http.get(f"/history/{prompt_id}")).json()
        return found.get(prompt_id)

    async def ended(self, prompt_id: str) -> dict[str, Any]:
        """Its history entry, when there is one."""
        with anyio.fail_after(LIMIT_S):
            while not (entry := await self.entry(prompt_id)):
                await anyio.sleep(0.01)
        return entry

    async def quiet(self) -> None:
        """Nothing waits and nothing runs: what a test left behind is ended."""
        with anyio.fail_after(LIMIT_S):
            while (await self.http.get("/prompt")).json()["exec_info"]["queue_remaining"]:
                await self.http.post("/queue", json={"clear": True})
                await self.http.post("/interrupt", json={})
                await anyio.sleep(0.05)

    async def run(self, graph: Graph, **more: Any) -> dict[str, Any]:
        return await self.ended(await self.post(graph, **more))


@asynccontextmanager
async def talking(backend: Backend) -> AsyncIterator[Wire]:
    async with httpx.AsyncClient(base_url=backend.url, trust_env=False, timeout=30) as http:
        yield Wire(backend, http)


def new_id() -> str:
    return str(uuid.uuid4())


def cached(entry: dict[str, Any]) -> set[str]:
    """The nodes that a history entry says came from the cache."""
    return set(dict(entry["status"]["messages"])["execution_cached"]["nodes"])


def files(entry: dict[str, Any]) -> list[str]:
    """The names of the pictures that a history entry lists."""
    return [image["filename"] for output in entry["outputs"].values() for image in output["images"]]
