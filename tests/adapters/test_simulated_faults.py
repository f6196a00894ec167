"""What the simulated ComfyUI can be told to do wrong, and what only it can be made to show in a test."""

import socket
import struct
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from PIL import Image

from mcp_e2e.adapters.comfyui.workflow import Graph, freshen

from .conftest import Backend, end, graph, node, picture, prefix
from .listening import LIMIT_S, Wire, cached, files, listening, new_id, talking

Spawn = Callable[..., Backend]
OUT_OF_MEMORY = {"0.3": "torch.cuda.OutOfMemoryError", "0.33": "torch.OutOfMemoryError"}
TINY, OTHER = "simulated-tiny.safetensors", "simulated-other.safetensors"


def before_saving(class_type: str, **inputs: Any) -> Graph:
    """A picture that goes through a node of that class before it is saved."""
    middle = node(class_type, image=["1", 0], **inputs)
    return graph({**picture("x").nodes, "3": middle, "2": node("SaveImage", images=["3", 0], **prefix("faulty"))})


def modelled(file: str) -> Graph:
    slow = node("SimulatedSlow", model=["1", 0], seed=1, steps=1, seconds=0, width=64, height=64)
    loader, save = node("CheckpointLoaderSimple", ckpt_name=file), node("SaveImage", images=["2", 0], **prefix("m"))
    return graph({"1": loader, "2": slow, "3": save})


async def vram_free(server: Wire) -> int:
    found: int = (await server.http.get("/system_stats")).json()["devices"][0]["vram_free"]
    return found


async def remaining(server: Wire) -> int:
    found: int = (await server.http.get("/prompt")).json()["exec_info"]["queue_remaining"]
    return found


async def stays_undone(server: Wire, waiting: int) -> None:
    """The worker is dead: HTTP and sockets are well, a new prompt is accepted and not even begun."""
    me = new_id()
    async with listening(server.backend, me) as ear:
        assert ear.heard[0][1]["status"]["exec_info"]["queue_remaining"] == waiting
        prompt_id = await server.post(picture("late"), client_id=me)
        await ear.until("status", status={"exec_info": {"queue_remaining": waiting + 1}})
        await server.http.post("/interrupt", json={})
        await server.http.post("/free", json={"free_memory": True})
        assert await remaining(server) == waiting + 1
        await ear.all_said()
        assert ear.of(prompt_id) == []
    assert (await server.http.get("/history")).json() == {}


async def test_a_node_that_exits_leaves_a_dead_worker_behind_a_healthy_server(simulated: Backend) -> None:
    """The prompt is running for ever, and nothing more is told of it."""
    me = new_id()
    async with talking(simulated) as server, listening(simulated, me) as ear:
        prompt_id = await server.post(before_saving("SimulatedExit"), client_id=me)
        await ear.until("executing", node="3")
        await stays_undone(server, 1)
        queue = (await server.http.get("/queue")).json()
        assert [item[1] for item in queue["queue_running"]] == [prompt_id]


async def test_null_as_extra_data_kills_the_worker_of_the_oldest_version(spawn: Spawn) -> None:
    """Seen on 0.3.64: accepted with 200, and it never works again."""
    async with talking(spawn("--imitate", "0.3")) as server:
        await server.post(picture("x"), extra_data=None)
        await stays_undone(server, 1)


async def test_three_prompts_that_cannot_be_told_apart_kill_the_worker(simulated: Backend) -> None:
    """Nothing runs any more although prompts wait."""
    slow, twin = simulated.slow(1), {"prompt_id": new_id(), "number": 5}
    me = new_id()
    async with talking(simulated) as server, listening(simulated, me) as ear:
        running = await server.post(slow, client_id=me)
        await ear.until("executing", prompt_id=running)
        for name in ("a", "b", "c"):
            await server.http.post("/prompt", json={"prompt": picture(name).nodes, **twin})
        await server.http.post("/interrupt", json={})
        await server.ended(running)
        with anyio.fail_after(LIMIT_S):
            while await remaining(server) == 4:
                await anyio.sleep(0.01)
        waiting = await remaining(server)
        await server.http.post("/history", json={"clear": True})
        await stays_undone(server, waiting)
        assert (await server.http.get("/queue")).json()["queue_running"] == []


