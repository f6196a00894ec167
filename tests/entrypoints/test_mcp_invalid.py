"""What a client may send that nothing can store or say again."""

import json
import logging
from pathlib import Path

import anyio
import httpx
import pytest

from mcp_e2e.bootstrap import Options
from mcp_e2e.entrypoints.mcp.http.address import Address, allowed_hosts, bind
from mcp_e2e.entrypoints.mcp.http.app import http_app
from mcp_e2e.entrypoints.mcp.http.serving import Serving, configured
from mcp_e2e.entrypoints.mcp.server import build_server, opens
from tests.entrypoints.listening import ACCEPT, MODERN, Raw, message, modern

HERE = Address("127.0.0.1", 0)


async def test_what_cannot_be_said_again_is_refused_before_anything_sees_it(
    project: Path, environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Half a surrogate pair that a parser has let through; a method too long to repeat. Nothing is in the log."""
    caplog.set_level(logging.WARNING)
    server = build_server(opens(Options(project=project), environ))
    door, sockets = http_app(server, hosts=allowed_hosts(HERE, ""), token=None), bind(HERE)
    serving = Serving(configured(door), door, ())
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/mcp"
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group, httpx.AsyncClient(headers=ACCEPT, trust_env=False) as http:
            group.start_soon(serving.serve, sockets)
            raw = Raw(http, url)
            for arguments in ({"action": "\ud800"}, {"\udfff": [1]}):
                asked = message("tools/call", {"name": "job", "arguments": arguments, "_meta": MODERN})
                answer = await http.post(url, content=json.dumps(asked), headers=modern("tools/call", "job"))
                assert answer.json().get("error", {}).get("code") == -32602
            answer = await raw.post(message("x" * 20_000, {"_meta": MODERN}), modern("x" * 20_000))
            assert answer.json()["error"]["code"] == -32601
            assert len(answer.content) < 2_000
            answer = await raw.post(message("prompts/list", {"_meta": MODERN}), modern("prompts/list"))
            assert answer.json()["result"]["prompts"]
            serving.should_exit = True
    assert caplog.messages == []
