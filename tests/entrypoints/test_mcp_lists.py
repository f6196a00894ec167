"""Lists come in pages, typed names are completed, and a client may keep what does not change."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mcp import Client, MCPError
from mcp.types import PaginatedRequestParams, PromptReference, ResourceTemplateReference

from mcp_e2e.bootstrap import Options
from mcp_e2e.entrypoints.mcp.pages import page
from mcp_e2e.entrypoints.mcp.server import build_server, opens


@pytest.fixture
async def client(era: str, project: Path, environ: dict[str, str]) -> AsyncIterator[Client]:
    server = build_server(opens(Options(project=project), environ))
    async with Client(server, mode=era, raise_exceptions=False) as connected:
        yield connected


def test_pages_join_to_the_whole_list() -> None:
    """Whatever the size; the last page has no cursor."""
    items = list(range(7))
    for size in (1, 2, 3, 7, 9):
        joined, cursor, pages = [], None, 0
        while cursor is not None or not pages:
            part, cursor = page(items, PaginatedRequestParams(cursor=cursor), size)
            joined, pages = joined + part, pages + 1
        assert (joined, pages) == (items, -(-len(items) // size))


@pytest.mark.parametrize(
    "cursor", ["", "x", "from-", "from-0", "from-7", "from--1", "from-٣", "3", "from-" + "9" * 5000]
)
def test_a_cursor_that_nobody_gave_out_is_an_error(cursor: str) -> None:
    """Not an empty page, which would look like the end of the list."""
    with pytest.raises(MCPError) as raised:
        page(list(range(7)), PaginatedRequestParams(cursor=cursor), 3)
    assert raised.value.code == -32602


async def test_every_list_refuses_a_strange_cursor(client: Client) -> None:
    """Over the wire as invalid parameters."""
    for ask in (client.list_tools, client.list_prompts, client.list_resources, client.list_resource_templates):
        assert (await ask()).next_cursor is None
        with pytest.raises(MCPError, match="unknown cursor 'page-2'"):
            await ask(cursor="page-2")


async def test_what_does_not_change_may_be_kept(client: Client, era: str) -> None:
    """2026-07-28 says for how long; what a resource reads is stale at once, and nobody else's."""
    if era == "legacy":
        pytest.skip("before 2026-07-28 an answer has no time to live")
    for ask in (client.list_tools, client.list_prompts, client.list_resources, client.list_resource_templates):
        listed = await ask()
        assert (listed.ttl_ms, listed.cache_scope) == (3_600_000, "public")
    read = await client.read_resource("e2e://status")
    assert (read.ttl_ms, read.cache_scope) == (0, "private")


async def completed(client: Client, ref: object, name: str, value: str, **given: str) -> list[str]:
    result = await client.complete(ref, {"name": name, "value": value}, context_arguments=given or None)
    assert result.completion.total == len(result.completion.values)
    return result.completion.values


async def test_names_are_completed(client: Client) -> None:
    """Of tests in prompts, of runs, services, jobs, attempts and artifacts in addresses; first what begins so."""
    prompt = PromptReference(name="debug-failure")
    assert await completed(client, prompt, "test", "") == ["asks", "waits", "breaks-1", "breaks-2", "breaks-3"]
    assert await completed(client, prompt, "test", "A") == ["asks", "waits", "breaks-1", "breaks-2", "breaks-3"]
    assert await completed(client, prompt, "test", "break") == ["breaks-1", "breaks-2", "breaks-3"]
    assert await completed(client, prompt, "hint", "") == []
    assert await completed(client, PromptReference(name="run-e2e"), "tests", "wa") == ["waits"]

    done = (await client.call_tool("run_test", {"test": "breaks-1"})).structured_content
    await client.call_tool("stop_session", {})
    run, attempt = done["position"]["run"], done["attempt"]
    runs = ResourceTemplateReference(uri="e2e://runs/{run}/report")
    assert await completed(client, runs, "run", "r-") == [run]
    artifact = ResourceTemplateReference(uri="e2e://attempts/{attempt}/artifacts/{name}")
    assert await completed(client, artifact, "attempt", "") == [attempt]
    assert await completed(client, artifact, "name", "", attempt=attempt) == []
    assert await completed(client, ResourceTemplateReference(uri="e2e://sessions/{service}/log"), "service", "") == [
        "api"
    ]
    assert await completed(client, ResourceTemplateReference(uri="e2e://jobs/{job}/log"), "job", "") != []


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        (PromptReference(name="nope"), "test"),
        (PromptReference(name="debug-failure"), "nope"),
        (ResourceTemplateReference(uri="e2e://nope/{run}"), "run"),
    ],
)
async def test_what_nobody_knows_has_no_completions(client: Client, ref: object, name: str) -> None:
    """A prompt, a template or an argument that is not there: whoever types wants no error."""
    assert await completed(client, ref, name, "") == []
