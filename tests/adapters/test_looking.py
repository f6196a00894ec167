"""A look at what is no ComfyUI comes to an end: an answer that drips, one without an end, one that is nested."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from mcp_e2e.adapters.comfyui import looking
from mcp_e2e.adapters.comfyui.looking import look

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"


@asynccontextmanager
async def server(answer: Callable[[SocketStream], Awaitable[None]]) -> AsyncIterator[str]:
    """Sends the head of an answer, then what ``answer`` sends; it gives the address."""

    async def handle(client: SocketStream) -> None:
        async with client:
            await client.receive()
            await client.send(HEAD)
            with suppress(anyio.BrokenResourceError):
                await answer(client)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
        tasks.cancel_scope.cancel()


async def test_an_answer_that_drips_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes within the limit, the whole does not."""
    monkeypatch.setattr(looking, "LOOK_TIMEOUT_S", 0.5)

    async def drips(client: SocketStream) -> None:
        while True:
            await client.send(b" ")
            await anyio.sleep(0.1)

    with anyio.fail_after(10):
        async with server(drips) as url:
            health = await look(url)
    assert (health.answering, health.stage) == (False, "not answering")
    assert "0.5 s" in health.detail


async def test_an_answer_without_an_end_is_not_read_on() -> None:
    """However fast it comes."""

    async def floods(client: SocketStream) -> None:
        while True:
            await client.send(b" " * 65536)

    with anyio.fail_after(10):
        async with server(floods) as url:
            assert (await look(url)).stage == "not ComfyUI"


async def test_an_answer_that_is_nested_too_deep_is_not_comfyuis() -> None:
    """Nothing is raised for what no parser takes."""

    async def nests(client: SocketStream) -> None:
        await client.send(b"[" * 200_000)

    async with server(nests) as url:
        assert (await look(url)).stage == "not ComfyUI"
