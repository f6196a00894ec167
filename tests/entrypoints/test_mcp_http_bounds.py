"""What HTTP clients may cost: slow ones, many of them, sessions, and streams that stand open at the end. In process."""

import json
import logging
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
import httpx
import pytest
from anyio.abc import SocketStream
from mcp.server import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.types import CallToolRequestParams, CallToolResult

from mcp_e2e.entrypoints.mcp.http import app
from mcp_e2e.entrypoints.mcp.http.address import Address, allowed_hosts, bind, parse_address
from mcp_e2e.entrypoints.mcp.http.app import http_app
from mcp_e2e.entrypoints.mcp.http.bearer import find_bearer
from mcp_e2e.entrypoints.mcp.http.protocol import BoundedProtocol
from mcp_e2e.entrypoints.mcp.http.serving import Serving, configured, serve_http
from mcp_e2e.errors import ConfigError, UsageError
from tests.entrypoints.listening import ACCEPT, MODERN, Raw, message, modern

HERE = Address("127.0.0.1", 0)
HEAD = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n"
BODY = (
    HEAD + "".join(f"{name}: {value}\r\n" for name, value in ACCEPT.items()).encode() + b"Content-Length: 9999\r\n\r\n{"
)
LISTEN = {"notifications": {"toolsListChanged": True}, "_meta": MODERN}


async def never(ctx: ServerRequestContext, params: CallToolRequestParams) -> CallToolResult:
    """A tool that says one word and then nothing."""
    await ctx.session.report_progress(1, None, "begun")
    await anyio.sleep_forever()
    raise AssertionError


class Served:
    def __init__(self, port: int, serving: Serving, raw: Raw) -> None:
        self.port, self.serving, self.raw = port, serving, raw

    async def begin(self, data: bytes) -> SocketStream:
        """A connection that has sent this much."""
        stream = await anyio.connect_tcp("127.0.0.1", self.port)
        await stream.send(data)
        return stream

    @asynccontextmanager
    async def call(self) -> AsyncIterator[AsyncIterator[str]]:
        """The answer's lines of a call that does not end; its first word has come."""
        asked = message("tools/call", {"name": "never", "_meta": MODERN | {"progressToken": 1}})
        headers = modern("tools/call", "never")
        async with self.raw.http.stream("POST", self.raw.url, json=asked, headers=headers) as answer:
            lines = answer.aiter_lines()
            while "begun" not in await anext(lines):
                pass
            yield lines


@asynccontextmanager
async def served(
    listen: ListenHandler | None = None, closers: Sequence[Callable[[], None]] = ()
) -> AsyncIterator[Served]:
    """A server of the SDK behind our layers, on a port of its own; it ends with the block."""
    server = Server("x", on_call_tool=never, on_subscriptions_listen=listen)
    door = http_app(server, hosts=allowed_hosts(HERE, ""), token=None)
    sockets = bind(HERE)
    port = sockets[0].getsockname()[1]
    serving = Serving(configured(door), door, closers)
    with anyio.fail_after(30):
        async with (
            anyio.create_task_group() as group,
            httpx.AsyncClient(headers=ACCEPT, timeout=20, trust_env=False) as http,
        ):
            group.start_soon(serving.serve, sockets)
            yield Served(port, serving, Raw(http, f"http://127.0.0.1:{port}/mcp"))
            serving.should_exit = True


async def ends(stream: SocketStream) -> None:
    """Wait until the server has hung up; the deadline of ``served`` fails a test in which it does not."""
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        while True:
            await stream.receive()


async def test_a_request_that_does_not_come_to_its_end_is_hung_up_on(monkeypatch, caplog) -> None:
    """Silent, in its head, in its body, the second of a connection; a call that takes longer is left alone."""
    monkeypatch.setattr(BoundedProtocol, "request_s", 0.3)
    async with served() as it, it.call():
        for data in (b"", HEAD, HEAD + b"X-A: b", BODY, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + HEAD):
            async with await it.begin(data) as stream, anyio.create_task_group() as group:

                async def drip(stream: SocketStream = stream, first: bytes = data) -> None:
                    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                        while first:
                            await stream.send(b"a")
                            await anyio.sleep(0.05)

                group.start_soon(drip)
                await ends(stream)
                group.cancel_scope.cancel()
        assert (await it.raw.http.get(it.raw.url)).status_code == 400
        assert len(it.serving.server_state.tasks) == 1
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_at_the_limit_of_connections_the_longest_owing_goes(monkeypatch) -> None:
    """A newcomer is served; calls at work stay; the process never runs out of files."""
    monkeypatch.setattr(BoundedProtocol, "most", 4)
    async with served() as it, it.call():
        slow = [await it.begin(HEAD) for _ in range(3)]
        while len(it.serving.server_state.connections) < 4:
            await anyio.sleep(0.01)
        async with httpx.AsyncClient(trust_env=False) as newcomer:
            assert (await newcomer.get(it.raw.url.removesuffix("mcp"))).status_code == 200
        await ends(slow[0])
        assert len(it.serving.server_state.tasks) == 1
        for stream in slow:
            await stream.aclose()


