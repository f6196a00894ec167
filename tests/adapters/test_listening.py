"""What a listener hears of its own prompt, on the simulated and on a real ComfyUI."""

import json
import uuid

import anyio
import httpx
import pytest

from mcp_e2e.adapters.comfyui import workflow
from mcp_e2e.adapters.comfyui.client import ComfyUI
from mcp_e2e.adapters.comfyui.listening import Listener
from mcp_e2e.model.work import PromptState

from .conftest import Backend, free_port, graph, node, picture, prefix

pytestmark = pytest.mark.timeout(240)
WAIT_S = 60.0


def new_id() -> str:
    return str(uuid.uuid4())


def chain(backend: Backend) -> workflow.Graph:
    """Three nodes, the second of which takes its time."""
    nodes = picture("heard").nodes | {"2": node("SaveImage", images=["3", 0], **prefix("heard"))}
    if backend.kind == "simulated":
        nodes["1"] = node("SimulatedSlow", seed=1, steps=5, seconds=0.5, width=64, height=64)
    nodes["3"] = node("ImageScale", image=["1", 0], upscale_method="lanczos", width=512, height=512, crop="disabled")
    return workflow.freshen(graph(dict(nodes)), new_id())


async def until_ended(listener: Listener) -> list[str]:
    """All that was said of the progress until the end was heard."""
    said: list[str] = []
    with anyio.fail_after(WAIT_S):
        while not listener.ended:
            await listener.wait(0.01)
            if (now := listener.progress()) and now not in said:
                said.append(now)
    return said


async def test_start_nodes_and_end_of_our_prompt_are_heard(comfyui: Backend) -> None:
    """Nodes are named with their class and counted; after the end the history has it within a second."""
    work, prompt_id = chain(comfyui), new_id()
    async with ComfyUI(comfyui.url) as client, client.listening(prompt_id, work) as listener:
        await client.submit(work, prompt_id, await listener.address())
        assert listener.hears_us
        said = await until_ended(listener)
        with anyio.fail_after(WAIT_S):
            while (facts := await client.history(prompt_id)) is None:
                await anyio.sleep(0.01)
    assert listener.started
    assert facts.status == "success"
    assert any("(SaveImage)" in line for line in said), said
    assert said[-1].endswith("3 of 3 nodes done"), said


async def test_a_node_that_raises_is_an_end_too(comfyui: Backend) -> None:
    """Ended is heard, whatever it was."""
    work = graph({**picture("x").nodes, "2": node("SaveImage", images=["1", 0], **prefix("../../evil/x"))})
    prompt_id = new_id()
    async with ComfyUI(comfyui.url) as client, client.listening(prompt_id, work) as listener:
        await client.submit(workflow.freshen(work, new_id()), prompt_id, await listener.address())
        await until_ended(listener)


async def test_of_a_prompt_that_is_not_ours_nothing_is_taken_for_ours(comfyui: Backend) -> None:
    """The server tells everybody of the steps of a prompt that was posted without a client id."""
    async with ComfyUI(comfyui.url) as client, client.listening(new_id()) as listener:
        await listener.address()
        other = new_id()
        body = {"prompt": chain(comfyui).nodes, "prompt_id": other}
        async with httpx.AsyncClient(base_url=comfyui.url, trust_env=False) as http:
            (await http.post("/prompt", json=body)).raise_for_status()
        with anyio.fail_after(WAIT_S):
            while await client.state(other) is not PromptState.DONE:
                await anyio.sleep(0.01)
    assert (listener.started, listener.ended, listener.progress()) == (False, False, None)


async def test_a_cut_connection_is_made_again_under_another_id(simulated: Backend) -> None:
    """Of the running prompt it hears no more; the end is found by asking."""
    work, prompt_id = chain(simulated), new_id()
    async with ComfyUI(simulated.url) as client, client.listening(prompt_id, work) as listener:
        address = await listener.address()
        await client.submit(work, prompt_id, address)
        async with httpx.AsyncClient(base_url=simulated.url, trust_env=False) as http:
            (await http.post("/simulated/drop-sockets")).raise_for_status()
        with anyio.fail_after(WAIT_S):
            while listener.connections < 2:
                await listener.wait(0.05)
            assert listener.client_id != address
            assert not listener.hears_us
            while await client.state(prompt_id) is not PromptState.DONE:
                await listener.wait(0.05)
    assert not listener.ended


async def test_the_end_that_older_servers_tell_is_understood() -> None:
    """No node executes any more; a node that begins is no end."""
    async with httpx.AsyncClient() as http:
        listener = Listener(http, "p")
        for node_id, ended in (("3", False), (None, True)):
            listener._hear(json.dumps({"type": "executing", "data": {"node": node_id, "prompt_id": "p"}}))
            assert listener.ended is ended


async def test_without_a_socket_there_is_an_address_all_the_same() -> None:
    """A server that is not there raises nothing here: asking it will."""
    async with ComfyUI(f"http://127.0.0.1:{free_port()}") as client, client.listening(new_id()) as listener:
        assert (await listener.address()).startswith("mcp_e2e-")
        assert not listener.hears_us


async def test_what_custom_nodes_send_harms_nobody() -> None:
    """Endless numbers, words for numbers and states that are none are no progress; what is right is still heard."""
    async with httpx.AsyncClient() as http:
        listener = Listener(http, "p")
        said = [{"value": "x", "max": None}, {"value": float("inf"), "max": 3}]
        events = [("progress", {"node": "1", **each}) for each in said]
        events += [("progress_state", {"nodes": {"1": ["finished"], "2": None}}), ("progress_state", {"nodes": 7})]
        for kind, data in events:
            listener._hear(json.dumps({"type": kind, "data": {"prompt_id": "p", **data}}))
        listener._hear("[]")
        assert listener.progress() == "node 1"
        listener._hear(
            json.dumps({"type": "progress", "data": {"prompt_id": "p", "node": "1", "value": 2.0, "max": 9}})
        )
        assert listener.progress() == "node 1: step 2/9"
