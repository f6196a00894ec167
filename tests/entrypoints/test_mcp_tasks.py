"""The tasks extension: slow calls answer with a task, by its id any server tells how the work stands."""

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from jsonschema import Draft202012Validator
from mcp import MCPError

from mcp_e2e.entrypoints.mcp.schemas import output_schema
from mcp_e2e.entrypoints.mcp.tasks import Task
from mcp_e2e.entrypoints.mcp.tools import TOOLS
from tests.entrypoints.listening import listening, message, modern
from tests.entrypoints.wire import MODERN, Wire, serving

EXTENSION = "io.modelcontextprotocol/tasks"
SPEAKS = {**MODERN, "io.modelcontextprotocol/clientCapabilities": {"extensions": {EXTENSION: {}}}}
SLOW = """
[services.slow]
kind = "command"
command = ["sh", "-c", "until [ -e up ]; do sleep 0.02; done; exec python3 -m http.server $0", "{port}"]
port = 0
ready = { http = "/" }
"""
WAITS = ["sh", "-c", "until [ -e go ]; do sleep 0.02; done; echo gone"]

NO_ATTEMPT = "WyJydW5fdGVzdCIsImEtbm9wZSIsMS4wLGZhbHNlXQ"  # of a task: run_test, "a-nope"
NO_SERVICE = "WyJzdGFydF9zZXNzaW9uIiwibm9wZSIsMS4wLGZhbHNlXQ"  # of a task: start_session, "nope"

Servers = Callable[[], AbstractAsyncContextManager[Wire]]


@pytest.fixture
def server(environ: dict[str, str], project: Path) -> Servers:
    """A server; with the block it ends, the work does not."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Wire]:
        async with serving(environ, project) as wire:
            yield wire

    return opened


async def called(wire: Wire, tool: str, meta: dict[str, Any] = SPEAKS, **arguments: Any) -> dict[str, Any]:
    answer = await wire.ask("tools/call", {"name": tool, "arguments": arguments, "_meta": meta})
    result: dict[str, Any] = answer["result"]
    return result


async def asked(wire: Wire, method: str, task_id: str, meta: dict[str, Any] = SPEAKS) -> dict[str, Any]:
    return await wire.ask(method, {"taskId": task_id, "_meta": meta})


async def ended(wire: Wire, task: dict[str, Any]) -> dict[str, Any]:
    """The tool's result once the task is completed; it fits what the tool has promised."""
    while (now := (await asked(wire, "tasks/get", task["taskId"]))["result"])["status"] == "working":
        assert (now["taskId"], now["createdAt"]) == (task["taskId"], task["createdAt"])
        await anyio.sleep(0.02)
    assert now["status"] == "completed"
    result: dict[str, Any] = now["result"]
    return result


async def test_a_test_is_a_task_that_outlives_its_server(server: Servers, project: Path, cli) -> None:
    """Begun on one server, fetched from the next; only then is its verdict delivered and recorded."""
    async with server() as wire:
        task = await called(wire, "run_test", test="waits", checkpoint=True)
        assert (task["resultType"], task["status"], task["ttlMs"]) == ("task", "working", None)
        assert "content" not in task
    (project / "go").touch()
    async with server() as wire:
        result = await ended(wire, task)
        again = await ended(wire, task)
    said = result["structuredContent"]
    Draft202012Validator(output_schema(TOOLS["run_test"].answer)).validate(said)
    assert (said["verdict"], said["checkpointed"], said["position"]["done"]) == ("passed", "success", 1)
    assert again["structuredContent"]["attempt"] == said["attempt"]


async def test_services_and_commands_are_tasks_too(server: Servers, project: Path, cli) -> None:
    """And a task that is cancelled ends no work: only its client waits no more."""
    with (project / "mcp-e2e.toml").open("a") as config:
        config.write(SLOW)
    async with server() as wire:
        boot = await called(wire, "start_session", service="slow")
        job = await called(wire, "safe_exec", argv=WAITS)
        assert (boot["resultType"], job["resultType"]) == ("task", "task")
        for method in ("tasks/cancel", "tasks/update"):
            answer = (await asked(wire, method, job["taskId"]))["result"]
            assert (answer["resultType"], set(answer)) == ("complete", {"resultType", "_meta"})
        (project / "go").touch()
        (project / "up").touch()
        assert (await ended(wire, job))["structuredContent"]["stdout"] == "gone\n"
        assert (await ended(wire, boot))["structuredContent"]["state"] == "ready"
        await called(wire, "stop_session", service="slow")


