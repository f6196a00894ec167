"""What a ComfyUI says on its sockets, and what it remembers: raw, one suite for simulated and real, version by version.

What differs between versions stands in ``differences.py``, nowhere else.
"""

import socket
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from mcp_e2e.adapters.comfyui.workflow import FRESH_INPUT, Graph, freshen

from .conftest import SCALED, Backend, graph, node, picture, prefix
from .differences import differs
from .listening import LIMIT_S, Ear, Wire, cached, files, listening, new_id, talking

pytestmark = pytest.mark.timeout(240)

QUEUED = ["status", "status"]
BEGUN = ["execution_start", "execution_cached"]
QUIET_NODE = ["progress_state", "executing", "progress_state"]
SHOWING_NODE = ["progress_state", "executing", "executed", "progress_state"]
OVER = ["status", "executing"]


@pytest.fixture
async def server(wire: Backend) -> AsyncIterator[Wire]:
    async with talking(wire) as opened:
        yield opened
        await opened.quiet()


def fresh(name: str) -> Graph:
    """A picture that the server has not made before."""
    return freshen(picture(name), new_id())


def types(said: list[tuple[str, Any]]) -> list[str]:
    return [kind for kind, _ in said]


async def test_a_socket_is_greeted_with_the_queue_and_its_id(wire: Backend) -> None:
    """Without a client id the server thinks one up."""
    me = new_id()
    for client_id in (me, ""):
        async with listening(wire, client_id) as ear:
            ((kind, data),) = await ear.all_said()
            assert kind == "status"
            assert data["status"] == {"exec_info": {"queue_remaining": 0}}
            assert data["sid"] == me if client_id else len(data["sid"]) >= 32


async def test_the_messages_of_a_plain_prompt(server: Wire) -> None:
    """Their order, their fields, and a history entry that exists when the last one comes."""
    me = new_id()
    async with listening(server.backend, me) as ear:
        prompt_id = await server.post(fresh("plain"), client_id=me)
        await ear.until("executing", node=None, prompt_id=prompt_id)
        entry = await server.entry(prompt_id)
        said = ear.heard[1:]
    assert types(said) == [*QUEUED, *BEGUN, *QUIET_NODE, *SHOWING_NODE, "execution_success", *OVER]
    data = [body for _, body in said]
    assert data[0] == data[1] == {"status": {"exec_info": {"queue_remaining": 1}}}
    assert set(data[2]) == {"prompt_id", "timestamp"}
    assert data[3]["nodes"] == []
    state = {
        "node_id": "1",
        "prompt_id": prompt_id,
        "display_node_id": "1",
        "parent_node_id": None,
        "real_node_id": "1",
    }
    begun, done = {"value": 0, "max": 1, "state": "running"}, {"value": 1, "max": 1, "state": "finished"}
    assert data[4] == {"prompt_id": prompt_id, "nodes": {"1": {**state, **begun}}}
    assert data[5] == {"node": "1", "display_node": "1", "prompt_id": prompt_id}
    assert data[6] == {"prompt_id": prompt_id, "nodes": {"1": {**state, **done}}}
    assert set(data[7]["nodes"]) == {"1", "2"}
    image = {"filename": "plain_00001_.png", "subfolder": "", "type": "output"}
    assert data[9] == {"node": "2", "display_node": "2", "output": {"images": [image]}, "prompt_id": prompt_id}
    assert data[12] == {"status": {"exec_info": {"queue_remaining": 0}}}
    assert data[13] == {"node": None, "prompt_id": prompt_id}
    assert entry is not None
    assert entry["outputs"] == {"2": data[9]["output"]}
    assert entry["status"]["messages"] == [[kind, body] for kind, body in said if kind.startswith("execution_")]
    assert entry["meta"] == {"2": {"node_id": "2", "display_node": "2", "parent_node": None, "real_node_id": "2"}}
    number, known, nodes, extra, outputs, *_ = entry["prompt"]
    assert (known, nodes["2"]["class_type"], outputs) == (prompt_id, "SaveImage", ["2"])
    assert isinstance(number, int)
    assert extra["client_id"] == me
    assert ("create_time" in extra) is differs("extra_data has create_time", server.backend)


