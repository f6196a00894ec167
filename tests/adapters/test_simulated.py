"""What only a server of one's own can show, and services of kind ``command``."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
import httpx
import pytest

from mcp_e2e.adapters import ADAPTERS
from mcp_e2e.adapters.comfyui import workflow
from mcp_e2e.adapters.comfyui.client import ComfyUI
from mcp_e2e.errors import ServiceUnavailable, Unsupported
from mcp_e2e.model.work import PromptState, Ready

from .conftest import Backend, end, free_port, graph, node, picture, prefix


async def test_a_server_that_dies_mid_prompt_is_unavailable(simulated: Backend) -> None:
    """Death is told as such, for what is followed and for what is sent afterwards."""
    async with ComfyUI(simulated.url) as client:
        prompt_id = str(uuid.uuid4())
        await client.submit(simulated.slow(1), prompt_id)
        end(simulated.process)
        with anyio.fail_after(20), pytest.raises(ServiceUnavailable):
            await client.follow(prompt_id)
        with pytest.raises(ServiceUnavailable) as refused:
            await client.submit(picture("x"), prompt_id)
        assert refused.value.facts["sent"] is False
        with pytest.raises(ServiceUnavailable):
            await client.check(simulated.slow(1))


async def test_models_stay_resident_over_fresh_runs(simulated: Backend) -> None:
    """The second fresh run takes the loader's result from the cache and executes everything else."""
    nodes = {
        "1": node("CheckpointLoaderSimple", ckpt_name="simulated-tiny.safetensors"),
        "2": node("SimulatedSlow", model=["1", 0], seed=1, steps=1, seconds=0, width=64, height=64),
        "3": node("SaveImage", images=["2", 0], **prefix("resident")),
    }
    async with ComfyUI(simulated.url) as client:
        for executed, cached in ((("1", "2", "3"), ()), (("2", "3"), ("1",))):
            prompt_id = str(uuid.uuid4())
            await client.submit(workflow.freshen(graph(nodes), prompt_id), prompt_id)
            facts = await client.follow(prompt_id)
            assert facts is not None
            assert (facts.executed, facts.cached) == (executed, cached)


async def test_the_error_node_raises_what_it_is_told(simulated: Backend) -> None:
    """The demo's red tests get a real execution error with the message of the workflow."""
    nodes = {**picture("x").nodes, "3": node("SimulatedError", image=["1", 0], message="broken on purpose")}
    nodes["2"] = node("SaveImage", images=["3", 0], **prefix("x"))
    async with ComfyUI(simulated.url) as client:
        prompt_id = str(uuid.uuid4())
        await client.submit(graph(nodes), prompt_id)
        facts = await client.follow(prompt_id)
    assert facts is not None
    assert facts.error is not None
    assert (facts.error.exception, facts.error.message) == ("ValueError", "broken on purpose")


async def test_nonsense_is_answered_in_plain_text(simulated: Backend) -> None:
    """A body that is no JSON gets status 500 and text, an id that is no UUID status 400: as on the real server."""
    async with httpx.AsyncClient(base_url=simulated.url, trust_env=False) as raw:
        assert (await raw.post("/prompt", content=b"{nope")).status_code == 500
        assert (await raw.post("/prompt", json={})).json()["error"]["type"] == "no_prompt"
        bad = await raw.post("/prompt", json={"prompt": picture("x").nodes, "prompt_id": "X"})
        assert bad.json()["error"]["type"] == "invalid_prompt_id"
        for query, status in (("filename=../x", 400), ("filename=x&subfolder=../..", 403), ("filename=x", 404)):
            assert (await raw.get(f"/view?{query}")).status_code == status


@asynccontextmanager
async def answering(reply: bytes) -> AsyncIterator[str]:
    """A port that gives everyone the same bytes."""

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            with suppress(anyio.EndOfStream):
                await stream.receive()
                await stream.send(reply)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        yield f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
        group.cancel_scope.cancel()


def http(status: int, body: bytes = b"{}") -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(body), body)


@pytest.mark.parametrize("reply", [http(200), http(200, b"[1]"), http(200, b"hello"), http(404), b"SSH-2.0\r\n\r\n"])
async def test_another_program_on_the_port_is_not_comfyui(reply: bytes) -> None:
    """Whatever else answers there, the look says in words that it is not ready, and why."""
    async with answering(reply) as url:
        health = await ADAPTERS["comfyui"].look(url, Ready())
    assert not health.answering
    assert health.detail


@pytest.mark.parametrize(("status", "ready"), [(200, True), (302, True), (401, True), (404, False), (503, False)])
async def test_a_command_service_is_ready_by_its_status(status: int, ready: bool) -> None:
    """Below 500 and not 404 counts as an answer of the application itself."""
    async with answering(http(status)) as url:
        health = await ADAPTERS["command"].look(url, Ready(http="/healthz"))
    assert health.answering is ready


async def test_a_command_service_is_ready_when_its_port_accepts() -> None:
    """Without any rule, and with tcp, the open port is enough; a closed one is told."""
    async with answering(b"") as url:
        assert (await ADAPTERS["command"].look(url, Ready(tcp=True))).answering
        assert (await ADAPTERS["command"].look(url, Ready())).answering
    closed = f"http://127.0.0.1:{free_port()}"
    for rule in (Ready(), Ready(http="/x")):
        assert (await ADAPTERS["command"].look(closed, rule)).stage == "port closed"


@pytest.mark.parametrize("rule", [Ready(log="up"), Ready(exec=("true",))])
async def test_unbuilt_ways_of_being_ready_are_refused(rule: Ready) -> None:
    """Better refused than never ready."""
    with pytest.raises(Unsupported, match="can be seen only of a service that is started here"):
        await ADAPTERS["command"].look("http://127.0.0.1:1", rule)


async def test_a_finished_prompt_is_done_and_no_longer_queued(simulated: Backend) -> None:
    """The state is never unknown between the queue and the history."""
    seen = set()
    async with ComfyUI(simulated.url) as client:
        for _ in range(10):
            prompt_id = str(uuid.uuid4())
            await client.submit(picture("quick"), prompt_id)
            with anyio.fail_after(10):
                while (state := await client.state(prompt_id)) is not PromptState.DONE:
                    seen.add(state)
    assert PromptState.UNKNOWN not in seen