async def test_who_does_not_speak_of_tasks_gets_none(server: Servers, project: Path, cli) -> None:
    """Nor who does not want to wait, nor a call that ends soon, goes wrong, or has secrets of its own."""
    async with server() as wire:
        plain = [
            await called(wire, "run_test", MODERN, test="waits", wait_seconds=0.1),
            await called(wire, "run_test", test="waits", wait_seconds=0),
            await called(wire, "safe_exec", command="true"),
            await called(wire, "safe_exec", argv=WAITS, env={"A": "b"}, wait_seconds=2.1),
            await called(wire, "run_test", test="nope"),
            await called(wire, "status"),
        ]
        assert {result["resultType"] for result in plain} == {"complete"}
        states = [result["structuredContent"].get("state") for result in plain[:4]]
        assert set(states[:2]) <= {"queued", "starting", "running"}
        assert states[2:] == ["exited", "running"]
        (project / "go").touch()


async def test_over_http_the_header_names_the_task(environ: dict[str, str], project: Path, cli) -> None:
    """The request is refused where it names another one; else it is answered."""
    async with listening(environ, project) as http, http.raw() as raw:
        call = {"name": "run_test", "arguments": {"test": "waits"}, "_meta": SPEAKS}
        begun = await raw.post(message("tools/call", call), modern("tools/call", "run_test"))
        task = begun.json()["result"]["taskId"]
        get = message("tasks/get", {"taskId": task, "_meta": SPEAKS})
        wrong = (await raw.post(get, modern("tasks/get", "another"))).json()
        assert wrong["error"]["code"] == -32020
        assert (await raw.post(get, modern("tasks/get", task))).json()["result"]["status"] == "working"
        (project / "go").touch()


async def test_what_is_asked_wrongly_is_told(server: Servers) -> None:
    """An unknown task, a client without the extension, the handshake era."""
    async with server() as wire:
        for bad in (
            "",
            "nope",
            "é",
            "W10",
            "WyJydW5fdGVzdCIsImEtbm9wZSIsMS4wLGZhbHNlXQ",
            "W251bGwsMSwyLDNd",
            NO_SERVICE,
        ):
            for method in ("tasks/get", "tasks/cancel", "tasks/update"):
                if method == "tasks/get" or not bad.startswith("WyJ"):
                    assert (await asked(wire, method, bad))["error"]["code"] == -32602
        for told in (
            '[["run_test"],"a-1",1,false]',
            '["safe_exec","\\u0000",1,false]',
            '["run_test","\\ud800",1,false]',
            '["start_session","slow",1e12,false]',
            '["start_session","slow",NaN,false]',
            "[" * 9000,
        ):
            forged = base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")
            assert (await asked(wire, "tasks/get", forged))["error"]["code"] == -32602, told
        refused = (await asked(wire, "tasks/get", "nope", MODERN))["error"]
        assert refused["code"] == -32021
        assert refused["data"] == {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}
        found = (await wire.ask("server/discover", {"_meta": MODERN}))["result"]
        assert found["capabilities"]["extensions"] == {EXTENSION: {}}
    async with server() as wire:
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        await wire.ask("initialize", hello)
        await wire.say({"jsonrpc": "2.0", "method": "notifications/initialized"})
        assert (await wire.ask("tasks/get", {"taskId": "nope"}))["error"]["code"] == -32601


@pytest.mark.parametrize(
    "inside",
    [
        "no JSON",
        "7",
        "[]",
        '["run_test", "a", 1, true, 1]',
        '["status", "a", 1, true]',
        '[{}, "a", 1, true]',
        '["run_test", 7, 1, true]',
        '["run_test", "\\ud800", 1, true]',
        '["run_test", "a", "b", true]',
        '["run_test", "a", NaN, true]',
        '["run_test", "a", 1e999, true]',
        '["run_test", "a", -1, true]',
        f'["run_test", "a", 1{"0" * 400}, true]',
        "[" * 100_000,
    ],
)
def test_an_id_that_is_made_up_is_no_task(inside: str) -> None:
    """Whatever it hides: -32602, and no defect of ours."""
    with pytest.raises(MCPError) as caught:
        Task.of(base64.urlsafe_b64encode(inside.encode()).decode().rstrip("="))
    assert caught.value.code == -32602
    assert Task.of(Task("run_test", "a", 1.5).id) == Task("run_test", "a", 1.5)
