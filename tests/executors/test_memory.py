"""The watch beside an attempt, on a server whose memory changes when the test says so."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio
import pytest

from mcp_e2e.executors import memory
from mcp_e2e.executors.memory import MemoryWatch, watching
from mcp_e2e.model.work import Usage

MIB = 1 << 20


class Server:
    """``used`` is what the next look is told, in MiB of 8192; ``broken`` answers 500, ``silent`` does not answer."""

    def __init__(self) -> None:
        self.used = 1000
        self.looks = 0
        self.broken = False
        self.silent = threading.Event()
        self.done = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.looks += 1
                if outer.silent.is_set():
                    outer.done.wait(30)
                device = {"name": "cuda:0", "type": "cuda", "vram_total": 8192 * MIB}
                device["vram_free"] = (8192 - outer.used) * MIB
                body = b"oh" if outer.broken else json.dumps({"devices": [device]}).encode()
                self.send_response(500 if outer.broken else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):  # whoever asked has gone
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    thread = threading.Thread(target=one.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield one
    one.done.set()
    one.http.shutdown()
    thread.join()
    one.http.server_close()


async def seen(watch: MemoryWatch, used: int) -> None:
    """Until a look has told of that much."""
    with anyio.fail_after(20):
        while not watch._latest or watch._latest[0].used != used:
            await anyio.sleep(0.005)


async def settled(watch: MemoryWatch) -> dict[str, Any]:
    watch.ended()
    with anyio.fail_after(20):
        await watch._settled.wait()
    facts = await watch.facts()
    assert facts is not None
    return facts


async def test_before_peak_and_after_are_those_of_the_looks(server: Server) -> None:
    """What was seen when the prompt began, the most while it ran, and one look after its end."""
    async with watching(server.url) as watch:
        await seen(watch, 1000)
        before = watch.begins()
        for server.used in (7000, 3000):
            await seen(watch, server.used)
        server.used = 2000
        facts = await settled(watch)

    assert before == (Usage("cuda:0", 8192, 1000),)
    assert (facts["vram_before"], facts["vram_peak"], facts["vram_after"], facts["vram_total"]) == (
        1000,
        7000,
        2000,
        8192,
    )
    assert facts["unit"] == "MiB"


async def test_what_was_used_before_the_prompt_began_is_no_peak_of_it(server: Server) -> None:
    """A prompt that waited behind another one is not blamed for that one's memory."""
    server.used = 8000
    async with watching(server.url) as watch:
        await seen(watch, 8000)
        server.used = 1500
        await seen(watch, 1500)
        watch.begins()
        facts = await settled(watch)

    assert (facts["vram_before"], facts["vram_peak"]) == (1500, 1500)


async def test_who_takes_over_goes_on_from_what_was_seen_before(server: Server) -> None:
    """The look of whoever queued the prompt is stored with the attempt."""
    async with watching(server.url, (Usage("cuda:0", 8192, 5000),)) as watch:
        facts = await settled(watch)

    assert (facts["vram_before"], facts["vram_peak"], facts["vram_after"]) == (5000, 5000, 1000)
    assert facts["looks"] > 1


async def test_a_server_that_answers_nonsense_or_not_at_all_leaves_no_facts_and_no_error(server: Server) -> None:
    """The attempt beside it never hears of a failed look."""
    server.broken = True
    async with watching(server.url) as watch:
        with anyio.fail_after(20):
            while server.looks < 2:
                await anyio.sleep(0.005)
        assert watch.begins() == ()
    assert await watch.facts() is None

    async with watching("http://127.0.0.1:1") as watch:
        watch.ended()
        with anyio.fail_after(20):
            await watch._settled.wait()
    assert await watch.facts() is None


async def test_a_look_that_hangs_keeps_nobody_waiting(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the facts nor the end of the watch wait for it; the deadline of a look is far longer than this test."""
    monkeypatch.setattr(memory, "LOOK_S", 600.0)
    with anyio.fail_after(20):
        async with watching(server.url) as watch:
            await seen(watch, 1000)
            watch.begins()
            server.silent.set()
            looks = server.looks
            while server.looks == looks:
                await anyio.sleep(0.005)
            facts = await watch.facts()
    assert facts is not None
    assert (facts["vram_before"], "vram_after" in facts) == (1000, False)


async def test_a_hanging_look_is_given_up_and_the_next_one_counts(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One stuck request does not blind the watch for the rest of the attempt."""
    monkeypatch.setattr(memory, "LOOK_S", 0.05)
    async with watching(server.url) as watch:
        server.silent.set()
        looks = server.looks
        with anyio.fail_after(20):
            while server.looks <= looks:
                await anyio.sleep(0.005)
        server.silent.clear()
        server.used = 4321
        await seen(watch, 4321)


@pytest.mark.parametrize("error", [ValueError("mine"), anyio.EndOfStream()], ids=lambda error: type(error).__name__)
async def test_an_error_of_the_attempt_comes_out_as_it_is(server: Server, error: Exception) -> None:
    """No group around it, so whoever judges the attempt knows it by its class."""
    with pytest.raises(type(error)) as caught:
        async with watching(server.url):
            raise error
    assert caught.value is error


async def test_a_cancelled_attempt_ends_its_watch(server: Server) -> None:
    """Nothing looks on when nobody waits."""
    with anyio.move_on_after(20) as scope:
        async with watching(server.url) as watch:
            await seen(watch, 1000)
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert not watch._settled.is_set()
