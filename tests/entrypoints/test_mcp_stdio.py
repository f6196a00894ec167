"""The wire itself: what no in-memory test sees. Ends, signals, stray output, and clients that open both ways."""

import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio
import psutil
import pytest

from tests.entrypoints.wire import MODERN, VERSION, Wire, serving

HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}


@pytest.fixture
def wire(environ: dict[str, str], project: Path) -> Callable[[], AbstractAsyncContextManager[Wire]]:
    return lambda: serving(environ, project)


async def test_discovery_then_initialize_is_served(wire) -> None:
    """Some clients probe the new era and then open in the old one; the SDK alone refuses them."""
    async with wire() as client:
        found = await client.ask("server/discover", {"_meta": MODERN})
        assert found["result"]["supportedVersions"] == ["2026-07-28"]
        assert found["result"]["resultType"] == "complete"
        opened = await client.ask("initialize", HELLO)
        assert opened["result"]["protocolVersion"] == "2025-11-25"
        await client.say({"jsonrpc": "2.0", "method": "notifications/initialized"})
        assert len((await client.ask("tools/list"))["result"]["tools"]) == 10


async def test_our_answer_to_discovery_is_the_sdks(wire) -> None:
    """Before anything else was asked it comes from us, afterwards from the SDK."""
    async with wire() as client:
        ours = await client.ask("server/discover", {"_meta": MODERN})
        await client.ask("tools/list", {"_meta": MODERN})
        theirs = await client.ask("server/discover", {"_meta": MODERN})
        assert ours["result"] == theirs["result"]


async def test_an_unknown_version_is_left_to_the_sdk(wire) -> None:
    """-32022 names what is supported."""
    async with wire() as client:
        answer = await client.ask("server/discover", {"_meta": MODERN | {VERSION: "2099-01-01"}})
        assert answer["error"]["code"] == -32022


async def test_end_of_input_ends_the_server_within_a_second(wire) -> None:
    """Clients kill what is slower, with all its children."""
    async with wire() as client:
        await client.ask("initialize", HELLO)
        await client.process.stdin.aclose()
        code, seconds = await client.ended()
    assert code == 0
    assert seconds < 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_ends_the_server_with_its_number(wire, number) -> None:
    """Also while its reader waits for input that does not come."""
    async with wire() as client:
        await client.ask("tools/call", {"name": "status", "_meta": MODERN})
        client.process.send_signal(number)
        code, seconds = await client.ended()
    assert code == 128 + number
    assert seconds < 1


@pytest.mark.parametrize("how", ["end of input", signal.SIGTERM])
async def test_a_running_call_does_not_hold_the_server(wire, project, how) -> None:
    """The command it waits for goes on without it."""
    command = "touch began; while [ ! -e go ]; do sleep 0.02; done; touch ended"
    call = {"name": "safe_exec", "arguments": {"command": command, "wait_seconds": 30}, "_meta": MODERN}
    async with wire() as client:
        await client.say({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call})
        await appears(project / "began")
        if how == "end of input":
            await client.process.stdin.aclose()
        else:
            client.process.send_signal(how)
        code, seconds = await client.ended()
    (project / "go").touch()
    await appears(project / "ended")
    assert code == (0 if how == "end of input" else 128 + how)
    assert seconds < 1


async def appears(path: Path) -> None:
    with anyio.fail_after(20):
        while not path.exists():
            await anyio.sleep(0.02)


async def test_an_open_subscription_does_not_hold_the_server(wire) -> None:
    """Its request is never answered as long as it stands."""
    async with wire() as client:
        await client.say(
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "subscriptions/listen",
                "params": {"notifications": {"resourceSubscriptions": ["e2e://status"]}, "_meta": MODERN},
            }
        )
        await client.hear()
        await client.process.stdin.aclose()
        code, seconds = await client.ended()
    assert code == 0
    assert seconds < 1


async def test_a_client_that_does_not_read_does_not_hold_the_server(wire) -> None:
    """Far more than a pipe holds, then the end of input; stdout stays open and unread."""
    async with wire() as client:
        await client.call("status")
        for number in range(200):
            await client.say({"jsonrpc": "2.0", "id": number, "method": "tools/list", "params": {"_meta": MODERN}})
        await client.process.stdin.aclose()
        code, seconds = await client.ended()
    assert code == 0
    assert seconds < 1


async def test_nothing_but_the_protocol_reaches_stdout_nor_stderr_in_peace(environ, project) -> None:
    """Wrong calls, malformed lines, a normal end: no line of log. Whatever came on stdout was a message."""
    async with serving(environ, project, stderr=subprocess.PIPE) as client:
        await client.ask("initialize", HELLO)
        await client.process.stdin.send(b"no json\n[1]\n\xff\n")
        await client.ask("tools/call", {"name": "nope", "arguments": {}})
        await client.ask("tools/call", {"name": "status", "arguments": {}})
        await client.process.stdin.aclose()
        await client.ended()
        said = b"".join([chunk async for chunk in client.process.stderr])
    assert said == b""


async def test_a_killed_server_leaves_nothing_of_its_own(wire, project) -> None:
    """No child of the server stays when it is killed outright: what remains are keepers of named work."""
    async with wire() as client:
        await client.ask("tools/call", {"name": "status", "_meta": MODERN})
        children = psutil.Process(client.process.pid).children(recursive=True)
        client.process.kill()
        await client.ended()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


async def test_progress_comes_with_the_token_of_the_request(wire) -> None:
    """And none without one. The values grow; the message says what is going on."""
    call = {"name": "run_test", "arguments": {"test": "asks", "checkpoint": True, "wait_seconds": 30}}
    async with wire() as client:
        answer = await client.ask("tools/call", call | {"_meta": MODERN | {"progressToken": "p1"}})
        assert answer["result"]["structuredContent"]["verdict"] == "passed"
        said = [notice["params"] for notice in client.notices]
        assert said
        assert {notice["progressToken"] for notice in said} == {"p1"}
        values = [notice["progress"] for notice in said]
        assert values == sorted(set(values))
        assert all("asks" in notice["message"] for notice in said)
        client.notices.clear()
        answer = await client.ask("tools/call", call | {"_meta": MODERN})
        assert answer["result"]["structuredContent"]["verdict"] == "passed"
        assert client.notices == []
        await client.ask("tools/call", {"name": "stop_session", "_meta": MODERN})