async def test_the_history_may_come_after_the_success_but_not_after_the_last_message(server: Wire) -> None:
    """Whoever looks at execution_success may find nothing; at the executing of no node it is always there."""
    me = new_id()
    async with listening(server.backend, me) as ear:
        for _ in range(5):
            prompt_id = await server.post(fresh("gap"), client_id=me)
            await ear.until("execution_success", prompt_id=prompt_id)
            early = await server.entry(prompt_id)
            await ear.until("executing", node=None, prompt_id=prompt_id)
            late = await server.entry(prompt_id)
            assert late is not None
            assert early in (None, late)


async def test_a_cached_repeat_shows_the_old_output_again(server: Wire) -> None:
    """Nothing executes, no file is written, and the output node is shown all the same, also in the history."""
    me, work = new_id(), fresh("again")
    async with listening(server.backend, me) as ear:
        first = await server.run(work, client_id=me)
        before = server.backend.saved()
        prompt_id = await server.post(work, client_id=me)
        await ear.until("executing", node=None, prompt_id=prompt_id)
        said = ear.of(prompt_id)
    repeat = await server.ended(prompt_id)
    assert types(said) == [*BEGUN, "executed", "progress_state", "execution_success", "executing"]
    assert set(said[1][1]["nodes"]) == {"1", "2"}
    assert list(said[3][1]["nodes"]) == ["2"]
    assert repeat["outputs"] == first["outputs"] == {"2": said[2][1]["output"]}
    assert repeat["status"]["status_str"] == "success"
    assert server.backend.saved() == before


async def test_a_node_that_raises(server: Wire) -> None:
    """The error comes in place of the node's end, then the queue and the last message as ever."""
    me = new_id()
    broken = graph({**picture("x").nodes, "2": node("SaveImage", images=["1", 0], **prefix("../../evil"))})
    async with listening(server.backend, me) as ear:
        prompt_id = await server.post(freshen(broken, new_id()), client_id=me)
        await ear.until("executing", node=None, prompt_id=prompt_id)
        said = ear.of(prompt_id)
    assert types(said) == [*BEGUN, *QUIET_NODE, "progress_state", "executing", "execution_error", "executing"]
    error = said[-2][1]
    about = {"prompt_id", "node_id", "node_type", "executed", "exception_message", "exception_type", "traceback"}
    assert set(error) == about | {"current_inputs", "current_outputs", "timestamp"}
    assert (error["node_id"], error["node_type"], error["executed"]) == ("2", "SaveImage", ["1"])
    assert error["exception_message"].endswith("\n")
    assert all(isinstance(line, str) for line in error["traceback"])
    entry = await server.ended(prompt_id)
    assert (entry["outputs"], entry["meta"]) == ({}, {})
    assert (entry["status"]["status_str"], entry["status"]["completed"]) == ("error", False)
    assert entry["status"]["messages"][-1] == ["execution_error", error]


async def test_an_interrupt_is_an_error_told_apart_by_its_last_message(server: Wire) -> None:
    """What had run stays in the cache for the retry; the status says error and the last message says interrupted."""
    me = new_id()
    async with listening(server.backend, me) as ear:
        prompt_id = await server.post(server.backend.slow(3), client_id=me)
        running = await ear.until("executing", prompt_id=prompt_id)
        reply = await server.http.post("/interrupt", json={"prompt_id": prompt_id})
        assert (reply.status_code, reply.content) == (200, b"")
        told = await ear.until("execution_interrupted", prompt_id=prompt_id)
        await ear.until("executing", node=None, prompt_id=prompt_id)
    assert set(told) == {"prompt_id", "node_id", "node_type", "executed", "timestamp"}
    assert told["node_type"] == server.backend.slow(3).class_of(told["node_id"])
    assert running["node"] == told["node_id"] or running["node"] in told["executed"]
    status = (await server.ended(prompt_id))["status"]
    assert (status["status_str"], status["completed"]) == ("error", False)
    assert status["messages"][-1] == ["execution_interrupted", told]