async def test_a_session_too_many_is_turned_away(monkeypatch) -> None:
    """With 503; those that are open go on, and room frees up when one is closed."""
    monkeypatch.setattr(app, "MAX_SESSIONS", 2)
    hello = message(
        "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}}
    )
    async with served() as it:
        first, second = await it.raw.open(), await it.raw.open()
        assert (await it.raw.post(hello)).status_code == 503
        assert (await it.raw.post(message("ping"), second)).status_code == 200
        assert (await it.raw.http.delete(it.raw.url, headers=first)).status_code == 200
        assert (await it.raw.post(hello)).status_code == 200
        assert (await it.raw.post(message("ping"), first)).status_code == 404


async def test_subscriptions_are_closed_by_the_book_when_the_server_ends() -> None:
    """Their last frame is the result, which says that the end was meant; a call that goes on just ends."""
    listen = ListenHandler(InMemorySubscriptionBus())
    async with served(listen, [listen.close]) as it:
        asked, headers = message("subscriptions/listen", LISTEN), modern("subscriptions/listen")
        async with it.raw.http.stream("POST", it.raw.url, json=asked, headers=headers) as answer, it.call() as lines:
            frames = answer.aiter_lines()
            while "acknowledged" not in await anext(frames):
                pass
            it.serving.should_exit = True
            last = [line async for line in frames if line.startswith("data:")][-1]
            assert json.loads(last.removeprefix("data:"))["result"]["resultType"] == "complete"
            assert [line async for line in lines if line.startswith("data:")] == []


async def test_what_comes_while_the_server_ends_is_told_so() -> None:
    """A request that was not answered yet gets 503 and a remedy."""
    async with served() as it, anyio.create_task_group() as group:
        told: list[httpx.Response] = []

        async def ask() -> None:
            asked = message(
                "tools/call", {"name": "never", "_meta": MODERN}
            )  # no token: nothing is said before the end
            told.append(await it.raw.post(asked, modern("tools/call", "never")))

        group.start_soon(ask)
        while not it.serving.server_state.tasks:
            await anyio.sleep(0.01)
        it.serving.should_exit = True
        while not told:
            await anyio.sleep(0.01)
        assert (told[0].status_code, told[0].json()["code"]) == (503, "interrupted")


async def test_answers_are_sent_at_once() -> None:
    """asyncio sets TCP_NODELAY only on sockets that name TCP; without it each small answer waits for 40 ms."""
    sockets = bind(Address("localhost", 0))
    assert {each.proto for each in sockets} == {socket.IPPROTO_TCP}
    assert len({each.getsockname()[1] for each in sockets}) == 1
    for each in sockets:
        each.close()


def test_addresses_as_people_write_them() -> None:
    """Host and port, both said."""
    assert parse_address("127.0.0.1:8765") == Address("127.0.0.1", 8765)
    assert parse_address("[::1]:0") == Address("::1", 0)
    assert (parse_address("[::1]:0").shown, parse_address("[::1]:0").loopback) == ("[::1]", True)
    assert parse_address("LocalHost:1").loopback
    assert not parse_address("0.0.0.0:1").loopback
    assert not parse_address("box.local:1").loopback
    for wrong in (
        "8765",
        ":8765",
        "127.0.0.1",
        "127.0.0.1:99999",
        "::1:80",
        "[1.2.3.4]:80",
        "http://a:1",
        "a:1/mcp",
        "",
    ):
        with pytest.raises(UsageError, match="HOST:PORT"):
            parse_address(wrong)


async def test_tokens_that_would_protect_nothing_are_refused(tmp_path) -> None:
    """Empty, short, or not to be sent in a header; a damaged file is made anew, a whole one kept."""
    for wrong in ("", "short", "x" * 15, "with a space in it ...", "ä" * 20):
        with pytest.raises(ConfigError, match="MCP_E2E_HTTP_TOKEN"):
            await find_bearer({"MCP_E2E_HTTP_TOKEN": wrong}, tmp_path / "token")
    (tmp_path / "token").write_text("cut")
    made = await find_bearer({}, tmp_path / "token")
    assert (await find_bearer({}, tmp_path / "token")) == made
    assert made.token not in repr(made)
    for wrong in ("http://box", "box:80", "*"):
        with pytest.raises(ConfigError, match="MCP_E2E_HTTP_ALLOWED_HOSTS"):
            allowed_hosts(HERE, wrong)


async def test_without_a_token_only_this_machine_is_served() -> None:
    """Said before anything is opened."""
    with pytest.raises(UsageError, match="--no-auth"):
        await serve_http(None, {}, Address("0.0.0.0", 0), auth=False, say=print)
