"""A small picture of a large one, over MCP, in both protocol eras."""

import base64
import io
import json
import sys

import pytest
from mcp import MCPError
from PIL import Image

from tests.entrypoints.wire import serving

PAINTS = """
import os, pathlib, random
from PIL import Image

from tests.entrypoints.wire import serving
out = pathlib.Path(os.environ["MCP_E2E_OUTPUT_DIR"])
noise = Image.frombytes("RGB", (900, 600), random.Random(1).randbytes(900 * 600 * 3))
(out / "in a").mkdir()
noise.save(out / "in a" / "bild ü.png")
(out / "note.txt").write_text("no picture")
(out / "cut.png").write_bytes(b"\\x89PNG\\r\\n\\x1a\\n and no more")
(out / "empty.png").touch()
"""


@pytest.fixture
def paints(project) -> None:
    """A test that leaves a picture of pure noise, the worst to compress, and three files that are none."""
    (project / "paints.py").write_text(PAINTS)
    command = json.dumps([sys.executable, "paints.py"])
    with (project / "mcp-e2e.toml").open("a") as config:
        config.write(f'\n[[tests]]\nid = "paints"\ncommand = {command}\n')


async def test_a_thumbnail_is_read_by_its_address(connect, meet, paints) -> None:
    """An image of at most 256 pixels and 20,000 bytes; what is no picture is an error that says so. The answer links to
    the whole pictures."""
    async with connect() as client:
        agent = await meet(client)
        result = await agent.call("run_test", test="paints")
        attempt = result.structured_content
        links = {each.name: (each.uri, each.mime_type, each.size) for each in result.content[1:]}
        assert links == {
            each["name"]: (each["uri"], "image/png", each["bytes"])
            for each in attempt["evidence"]["artifacts"]
            if each["name"].endswith(".png")
        }
        assert len(links) == 3
        uris = {each["name"]: each["uri"] for each in attempt["evidence"]["artifacts"]}
        templates = [each.uri_template for each in (await client.list_resource_templates()).resource_templates]
        assert "e2e://attempts/{attempt}/artifacts/{name}/thumbnail" in templates

        content = (await client.read_resource(f"{uris['in a/bild ü.png']}/thumbnail")).contents[0]
        data = base64.b64decode(content.blob)
        small = Image.open(io.BytesIO(data))
        assert (content.mime_type, small.format) == ("image/jpeg", "JPEG")
        assert (max(small.size) <= 256, len(data) <= 20_000) == (True, True)

        for name in ("note.txt", "cut.png", "empty.png"):
            with pytest.raises(MCPError, match="cannot be read as an image") as caught:
                await client.read_resource(f"{uris[name]}/thumbnail")
            assert caught.value.code == -32603
        with pytest.raises(MCPError) as missing:
            await client.read_resource(f"e2e://attempts/{attempt['attempt']}/artifacts/none.png/thumbnail")
        assert missing.value.code == -32602
        await agent.does("stop_session")


async def test_a_client_from_before_links_gets_none(environ, project, paints, cli) -> None:
    """2024-11-05 knows of no resource_link; the pictures stand in the evidence all the same."""
    async with serving(environ, project) as wire:
        hello = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "old", "version": "1"}}
        assert (await wire.ask("initialize", hello))["result"]["protocolVersion"] == "2024-11-05"
        await wire.say({"jsonrpc": "2.0", "method": "notifications/initialized"})
        result = (await wire.ask("tools/call", {"name": "run_test", "arguments": {"test": "paints"}}))["result"]
        assert [block["type"] for block in result["content"]] == ["text"]
        assert "bild ü.png" in result["content"][0]["text"]