async def test_interrupts_that_hit_nothing(server: Wire) -> None:
    """Idle, of an unknown prompt or of a waiting one: status 200, and nothing is stopped."""
    waiting, me = new_id(), new_id()
    async with listening(server.backend, me) as ear:
        for body in ({}, {"prompt_id": new_id()}):
            assert (await server.http.post("/interrupt", json=body)).status_code == 200
        assert (await server.http.post("/interrupt")).status_code == 200
        assert (await server.run(fresh("idle"), client_id=me))["status"]["status_str"] == "success"
        slow = await server.post(server.backend.slow(4), client_id=me)
        await ear.until("executing", prompt_id=slow)
        await server.post(fresh("waiting"), client_id=me, prompt_id=waiting)
        await server.http.post("/interrupt", json={"prompt_id": waiting})
        await server.http.post("/interrupt", json={"prompt_id": new_id()})
        assert "execution_interrupted" not in await ear.next_of(slow, 8)  # on a real one, two nodes and more
        await server.http.post("/interrupt", json={})
        assert (await server.ended(slow))["status"]["messages"][-1][0] == "execution_interrupted"
        assert (await server.ended(waiting))["status"]["status_str"] == "success"


async def test_without_client_id_only_progress_and_an_interrupt_are_told(server: Wire) -> None:
    """And they are told to everybody; a cached repeat may leave the history without outputs."""
    work = fresh("nobody")
    async with listening(server.backend, new_id()) as one, listening(server.backend, new_id()) as two:
        first, second = await server.post(work), await server.post(work)
        entries = [await server.ended(first), await server.ended(second)]
        slow = await server.post(server.backend.slow(5))
        await one.until("progress_state", prompt_id=slow)
        await server.http.post("/interrupt", json={"prompt_id": slow})
        for ear in (one, two):
            await ear.until("execution_interrupted", prompt_id=slow)
            assert types(ear.of(first)) == ["progress_state"] * 4
            assert types(ear.of(second)) == ["progress_state"]
            assert set(types(ear.of(slow))) <= {"progress_state", "progress", "execution_interrupted"}
        await server.ended(slow)
    assert entries[0]["outputs"]
    told = differs("a cached repeat without client_id has outputs", server.backend)
    assert entries[1]["outputs"] == (entries[0]["outputs"] if told else {})


async def test_of_two_sockets_each_hears_its_own_prompts(server: Wire) -> None:
    """The queue's length goes to everybody, all else only to the socket of the prompt's client id."""
    ours, theirs = new_id(), new_id()
    async with listening(server.backend, ours) as us, listening(server.backend, theirs) as them:
        mine = await server.post(fresh("ours"), client_id=ours)
        await us.until("executing", node=None, prompt_id=mine)
        lost = await server.post(fresh("unheard"), client_id=new_id())
        assert (await server.ended(lost))["status"]["status_str"] == "success"
        other = await server.post(fresh("theirs"), client_id=theirs)
        await them.until("executing", node=None, prompt_id=other)
        await us.all_said()
    assert {data["prompt_id"] for kind, data in us.heard if kind != "status"} == {mine}
    assert {data["prompt_id"] for kind, data in them.heard if kind != "status"} == {other}
    counts = [[data["status"]["exec_info"] for kind, data in ear.heard if kind == "status"] for ear in (us, them)]
    assert counts[0] == counts[1]


async def test_a_new_socket_takes_over_and_the_old_one_silences_it_when_it_ends(server: Wire) -> None:
    """It is told which node runs but not of which prompt, and nothing is replayed. Ending a socket stops nothing."""
    me = new_id()
    async with listening(server.backend, me) as old:
        slow = await server.post(server.backend.slow(6), client_id=me)
        await old.until("executing", prompt_id=slow)
        async with listening(server.backend, me) as new:
            late = await new.until("executing")
            assert set(late) == {"node"}
            assert late["node"] in server.backend.slow(6).nodes
            assert [kind for kind in types(new.heard) if kind.startswith("execution")] == []
            await new.next_of(slow, 1)
            heard = len(await old.all_said())
            await new.next_of(slow, 2)
            assert len(await old.all_said()) == heard
            await old.session.close()
            assert await server.entry(slow) is None
            await server.http.post("/interrupt", json={"prompt_id": slow})
            assert (await server.ended(slow))["status"]["messages"][-1][0] == "execution_interrupted"
            await falls_silent(server, me, new)


