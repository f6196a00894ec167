"""The quick start in a real process: while the SDK does not load at all, while it loads, and when it has taken over."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

if sys.platform != "win32":
    import fcntl

from mcp_e2e.entrypoints.mcp import quick
from tests.entrypoints.wire import MODERN, Wire, serving

HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
STUCK = """
import os, time
print("stray", flush=True)
os.spawnlp(os.P_WAIT, "sh", "sh", "-c", "echo stray child")
open("printed", "w").close()
while True:
    time.sleep(0.01)
"""
CHEAP = """
import sys
from mcp_e2e.entrypoints.mcp import quick
print([name for name in ("click", "anyio", "asyncio", "mcp", "pydantic", "logging", "pathlib", "inspect", "dataclasses",
                         "importlib.metadata", "socket", "subprocess") if name in sys.modules])
"""


@pytest.fixture
def stuck(environ: dict[str, str], project: Path, tmp_path: Path) -> Callable[[], AbstractAsyncContextManager[Wire]]:
    """A server in which everything beyond the quick start never finishes loading."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "anyio.py").write_text(STUCK)
    return lambda: serving(environ | {"PYTHONPATH": str(tmp_path / "lib")}, project)


@pytest.fixture
def wire(environ: dict[str, str], project: Path) -> Callable[[], AbstractAsyncContextManager[Wire]]:
    return lambda: serving(environ, project)


@asynccontextmanager
async def script(environ: dict[str, str], project: Path) -> AsyncIterator[Wire]:
    """The console script beside the interpreter."""
    command = [str(Path(sys.executable).with_name("mcp-e2e")), "serve", f"--project={project}"]
    async with await anyio.open_process(command, env=environ, stderr=None, start_new_session=True) as process:
        try:
            yield Wire(process)
        finally:
            if process.returncode is None:
                process.kill()


