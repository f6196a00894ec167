"""A subscriber hears that a resource reads otherwise, whoever changed it, in both protocol eras."""

import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp import Client
from mcp.server import ServerRequestContext
from mcp.server.connection import Connection
from mcp.server.lowlevel import Server
from mcp.types import (
    EmptyResult,
    ListToolsResult,
    ResourceUpdatedNotification,
    SubscribeRequest,
    SubscribeRequestParams,
    UnsubscribeRequest,
    UnsubscribeRequestParams,
)

from mcp_e2e.bootstrap import Options
from mcp_e2e.entrypoints.mcp import resources
from mcp_e2e.entrypoints.mcp.sdk import connection_of
from mcp_e2e.entrypoints.mcp.server import build_server, opens

HEARD_S = 20.0
RESOURCES = [resource.uri for resource in resources.resources()]


class Ear:
    """The URIs that a client was told of, since it was last asked."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.all: list[str] = []
        self._more = anyio.Event()

    def hear(self, uri: str) -> None:
        self.heard.append(uri)
        self.all.append(uri)
        self._more.set()

    async def until(self, *uris: str) -> None:
        """Wait until all of these were told; then forget what was."""
        with anyio.fail_after(HEARD_S):
            while not set(uris) <= set(self.heard):
                self._more = anyio.Event()
                await self._more.wait()
        self.heard.clear()


Subscribed = Callable[..., AbstractAsyncContextManager[tuple[Client, Ear]]]


@pytest.fixture
def subscribed(era: str, project: Path, environ: dict[str, str]) -> Subscribed:
    """A client, on a server of its own, that has subscribed to these resources the way its era does."""

    @asynccontextmanager
    async def opened(*uris: str) -> AsyncIterator[tuple[Client, Ear]]:
        ear = Ear()

        async def heed(message: Any) -> None:
            if isinstance(message, ResourceUpdatedNotification):
                ear.hear(str(message.params.uri))

        server = build_server(opens(Options(project=project), environ))
        async with Client(server, mode=era, message_handler=heed) as client, anyio.create_task_group() as tasks:
            if era == "legacy":
                for uri in uris:
                    await client.session.send_request(
                        SubscribeRequest(params=SubscribeRequestParams(uri=uri)), EmptyResult
                    )
                yield client, ear
                return
            async with client.listen(resource_subscriptions=list(uris)) as stream:
                tasks.start_soon(_follow, stream, ear)
                yield client, ear
                tasks.cancel_scope.cancel()

    return opened


async def _follow(stream: Any, ear: Ear) -> None:
    async for event in stream:
        ear.hear(event.uri)


async def read(client: Client, uri: str) -> dict[str, Any]:
    result = await client.read_resource(uri)
    data: dict[str, Any] = json.loads(result.contents[0].text)
    return data


async def test_whoever_changes_something_is_heard(subscribed: Subscribed, project: Path, cli) -> None:
    """The client itself, the command line, a keeper that restarts the service, an editor that writes the file."""
    async with subscribed(*RESOURCES) as (client, ear):
        await client.call_tool("plan_run", {"tests": ["asks"], "count": 2})
        await ear.until("e2e://status", "e2e://progress", "e2e://runs")
        started = await anyio.to_thread.run_sync(lambda: cli("start", "--json"))
        await ear.until("e2e://status")
        os.kill(json.loads(started.stdout)["data"]["pid"], signal.SIGKILL)
        while (await read(client, "e2e://status"))["services"][0]["generation"] != 2:
            await ear.until("e2e://status")
        with (project / "mcp-e2e.toml").open("a") as config:
            config.write("\n[unheard-of]\n")
        await ear.until("e2e://status", "e2e://config")
        assert "config_error" in await read(client, "e2e://status")


async def test_another_server_is_heard(subscribed: Subscribed, project: Path, cli) -> None:
    """What its client begins and what ends there by itself: an attempt, on the pages of its run too, and a job."""
    waits = ["sh", "-c", "until [ -e gone ]; do sleep 0.02; done"]
    async with subscribed() as (actor, _), subscribed("e2e://progress", "e2e://status") as (client, ear):
        begun = await actor.call_tool("run_test", {"test": "waits", "wait_seconds": 0})
        run = begun.structured_content["position"]["run"]
        job = (await actor.call_tool("safe_exec", {"argv": waits, "wait_seconds": 0})).structured_content["job"]
        while job not in await jobs(client):
            await ear.until("e2e://status")
        while not (await read(client, "e2e://progress"))["running"]:
            await ear.until("e2e://progress")
        async with subscribed(f"e2e://runs/{run}", f"e2e://runs/{run}/report") as (_, reader):
            (project / "go").touch()
            await reader.until(f"e2e://runs/{run}", f"e2e://runs/{run}/report")
        (project / "gone").touch()
        while job in await jobs(client):
            await ear.until("e2e://status")


async def jobs(client: Client) -> list[str]:
    return [line["job"] for line in (await read(client, "e2e://status")).get("jobs", ())]


async def test_who_unsubscribes_or_leaves_is_told_no_more(environ: dict[str, str], project: Path) -> None:
    """And while nobody is left, nothing is looked at."""
    ear, told = Ear(), []

    async def heed(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            ear.hear(str(message.params.uri))

    server = build_server(opens(Options(project=project), environ))
    async with Client(server, mode="legacy", message_handler=heed) as client:
        for uri in ("e2e://status", "e2e://runs"):
            await client.session.send_request(SubscribeRequest(params=SubscribeRequestParams(uri=uri)), EmptyResult)
        await client.session.send_request(
            UnsubscribeRequest(params=UnsubscribeRequestParams(uri="e2e://runs")), EmptyResult
        )
        await client.call_tool("plan_run", {"tests": ["asks"]})
        await ear.until("e2e://status")  # which is told after the other
        told += ear.all
    assert "e2e://runs" not in told


async def test_no_list_is_said_to_change(subscribed: Subscribed, era: str) -> None:
    """Tools, prompts and resources are the same as long as a server runs; resources can be subscribed to."""
    async with subscribed() as (client, _):
        said = client.server_capabilities
        assert (said.tools.list_changed, said.prompts.list_changed, said.resources.list_changed) == (False,) * 3
        assert said.resources.subscribe is True
        if era != "legacy":
            async with client.listen(tools_list_changed=True, resource_subscriptions=["e2e://status"]) as stream:
                assert stream.honored.tools_list_changed is None
                assert stream.honored.resource_subscriptions == ["e2e://status"]


async def test_the_connection_is_where_we_look_for_it() -> None:
    """Private to the SDK: the object that outlives a request, can notify, and has an exit stack."""
    found = []

    async def list_tools(ctx: ServerRequestContext[Any, Any], _: Any) -> ListToolsResult:
        found.append(connection_of(ctx.session))
        return ListToolsResult(tools=[])

    async with Client(Server("s", on_list_tools=list_tools), mode="legacy") as client:
        await client.list_tools()
        await client.list_tools()
    assert isinstance(found[0], Connection)
    assert found[0] is found[1]