async def falls_silent(server: Wire, client_id: str, ear: Ear) -> None:
    """Soon two prompts of that client end of which its socket heard nothing, not even the length of the queue."""
    silent = 0
    with anyio.fail_after(LIMIT_S):
        while silent < 2:
            known = len(await ear.all_said())
            await server.run(fresh("deaf"), client_id=client_id)
            silent = silent + 1 if len(await ear.all_said()) == known else 0


async def test_a_socket_that_is_not_read_holds_up_all_others(server: Wire) -> None:
    """Prompts run on and HTTP answers, but nobody is told anything until it is closed."""
    deaf, me, length = new_id(), new_id(), 250
    scaled = {str(n): node("ImageScale", image=[str(n - 1), 0], **SCALED) for n in range(2, length)}
    save = node("SaveImage", images=[str(length - 1), 0], **prefix("long"))
    long = freshen(graph({"1": picture("").nodes["1"], **scaled, str(length): save}), new_id())
    async with listening(server.backend, me) as ear:
        with socket.create_connection(("127.0.0.1", server.backend.port)) as unread:
            unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            request = f"GET /ws?clientId={deaf} HTTP/1.1\r\nHost: 127.0.0.1:{server.backend.port}\r\n{upgrade}{key}\r\n"
            unread.sendall(request.encode())
            assert unread.recv(12) == b"HTTP/1.1 101"
            await server.run(long, client_id=deaf)
            prompt_id = await server.post(fresh("held"), client_id=me)
            assert (await server.ended(prompt_id))["status"]["status_str"] == "success"
            await ear.all_said()
            held = ear.of(prompt_id)
        await ear.until("executing", node=None, prompt_id=prompt_id)
    assert held == []


async def test_features_are_told_in_a_first_message_only(wire: Backend) -> None:
    """The server answers with its own; what comes later is not answered."""
    flags = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}
    async with listening(wire, new_id(), flags, flags) as ear:
        told = await ear.until("feature_flags")
        await ear.all_said()
    assert told["supports_preview_metadata"] is True
    assert told["max_upload_size"] == 100 << 20
    assert types(ear.heard) == ["status", "feature_flags"]


async def test_an_extra_input_makes_all_run_again_while_the_model_stays(server: Wire) -> None:
    """Cache truth: marked anew, every node but the loader executes and a new file appears, each time.

    Also when the last file was deleted; unmarked nothing executes, and a deleted file does not come back.
    """
    work = server.backend.loading(f"marked-{new_id()[:8]}")
    marked = set(work.nodes) - {"1"}
    await server.run(freshen(work, new_id()), client_id="x")
    for _ in range(3):
        before = server.backend.saved()
        entry = await server.run(again := freshen(work, new_id()), client_id="x")
        assert cached(entry) == {"1"}
        assert server.backend.saved() - before == set(files(entry))
    for path in server.backend.outputs.rglob("marked-*.png"):
        path.unlink()
    entry = await server.run(again, client_id="x")
    assert (cached(entry), len(files(entry))) == ({"1", *marked}, 1)
    assert files(entry)[0] not in server.backend.saved()
    entry = await server.run(freshen(work, new_id()), client_id="x")
    assert cached(entry) == {"1"}
    assert files(entry)[0] in server.backend.saved()


async def test_a_mark_on_one_node_runs_it_and_what_it_feeds(server: Wire) -> None:
    """Nothing else; on the output node alone it only saves once more."""
    work = freshen(server.backend.loading(f"one-{new_id()[:8]}"), new_id())
    await server.run(work, client_id="x")
    for name, runs in (("2", {"2", "3", "4"}), ("3", {"3", "4"}), ("4", {"4"})):
        body = work.nodes[name]
        work = graph({**work.nodes, name: {**body, "inputs": {**body["inputs"], FRESH_INPUT: new_id()}}})
        entry = await server.run(work, client_id="x")
        assert set(work.nodes) - cached(entry) == runs


