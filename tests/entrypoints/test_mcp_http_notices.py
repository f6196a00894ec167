"""Over HTTP a client of the handshake era hears on a stream that it opens by itself, sooner or later, and may lose."""

import json
from collections.abc import Mapping

import anyio
from httpx import Response

from tests.entrypoints.listening import Listening, Raw, listening, message

STATUS = "e2e://status"


async def test_what_changed_while_a_client_had_no_stream_is_told_when_it_opens_one(environ, project) -> None:
    """It had subscribed, and was deaf: on its first stream, and on the next one of what happened between the two."""
    async with listening(environ, project) as server, server.raw() as raw:
        deaf = await raw.open()
        await raw.post(message("resources/subscribe", {"uri": STATUS}), deaf)
        for turn in range(2):
            await changed(server, raw, f"turn {turn}")
            async with raw.http.stream("GET", server.url, headers=deaf) as stream:
                assert await heard(stream) == STATUS


async def changed(server: Listening, raw: Raw, reason: str) -> None:
    """Change something, and see that the server has told of it whoever could hear."""
    witness = await raw.open()
    await raw.post(message("resources/subscribe", {"uri": STATUS}), witness)
    async with raw.http.stream("GET", server.url, headers=witness) as stream:
        plan = {"name": "plan_run", "arguments": {"tests": ["asks"], "new": True, "reason": reason}}
        answer = await raw.post(message("tools/call", plan), witness)
        assert 'isError":false' in answer.text.replace(" ", "")
        await heard(stream)


async def heard(stream: Response) -> str:
    """The resource of the next notice."""
    with anyio.fail_after(20):
        async for line in stream.aiter_lines():
            said: Mapping[str, dict[str, str]] = json.loads(line.removeprefix("data:")) if line[:5] == "data:" else {}
            if "notifications/resources/updated" in said.values():
                return said["params"]["uri"]
    raise AssertionError("the stream ended")