@pytest.mark.parametrize("name", OUT_OF_MEMORY.values())
async def test_out_of_memory_until_memory_is_freed(simulated: Backend, name: str) -> None:
    """The error has the class that PyTorch gives it; after a /free the same prompt succeeds."""
    work = before_saving("SimulatedOutOfMemory", until="free", exception=name)
    async with talking(simulated) as server:
        for _ in range(2):
            event, told = (await server.run(freshen(work, new_id())))["status"]["messages"][-1]
            assert (event, told["exception_type"], told["node_id"]) == ("execution_error", name, "3")
        await server.http.post("/free", json={"unload_models": True, "free_memory": True})
        await server.run(picture("meanwhile"))
        assert (await server.run(work))["status"]["status_str"] == "success"


async def test_out_of_memory_until_a_restart(spawn: Spawn) -> None:
    """No /free helps, another process on the same folder does."""
    work = before_saving("SimulatedOutOfMemory", until="restart", exception=OUT_OF_MEMORY["0.33"])
    first = spawn()
    async with talking(first) as server:
        await server.run(work)
        await server.http.post("/free", json={"unload_models": True, "free_memory": True})
        await server.run(picture("meanwhile"))
        assert (await server.run(work))["status"]["status_str"] == "error"
    end(first.process)
    async with talking(spawn()) as server:
        assert (await server.run(work))["status"]["status_str"] == "success"


async def test_a_node_may_show_text(simulated: Backend) -> None:
    """In the history under ``text``, and on the socket."""
    me, work = new_id(), graph({"1": node("SimulatedText", text="forty-two", seconds=0)})
    async with talking(simulated) as server, listening(simulated, me) as ear:
        entry = await server.run(work, client_id=me)
        assert entry["outputs"] == {"1": {"text": ["forty-two"]}}
        assert (await ear.until("executed"))["output"] == {"text": ["forty-two"]}


async def test_an_interrupt_in_the_last_node_is_lost(simulated: Backend) -> None:
    """A node that does not listen ends as if nothing had been, and so does the prompt; the next one is not stopped."""
    me, work = new_id(), graph({"1": node("SimulatedText", text="x", seconds=0.5)})
    async with talking(simulated) as server, listening(simulated, me) as ear:
        prompt_id = await server.post(work, client_id=me)
        await ear.until("executing", prompt_id=prompt_id)
        await server.http.post("/interrupt", json={"prompt_id": prompt_id})
        assert await server.entry(prompt_id) is None
        assert (await server.ended(prompt_id))["status"]["status_str"] == "success"
        assert (await server.run(picture("next")))["status"]["status_str"] == "success"


async def test_weights_take_video_memory_for_as_long_as_their_loader_is_cached(simulated: Backend) -> None:
    """Another checkpoint takes the place of the first, a workflow without one frees it, and so does unloading."""
    async with talking(simulated) as server:
        free = [await vram_free(server)]
        for work in (modelled(TINY), modelled(TINY), modelled(OTHER), picture("none"), modelled(TINY)):
            await server.run(freshen(work, new_id()))
            free.append(await vram_free(server))
        empty, full = free[0], free[1]
        assert full < empty
        assert free == [empty, full, full, full, empty, full]
        await server.http.post("/free", json={"unload_models": True})
        with anyio.fail_after(LIMIT_S):
            while await vram_free(server) != empty:
                await anyio.sleep(0.01)
        assert cached(await server.run(freshen(modelled(TINY), new_id()))) == {"1"}
        assert await vram_free(server) == full


async def test_loading_takes_the_time_it_is_given(spawn: Spawn) -> None:
    """Once; a loader from the cache costs nothing, as its own clock in the history says."""
    async with talking(spawn("--load-seconds", "0.6")) as server:
        took = []
        for _ in range(2):
            status = (await server.run(freshen(modelled(TINY), new_id())))["status"]
            took.append(status["messages"][-1][1]["timestamp"] - status["messages"][0][1]["timestamp"])
    assert took[0] >= 600 > took[1]


async def test_a_picture_that_was_overwritten_is_loaded_again(spawn: Spawn) -> None:
    """The content of the file counts, not its name."""
    backend = spawn()
    folder = backend.outputs.parent / "input"
    folder.mkdir()
    work = graph({"1": node("LoadImage", image="a.png"), "2": node("SaveImage", images=["1", 0], **prefix("l"))})
    async with talking(backend) as server:
        for colour, known in (("red", set()), ("red", {"1", "2"}), ("blue", set())):
            Image.new("RGB", (8, 8), colour).save(folder / "a.png")
            assert cached(await server.run(work)) == known
        described = (await server.http.get("/object_info/LoadImage")).json()["LoadImage"]
    assert described["input"]["required"]["image"][0] == ["a.png"]


