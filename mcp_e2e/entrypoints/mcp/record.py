"""Makes ``opening.json`` anew: ``make opening``, or ``python -m mcp_e2e.entrypoints.mcp.record``.

Each request goes to the live server, by every protocol version; what it answers is what is recorded.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import anyio
from mcp.server.lowlevel import Server
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from mcp_e2e import __version__
from mcp_e2e.bootstrap import App
from mcp_e2e.entrypoints.mcp import recorded
from mcp_e2e.entrypoints.mcp.opening import HANDSHAKES, METHODS, MODERN
from mcp_e2e.entrypoints.mcp.server import build_server
from mcp_e2e.entrypoints.mcp.stdio import converse

_WHO = {"name": "recorder", "version": "1"}


async def record() -> dict[str, Any]:
    """What belongs into the file. A list that needs the project's state cannot be recorded, and fails here."""
    answers: list[dict[str, Any]] = []
    for spoken in (*HANDSHAKES, *MODERN):
        for method, result in (await _results(spoken)).items():
            same = (row for row in answers if (row["method"], row["result"]) == (method, result))
            row = next(same, None)
            if row is None:
                answers.append({"method": method, "versions": [spoken], "result": result})
            else:
                row["versions"].append(spoken)
    of = {"mcp_e2e": __version__, "mcp": version("mcp"), "sources": recorded.sources()}
    return {"of": of, "answers": answers}


async def _results(spoken: str) -> dict[str, Any]:
    """The result of each method that has one in that version."""
    methods = [method for method in METHODS if spoken in HANDSHAKES or method != "initialize"]
    answered = await answers_to([_request(method, spoken) for method in methods])
    return {method: answered[method]["result"] for method in methods if "result" in answered[method]}


def _request(method: str, spoken: str) -> dict[str, Any]:
    meta = {"protocolVersion": spoken, "clientCapabilities": {}, "clientInfo": _WHO}
    params: dict[str, Any] = {}
    if spoken in MODERN:
        params = {"_meta": {f"io.modelcontextprotocol/{name}": value for name, value in meta.items()}}
    elif method == "initialize":
        params = {"protocolVersion": spoken, "capabilities": {}, "clientInfo": _WHO}
    return {"jsonrpc": "2.0", "id": method, "method": method, "params": params}


async def answers_to(requests: list[dict[str, Any]]) -> dict[str | int, dict[str, Any]]:
    """Every answer of one live server to one client, by the request's id."""
    found: dict[str | int, dict[str, Any]] = {}
    sent, read = anyio.create_memory_object_stream[SessionMessage | Exception]()
    write, received = anyio.create_memory_object_stream[SessionMessage]()
    async with anyio.create_task_group() as group, received:
        group.start_soon(converse, build_server(_without_project), read, write, {})
        async with sent:
            for request in requests:
                message = jsonrpc_message_adapter.validate_python(request, by_name=False)
                await sent.send(SessionMessage(message))
                if "id" in request:
                    answer = (await received.receive()).message.model_dump(by_alias=True, exclude_unset=True)
                    found[answer["id"]] = answer
    return found


@asynccontextmanager
async def _without_project(_: Server[App]) -> AsyncIterator[App]:
    yield cast(App, None)


def main() -> None:
    text = json.dumps(anyio.run(record), ensure_ascii=False, indent=1)
    Path(recorded.PATH).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