async def test_only_the_latest_prompt_is_remembered(server: Wire) -> None:
    """A, B, A: the third executes afresh, and a workflow in between that loads nothing costs the other its model."""
    a, b = fresh("a"), fresh("b")
    for work in (a, b, a):
        assert cached(await server.run(work, client_id="x")) == set()
    loading = server.backend.loading("between")
    for _ in range(2):
        await server.run(fresh("nothing"), client_id="x")
        assert cached(await server.run(freshen(loading, new_id()), client_id="x")) == set()


async def test_free_memory_is_granted_after_the_running_prompt(server: Wire) -> None:
    """It is accepted at once. Until then, and after unloading models alone, what was finished stays for the retry."""
    me, known = new_id(), []
    await server.run(fresh("before"))
    async with listening(server.backend, me) as ear:
        for wish in (None, "unload_models", "free_memory", None):
            slow = await server.post(server.backend.slow(7), client_id=me)
            await ear.until("executing", prompt_id=slow, node=lambda node: node != "0")
            if wish:
                reply = await server.http.post("/free", json={wish: True})
                assert (reply.status_code, reply.content) == (200, b"")
                assert await server.entry(slow) is None
            await server.http.post("/interrupt", json={"prompt_id": slow})
            known.append("0" in cached(await server.ended(slow)))
    assert known == [False, True, True, False]


async def test_the_lowest_number_runs_first_and_a_deleted_prompt_is_never_heard_of(server: Wire) -> None:
    """front goes before all that came without a number; an explicit number decides; the running one is left alone."""
    me = new_id()
    async with listening(server.backend, me) as ear:
        slow = await server.post(server.backend.slow(8), client_id=me)
        await ear.until("executing", prompt_id=slow)
        plain, gone = await server.post(fresh("p"), client_id=me), await server.post(fresh("g"), client_id=me)
        front = await server.post(fresh("f"), client_id=me, front=True)
        numbered = await server.post(fresh("n"), client_id=me, number=-1e6)
        queue = (await server.http.get("/queue")).json()
        assert [item[1] for item in queue["queue_running"]] == [slow]
        assert [item[1] for item in sorted(queue["queue_pending"])] == [numbered, front, plain, gone]
        reply = await server.http.post("/queue", json={"delete": [gone, slow, new_id()]})
        assert (reply.status_code, reply.content) == (200, b"")
        await server.http.post("/interrupt", json={"prompt_id": slow})
        await ear.until("executing", node=None, prompt_id=plain)
        started = [data["prompt_id"] for kind, data in ear.heard if kind == "execution_start"]
        assert ear.of(gone) == []
    assert started == [slow, numbered, front, plain]
    assert await server.entry(gone) is None


async def test_clearing_the_queue_spares_what_runs(server: Wire) -> None:
    """And every socket hears of the shorter queue."""
    me = new_id()
    async with listening(server.backend, me) as ear:
        slow = await server.post(server.backend.slow(9), client_id=me)
        await ear.until("executing", prompt_id=slow)
        waiting = [await server.post(fresh("w"), client_id=me) for _ in range(2)]
        await ear.until("status", status={"exec_info": {"queue_remaining": 3}})
        await server.http.post("/queue", json={"clear": True})
        with anyio.fail_after(LIMIT_S):
            while (await server.http.get("/prompt")).json() != {"exec_info": {"queue_remaining": 1}}:
                await anyio.sleep(0.01)
        await server.http.post("/interrupt", json={"prompt_id": slow})
        await ear.until("executing", node=None, prompt_id=slow)
        lengths = [data["status"]["exec_info"]["queue_remaining"] for kind, data in ear.heard if kind == "status"]
    assert lengths == [0, 1, 1, 2, 3, 1, 0]
    assert [await server.entry(prompt_id) for prompt_id in waiting] == [None, None]