async def test_without_a_cache_everything_runs_every_time(spawn: Spawn) -> None:
    """The loader too, and a new file is written."""
    async with talking(spawn("--cache-none")) as server:
        names = set()
        for _ in range(2):
            entry = await server.run(modelled(TINY))
            assert cached(entry) == set()
            names.add(files(entry)[0])
    assert len(names) == 2


async def test_a_longer_cache_keeps_earlier_prompts(spawn: Spawn) -> None:
    """A, B, A is answered from it, under other node ids too, until too much came between."""
    a, many = modelled(TINY), [picture("many", color) for color in range(5)]
    renamed = {f"9{name}": node(body["class_type"], **_renamed(body["inputs"])) for name, body in a.nodes.items()}
    async with talking(spawn("--cache-lru", "6")) as server:
        seen = [cached(await server.run(work)) for work in (a, picture("b"), a, graph(renamed), *many, a)]
    assert seen == [set(), set(), set(a.nodes), set(renamed), *[set()] * 6]


def _renamed(inputs: dict[str, Any]) -> dict[str, Any]:
    return {name: [f"9{value[0]}", value[1]] if isinstance(value, list) else value for name, value in inputs.items()}


@pytest.mark.parametrize("asked", [False, True])
async def test_steps_are_told_with_previews(simulated: Backend, asked: bool) -> None:
    """One progress and one picture a step; a client that asked gets the picture's facts with it, and gets it first."""
    me, steps = new_id(), 3
    work = graph(
        {
            "1": node("SimulatedSlow", seed=1, steps=steps, seconds=0, width=64, height=64),
            "2": node("SaveImage", images=["1", 0], **prefix("p")),
        }
    )
    first = [{"type": "feature_flags", "data": {"supports_preview_metadata": True}}] if asked else []
    async with talking(simulated) as server, listening(simulated, me, *first) as ear:
        prompt_id = await server.post(work, client_id=me)
        await ear.until("executing", node=None)
    told = [(kind, data) for kind, data in ear.heard if kind in ("progress", "bytes")]
    assert [kind for kind, _ in told] == (["bytes", "progress"] if asked else ["progress", "bytes"]) * steps
    progress = [data for kind, data in told if kind == "progress"]
    assert progress == [{"value": n, "max": steps, "prompt_id": prompt_id, "node": "1"} for n in (1, 2, 3)]
    frame = next(data for kind, data in told if kind == "bytes")
    kind, second = struct.unpack(">II", frame[:8])
    assert (kind, second == 1) == ((4, False) if asked else (1, True))
    assert frame[8 + (second if asked else 0) :].startswith(b"\xff\xd8\xff")
    assert (b'"node_id": "1"' in frame) is asked


async def test_sockets_are_cut_after_so_many_messages(spawn: Spawn) -> None:
    """Without a closing frame; the prompt runs on, and a new socket is welcome."""
    backend, me = spawn("--drop-sockets-after", "4"), new_id()
    async with talking(backend) as server:
        async with listening(backend, me) as ear:
            prompt_id = await server.post(picture("cut"), client_id=me)
            with anyio.fail_after(LIMIT_S):
                while not ear.closed:
                    await anyio.sleep(0.01)
        assert len(ear.heard) == 4
        assert (await server.ended(prompt_id))["status"]["status_str"] == "success"
        async with listening(backend, me) as ear:
            assert ear.heard[0][0] == "status"


async def test_all_sockets_are_cut_on_request(simulated: Backend) -> None:
    """The answer tells how many there were."""
    async with talking(simulated) as server, listening(simulated, "a") as one, listening(simulated, "b") as two:
        assert (await server.http.post("/simulated/drop-sockets")).json() == {"dropped": 2}
        with anyio.fail_after(LIMIT_S):
            while not (one.closed and two.closed):
                await anyio.sleep(0.01)
        assert (await server.http.post("/simulated/drop-sockets")).json() == {"dropped": 0}


async def test_a_body_that_is_too_large_is_refused_unread(simulated: Backend) -> None:
    """By its length alone."""
    head = f"POST /prompt HTTP/1.1\r\nHost: x\r\nContent-Length: {101 << 20}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", simulated.port), timeout=LIMIT_S) as wire:
        wire.sendall(head.encode())
        assert wire.recv(12) == b"HTTP/1.1 413"
