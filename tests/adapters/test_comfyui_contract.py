"""One suite for the simulated and the real ComfyUI: what the adapter says of either must be true of both."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest

from mcp_e2e.adapters import ADAPTERS
from mcp_e2e.adapters.comfyui import workflow
from mcp_e2e.adapters.comfyui.client import ComfyUI
from mcp_e2e.adapters.comfyui.collecting import collect
from mcp_e2e.adapters.comfyui.looking import look
from mcp_e2e.errors import NotFound, ServiceUnavailable, SetupError
from mcp_e2e.model.work import OutputFile, PromptFacts, PromptState, Ready

from .conftest import Backend, free_port, graph, node, picture, prefix

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
async def client(comfyui: Backend) -> AsyncIterator[ComfyUI]:
    async with ComfyUI(comfyui.url) as opened:
        yield opened


def new_id() -> str:
    return str(uuid.uuid4())


async def run(client: ComfyUI, work: workflow.Graph) -> PromptFacts:
    prompt_id = new_id()
    with anyio.fail_after(60):
        await client.submit(work, prompt_id)
        facts = await client.follow(prompt_id, poll_s=0.02)
    assert facts is not None
    return facts


async def reaches(client: ComfyUI, prompt_id: str, wanted: PromptState) -> None:
    with anyio.fail_after(30):
        while await client.state(prompt_id) is not wanted:
            await anyio.sleep(0.02)


async def test_look_tells_version_device_and_whose_server_it_is(comfyui: Backend) -> None:
    """A ready server names its version, device and flags, and the simulated one says that it is simulated."""
    health = await ADAPTERS["comfyui"].look(comfyui.url, Ready())
    assert (health.answering, health.stage) == (True, "ready")
    assert health.version is not None
    assert ("simulated" in health.version) == (comfyui.kind == "simulated")
    assert health.device is not None
    assert health.device.vram_total > 0
    assert health.argv is not None
    assert str(comfyui.port) in health.argv


async def test_look_at_a_closed_port_is_a_fact() -> None:
    """Nothing listening is no exception but a health that says so."""
    health = await look(f"http://127.0.0.1:{free_port()}")
    assert (health.answering, health.stage) == (False, "port closed")


async def test_three_freshened_runs_of_one_workflow_write_three_new_files(
    comfyui: Backend, client: ComfyUI, tmp_path: Path
) -> None:
    """Freshened, the same workflow executes every time and its file comes home with size and blankness."""
    before, names = comfyui.saved(), set()
    for n in range(3):
        facts = await run(client, workflow.freshen(picture("fresh"), new_id()))
        home = await collect(client, facts.fresh_outputs, tmp_path / str(n))
        assert (facts.status, facts.executed, facts.cached, home.problems) == ("success", ("1", "2"), (), ())
        (artifact,) = home.artifacts
        assert artifact.image is not None
        assert (artifact.image.width, artifact.image.height, artifact.image.blank) == (64, 48, True)
        assert artifact.path.stat().st_size == artifact.bytes > 0
        assert artifact.content_type == "image/png"
        names.add(artifact.name)
    assert len(names) == 3
    assert len(comfyui.saved() - before) == 3


async def test_an_identical_workflow_comes_from_the_cache(comfyui: Backend, client: ComfyUI) -> None:
    """Without freshening the repeat is a success that ran nothing and wrote nothing, and the facts say so."""
    work = workflow.freshen(picture("twice"), new_id())
    first = await run(client, work)
    before = comfyui.saved()
    again = await run(client, work)
    assert (first.from_cache, again.from_cache) == (False, True)
    assert (again.executed, again.fresh_outputs) == ((), ())
    assert comfyui.saved() == before


async def test_a_node_that_raises_is_named_with_class_and_message(client: ComfyUI) -> None:
    """A run-time error carries the node, its class, the exception and the end of its traceback."""
    work = graph({**picture("x").nodes, "2": node("SaveImage", images=["1", 0], **prefix("../../evil/x"))})
    facts = await run(client, workflow.freshen(work, new_id()))
    assert facts.status == "error"
    assert facts.error is not None
    assert (facts.error.node, facts.error.node_class) == ("2", "SaveImage")
    assert "outside" in facts.error.message
    assert "save" in facts.error.traceback
    assert facts.executed == ("1",)
    assert facts.started_ms is not None
    assert facts.ended_ms is not None
    assert facts.ended_ms >= facts.started_ms


async def test_check_lists_unknown_classes_and_missing_models_at_once(client: ComfyUI) -> None:
    """Everything that is not installed is told together, with the nearest class, before anything is queued."""
    loader = node("CheckpointLoaderSimple", ckpt_name="no-such-model.safetensors")
    work = graph({**picture("x").nodes, "3": node("SaveImages", images=["4", 0]), "4": loader})
    problems = await client.check(work)
    assert len(problems) == 2
    assert "node 3" in problems[0]
    assert "nearest: 'SaveImage'" in problems[0]
    assert "'no-such-model.safetensors' is not installed" in problems[1]
    assert await client.check(picture("x")) == ()


async def test_a_refused_workflow_lists_every_complaint(client: ComfyUI) -> None:
    """Each wrong input is named with node, class, value and nearest choice; the prompt is not known afterwards."""
    scale = node("ImageScale", image=["1", 0], upscale_method="lanczo", width=64, height=64, crop="disabled")
    empty = node("EmptyImage", width=999999, height=64, batch_size=1, color=0)
    work = graph({"1": empty, "2": scale, "3": node("SaveImage", images=["2", 0], **prefix("x"))})
    prompt_id = new_id()
    with pytest.raises(SetupError) as refused:
        await client.submit(work, prompt_id)
    text = "\n".join(sorted(refused.value.facts["problems"]))
    assert "node 1 (EmptyImage): input width = 999999" in text
    assert "node 2 (ImageScale): input upscale_method: 'lanczo' is not a valid choice; nearest: 'lanczos'" in text
    assert await client.state(prompt_id) is PromptState.UNKNOWN


async def test_unknown_class_and_empty_graph_are_setup_problems(client: ComfyUI) -> None:
    """Refusals without node errors keep what the server said about the whole prompt."""
    for nodes, word in (
        ({"7": node("NoSuchNode")}, "node 7.*NoSuchNode"),
        ({"1": picture("x").nodes["1"]}, "prompt_no_outputs"),
    ):
        with pytest.raises(SetupError, match=word):
            await client.submit(graph(nodes), new_id())


async def test_a_dropped_branch_is_a_setup_problem_and_not_left_running(client: ComfyUI) -> None:
    """The server accepts half a workflow with status 200; the adapter does not."""
    broken = node("EmptyImage", height=64, batch_size=1, color=0)
    work = graph({**picture("x").nodes, "3": broken, "4": node("SaveImage", images=["3", 0], **prefix("y"))})
    prompt_id = new_id()
    with pytest.raises(SetupError, match=r"node 3 \(EmptyImage\): input width"):
        await client.submit(work, prompt_id)
    assert await client.state(prompt_id) in (PromptState.UNKNOWN, PromptState.DONE)


async def test_cancel_ends_the_running_prompt_and_drops_a_waiting_one(comfyui: Backend, client: ComfyUI) -> None:
    """A running prompt ends as interrupted, a waiting one vanishes, and a third one of somebody else still runs."""
    running, waiting, other = new_id(), new_id(), new_id()
    await client.submit(comfyui.slow(1), running)
    await client.submit(comfyui.slow(2), waiting)
    await reaches(client, running, PromptState.RUNNING)
    await client.submit(workflow.freshen(picture("other"), new_id()), other)
    queue = await client.queue()
    assert (queue.running, queue.pending, queue.ahead(other)) == ((running,), (waiting, other), 2)
    assert await client.cancel(waiting) is PromptState.UNKNOWN
    assert await client.state(running) is PromptState.RUNNING
    assert await client.cancel(running) is PromptState.DONE
    ended = await client.history(running)
    assert ended is not None
    assert (ended.status, ended.error) == ("interrupted", None)
    with anyio.fail_after(30):
        facts = await client.follow(other)
    assert facts is not None
    assert facts.status == "success"


async def test_an_unknown_prompt_is_unknown_everywhere(client: ComfyUI) -> None:
    """No history, nothing to follow, and cancelling it disturbs nobody."""
    prompt_id = new_id()
    assert await client.state(prompt_id) is PromptState.UNKNOWN
    assert await client.history(prompt_id) is None
    assert await client.follow(prompt_id) is None
    assert await client.cancel(prompt_id) is PromptState.UNKNOWN


async def test_a_listed_file_that_is_gone_becomes_a_problem(client: ComfyUI, tmp_path: Path) -> None:
    """A file that the history names and the disk has no more is reported, not raised, when collecting."""
    gone = OutputFile("9", "gone_00001_.png", "", "output")
    with pytest.raises(NotFound):
        async with client.fetch(gone):
            pass
    home = await collect(client, [gone], tmp_path)
    assert home.artifacts == ()
    assert "gone_00001_.png" in home.problems[0]
    assert list(tmp_path.iterdir()) == []


class ReplyLost(httpx.AsyncHTTPTransport):
    """Delivers every request, and loses the reply to the first POST /prompt."""

    lost = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        reply = await super().handle_async_request(request)
        if request.url.path == "/prompt" and not self.lost:
            self.lost += 1
            await reply.aread()
            raise httpx.ReadError("connection reset", request=request)
        return reply


async def test_a_lost_reply_is_looked_up_and_never_sent_again(client: ComfyUI) -> None:
    """When the answer to the POST is lost, the prompt is found by its id and ran exactly once."""
    transport = ReplyLost()
    client._http._transport = transport
    prompt_id, name = new_id(), f"lost-{new_id()[:8]}"
    await client.submit(workflow.freshen(picture(name), new_id()), prompt_id)
    with anyio.fail_after(30):
        facts = await client.follow(prompt_id)
    assert facts is not None
    assert [file.filename for file in facts.outputs] == [f"{name}_00001_.png"]
    assert transport.lost == 1


async def test_an_answer_that_is_not_about_the_workflow_blames_the_server() -> None:
    """A proxy without its server says nothing of what was sent; what may have arrived is taken back."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(503, text="upstream") if request.url.path == "/prompt" else httpx.Response(200, json={})

    async with ComfyUI("http://127.0.0.1:1") as alone:
        alone._http._transport = httpx.MockTransport(answer)
        with pytest.raises(ServiceUnavailable, match="503"):
            await alone.submit(picture("x"), new_id())
    assert "/interrupt" in asked


async def test_previews_are_files_of_type_temp(client: ComfyUI, tmp_path: Path) -> None:
    """A PreviewImage is fetched like a saved file; only its type tells them apart."""
    work = graph({**picture("x").nodes, "2": node("PreviewImage", images=["1", 0])})
    facts = await run(client, workflow.freshen(work, new_id()))
    assert [file.type for file in facts.outputs] == ["temp"]
    assert len((await collect(client, facts.outputs, tmp_path)).artifacts) == 1