def ask(number: int | str, method: str, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n"


async def test_a_client_is_answered_before_anything_is_loaded(stuck, project) -> None:
    """In pieces, many in one write, texts as ids; what prints meanwhile does not reach the client."""
    async with stuck() as client:
        opening = ask("a", "initialize", **HELLO) + ask(7, "tools/list") + ask("7", "ping") + ask(8, "prompts/list")
        for piece in (opening[:1], opening[1:50], opening[50:]):
            await client.process.stdin.send(piece)
            await anyio.lowlevel.checkpoint()
        said = [await client.hear() for _ in range(4)]
        assert [answer["id"] for answer in said] == ["a", 7, "7", 8]
        assert said[0]["result"]["protocolVersion"] == "2025-06-18"
        assert len(said[1]["result"]["tools"]) == 10
        while not (project / "printed").exists():
            await anyio.sleep(0.02)
        assert (await client.ask("ping"))["result"] == {}


async def test_the_new_era_too(stuck) -> None:
    """Discovery, lists, and a client that changes its mind about nothing."""
    async with stuck() as client:
        assert (await client.ask("server/discover", {"_meta": MODERN}))["result"]["supportedVersions"]
        assert len((await client.ask("tools/list", {"_meta": MODERN}))["result"]["tools"]) == 10


@pytest.mark.parametrize("more", [b"", ask(2, "tools/call", name="status", arguments={}), b'{"jsonrpc": "2.0", "id":'])
async def test_the_end_of_input_while_loading_ends_the_server(stuck, more) -> None:
    """Also with a call that waits for the SDK, and in the middle of a message."""
    async with stuck() as client:
        await client.ask("initialize", HELLO)
        if more:
            await client.process.stdin.send(more)
        await client.process.stdin.aclose()
        code, seconds = await client.ended()
    assert code == 0
    assert seconds < 1


async def test_a_client_that_does_not_read_is_left_all_the_same(stuck) -> None:
    """Far more than a pipe holds, then the end of input; stdout stays open and unread."""
    async with stuck() as client:
        await client.process.stdin.send(
            ask(0, "initialize", **HELLO) + b"".join(ask(n, "tools/list") for n in range(1, 99))
        )
        assert (await client.hear())["id"] == 0
        await client.process.stdin.aclose()
        code, seconds = await client.ended()
    assert code == 0
    assert seconds < 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_while_loading_ends_the_server_with_its_number(stuck, number) -> None:
    """There is nothing to clean up yet."""
    async with stuck() as client:
        await client.ask("initialize", HELLO)
        client.process.send_signal(number)
        code, seconds = await client.ended()
    assert code == 128 + number
    assert seconds < 1


async def test_the_sdk_goes_on_where_the_quick_start_ends(wire) -> None:
    """It knows who the client is and by which version it speaks; nothing is answered twice."""
    async with wire() as client:
        opened = ask(1, "initialize", **HELLO) + b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n'
        call = ask("c", "tools/call", name="plan_run", arguments={"tests": ["asks"]})
        await client.process.stdin.send(opened + ask(2, "tools/list") + call + ask(3, "tools/list"))
        said = {answer["id"]: answer for answer in [await client.hear() for _ in range(4)]}
        assert said.keys() == {1, 2, "c", 3}
        assert said[2]["result"] == said[3]["result"]
        assert said["c"]["result"]["structuredContent"]["begun_by"].startswith("raw")
        await client.process.stdin.send(ask(4, "ping") + ask(5, "server/discover", _meta=MODERN))
        last = {answer["id"]: answer for answer in [await client.hear() for _ in range(2)]}
        assert last[4]["result"] == {}
        assert "error" in last[5]


async def test_a_changed_mind_about_the_era_is_the_sdks_affair(wire) -> None:
    """Lists of the new era settle it; a handshake afterwards is refused."""
    async with wire() as client:
        await client.ask("tools/list", {"_meta": MODERN})
        assert (await client.ask("initialize", HELLO))["error"]["code"] == -32022


async def test_the_console_script_serves_as_well(environ, project) -> None:
    """With its project as an option; the call is answered by that project."""
    del environ["MCP_E2E_PROJECT"]
    with anyio.fail_after(50):
        async with script(environ, project) as client:
            await client.ask("tools/list", {"_meta": MODERN})
            assert "asks" in json.dumps(await client.call("status"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_pipes_that_do_not_block_are_waited_for(environ, project) -> None:
    """Some clients make theirs so: no byte to read, or no room to write, is not the end of the client."""
    command = [sys.executable, "-m", "mcp_e2e", "serve"]
    (theirs, to), (out, ours) = os.pipe(), os.pipe()
    os.set_blocking(theirs, False)
    os.set_blocking(ours, False)
    if sys.platform == "linux":
        fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, 4096)  # less than one answer
    with subprocess.Popen(command, stdin=theirs, stdout=ours, env=environ, cwd=project) as process:
        os.close(theirs)
        os.close(ours)
        with os.fdopen(to, "wb", 0) as pen, os.fdopen(out, "rb") as book:
            for number in (1, 2):
                request = {"jsonrpc": "2.0", "id": number, "method": "tools/list", "params": {"_meta": MODERN}}
                pen.write(json.dumps(request).encode() + b"\n")
                assert json.loads(book.readline())["id"] == number
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["serve"], {}),
        (["serve", "--project", "/p", "--config=c"], {"project": "/p", "config": "c"}),
        (["--project=/p", "serve"], {"project": "/p"}),
        (["serve", "--project", "/p", "--project", "/q"], {"project": "/q"}),
        (["serve", "--http", "127.0.0.1:0"], None),
        (["serve", "--project"], None),
        (["serve", "--project", "--json"], None),
        (["serve", "--help"], None),
        (["serve", "status"], None),
        (["status"], None),
        ([], None),
    ],
)
def test_only_a_plain_serve_is_quick(argv, expected) -> None:
    """All else is for the command line to read, or to explain."""
    assert quick.options(argv) == expected


def test_the_quick_start_loads_nothing_dear() -> None:
    """One of these would cost more than all of it."""
    found = subprocess.run([sys.executable, "-c", CHEAP], capture_output=True, text=True, check=True, timeout=50)
    assert found.stdout.strip() == "[]"
