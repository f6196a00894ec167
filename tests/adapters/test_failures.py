"""Every way a workflow can fail, provoked on the simulated and a real ComfyUI: what the product says of each.

``pytest --junitxml=FILE -o junit_family=xunit1`` writes the sentences as
properties: the table of all failures for one version.
"""

import json
import os
import shutil
import struct
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from mcp_e2e.adapters.comfyui import rejections, workflow
from mcp_e2e.adapters.comfyui.client import ComfyUI
from mcp_e2e.adapters.comfyui.workflow import Graph
from mcp_e2e.decisions import verdict
from mcp_e2e.errors import SetupError
from mcp_e2e.model.runs import FailureKind, Verdict
from mcp_e2e.model.work import Collected, PromptState

from .conftest import SIMULATED, Backend, end, graph, node, picture, prefix, start

pytestmark = pytest.mark.timeout(240)
Note = Callable[[str, object], None]
SIM = "simulated"


@pytest.fixture(scope="module", params=["simulated", pytest.param("real", marks=pytest.mark.comfyui)])
def failing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A server with broken models and inputs; a real one is booted again with the custom node that fails."""
    kind: str = request.param
    command = SIMULATED if kind == SIM else os.environ.get("MCP_E2E_COMFYUI_CMD", "")
    if not command:
        pytest.skip("set MCP_E2E_COMFYUI_CMD to the start command of a real ComfyUI, with {port} and {outputs}")
    folder = tmp_path_factory.mktemp("failing")
    backend = start(command, folder)
    if kind != SIM:
        base = base_folder(backend)
        end(backend.process)
        if base is None:
            pytest.skip("the real ComfyUI was started without --base-directory: nowhere to put a custom node")
        spoil(base)
        backend = start(command, folder)
    yield backend
    end(backend.process)


def base_folder(backend: Backend) -> Path | None:
    argv = httpx.get(f"{backend.url}/system_stats", trust_env=False).json()["system"]["argv"]
    return Path(argv[argv.index("--base-directory") + 1]) if "--base-directory" in argv else None


def spoil(base: Path) -> None:
    """Models and inputs that are no such thing, and the custom node."""
    shutil.copy(Path(__file__).with_name("failing_pack.py"), base / "custom_nodes/failing_pack.py")
    models = base / "models/checkpoints"
    header = json.dumps({"a": {"dtype": "F32", "shape": [10, 10], "data_offsets": [0, 400]}}).encode()
    whole = struct.pack("<Q", len(header)) + header + bytes(400)
    files = {
        "junk.safetensors": bytes(range(256)) * 16,
        "empty.safetensors": b"",
        "cut.safetensors": whole[:-390],
        "other.safetensors": whole,
        "empty.ckpt": b"",
        "junk.ckpt": b"<html>not found</html>" * 100,
    }
    for name, content in files.items():
        (models / name).write_bytes(content)
    (base / "input/text.png").write_text("no picture")
    (base / "input/empty.png").write_bytes(b"")


@pytest.fixture
async def client(failing: Backend) -> AsyncIterator[ComfyUI]:
    async with ComfyUI(failing.url) as opened:
        yield opened


def empty(**inputs: Any) -> dict[str, Any]:
    return node("EmptyImage", **{"width": 64, "height": 48, "batch_size": 1, "color": 7, **inputs})


def save(feeder: str = "1", slot: int = 0, name: str = "x") -> dict[str, Any]:
    return node("SaveImage", images=[feeder, slot], **prefix(name))


def checkpoint(file: str) -> dict[str, dict[str, Any]]:
    return {
        "1": {**node("CheckpointLoaderSimple", ckpt_name=file), "_meta": {"title": "My model"}},
        "2": save("3"),
        "3": node("VAEDecode", samples=["4", 0], vae=["1", 2]),
        "4": node("EmptyLatentImage", width=64, height=64, batch_size=1),
    }


def scaled(**inputs: Any) -> dict[str, dict[str, Any]]:
    scale = {"image": ["1", 0], "upscale_method": "lanczos", "width": 64, "height": 64, "crop": "disabled", **inputs}
    return {"1": empty(), "2": save("3"), "3": node("ImageScale", **scale)}


@dataclass(frozen=True)
class Refused:
    """A graph that never runs; ``says`` are the parts of the sentences, one sentence for each row."""

    nodes: dict[str, Any]
    says: tuple[tuple[str, ...], ...]
    simulated: bool = True


REFUSED = {
    "input missing": Refused(
        {"1": node("EmptyImage", height=48, batch_size=1, color=1), "2": save()},
        (("node 1 (EmptyImage): input width is missing", "export the workflow again"),),
    ),
    "not in list": Refused(
        scaled(upscale_method="lanczo"),
        (("node 3 (ImageScale): input upscale_method: 'lanczo' is not a valid choice", "nearest: 'lanczos'"),),
    ),
    "too big": Refused(
        {"1": empty(width=999999), "2": save()}, (("node 1 (EmptyImage): input width = 999999", "at most 16384"),)
    ),
    "too small": Refused({"1": empty(width=0), "2": save()}, (("node 1 (EmptyImage): input width = 0", "at least 1"),)),
    "wrong type": Refused(
        {"1": empty(width="wide"), "2": save()},
        (("node 1 (EmptyImage): input width = 'wide' cannot be read as INT", "give a whole number"),),
    ),
    "wrong output": Refused(
        {"1": node("CheckpointLoaderSimple", ckpt_name="{checkpoint}"), "2": save("1", 0)},
        (("node 2 (SaveImage): input images takes IMAGE, but output 0 of node 1 (CheckpointLoaderSimple) gives",),),
    ),
    "no link": Refused(
        {"1": empty(), "2": node("SaveImage", images=["1"], **prefix("x"))},
        (("node 2 (SaveImage): input images = ['1'] is a list", "link it"),),
        simulated=False,
    ),
    "input file missing": Refused(
        {"1": node("LoadImage", image="gone.png"), "2": save()},
        (("node 1 (LoadImage): input image = 'gone.png' is refused", "put that file into ComfyUI's input folder"),),
        simulated=False,
    ),
    "value that no check expects": Refused(
        {"1": node("LoadImage", image=5), "2": save()},
        (("node 1 (LoadImage): checking its inputs raised AttributeError", "image = 5"),),
        simulated=False,
    ),
    "link to a missing node": Refused(
        {"1": empty(), "2": save("77")},
        (("node 2 (SaveImage): input images is linked to node 77, which is not in test.json", "(1, 2)"),),
    ),
    "link to a missing node further up": Refused(
        {
            "1": empty(),
            "3": node("ImageInvert", image=["77", 0]),
            "4": node("ImageInvert", image=["3", 0]),
            "2": save("4"),
        },
        (("node 3 (ImageInvert): input image is linked to node 77, which is not in test.json",),),
        simulated=False,
    ),
    "link to a missing output": Refused(
        {"1": empty(), "2": save("1", 7)},
        (("node 2 (SaveImage): input images is linked to output 7 of node 1 (EmptyImage), which has no such output",),),
        simulated=False,
    ),
    "circle": Refused(
        {
            "1": node("ImageScale", **{**scaled()["3"]["inputs"], "image": ["3", 0]}),
            "3": node("ImageScale", **scaled()["3"]["inputs"]),
            "2": save(),
        },
        (("node 1 (ImageScale): input image leads in a circle: 1 (ImageScale) <- 3 (ImageScale) <- 1 (ImageScale)",),),
    ),
    "unknown class": Refused(
        {"1": {**node("FluxPortraitXYZ"), "_meta": {"title": "Portrait"}}, "2": save()},
        (('node 1 "Portrait" (FluxPortraitXYZ): this ComfyUI has no node class', "install the custom node"),),
    ),
    "misspelt class": Refused(
        {**picture("x").nodes, "2": node("SaveImages", images=["1", 0], **prefix("x"))},
        (("node 2 (SaveImages): this ComfyUI has no node class 'SaveImages'; nearest: 'SaveImage'",),),
    ),
    "subgraph": Refused(
        {"1": node("3f0c1a52-9d5e-4f7e-8c62-0d6f6b9d1e11"), "2": save()},
        (("it is a group or subgraph of the page; export the workflow again",),),
    ),
    "model missing": Refused(
        {"1": node("CheckpointLoaderSimple", ckpt_name="none.safetensors"), "2": save()},
        (("node 1 (CheckpointLoaderSimple): input ckpt_name: model 'none.safetensors' is not", "models/checkpoints"),),
    ),
    "no output node": Refused({"1": empty()}, (("test.json: no node of it saves or shows anything", "SaveImage"),)),
    "one of two branches": Refused(
        {"1": empty(), "2": save(), "3": node("EmptyImage", height=1, batch_size=1, color=0), "4": save("3")},
        (("node 3 (EmptyImage): input width is missing",),),
    ),
    "several at once": Refused(
        {"1": empty(width=0), "3": node("ImageScale", **scaled(crop="nowhere")["3"]["inputs"]), "2": save("3")},
        (("node 1 (EmptyImage): input width = 0",), ("node 3 (ImageScale): input crop: 'nowhere'",)),
    ),
}


async def refusal(client: ComfyUI, work: Graph) -> list[str]:
    """What is foreseen, else what the server answers."""
    problems = await client.check(work)
    if problems:
        return list(problems)
    with pytest.raises(SetupError) as refused:
        await client.submit(work, str(uuid.uuid4()))
    found: list[str] = refused.value.facts["problems"]
    return found


@pytest.mark.parametrize("name", REFUSED)
async def test_a_workflow_that_cannot_run_is_told_what_to_change(
    failing: Backend, client: ComfyUI, name: str, record_property: Note
) -> None:
    """Each problem is one sentence with node, class, input, value and the fix; nothing of it has run."""
    row = REFUSED[name]
    if failing.kind == SIM and not row.simulated:
        pytest.skip("the simulated ComfyUI has no such node or check")
    usable = "simulated-tiny.safetensors" if failing.kind == SIM else "junk.safetensors"
    nodes = json.loads(json.dumps(row.nodes).replace("{checkpoint}", usable))
    said = await refusal(client, workflow.freshen(graph(nodes), str(uuid.uuid4())))
    record_property(f"refused: {name}", " | ".join(said))
    assert len(said) == len(row.says), said
    for parts in row.says:
        assert any(all(part in sentence for part in parts) for sentence in said), said
    assert all(len(sentence) <= 500 for sentence in said)


@dataclass(frozen=True)
class Raised:
    """A graph whose node raises while it runs."""

    nodes: dict[str, Any]
    says: tuple[str, ...]
    kind: FailureKind = "execution_error"
    simulated: dict[str, Any] | None = None


def raising(kind: str) -> dict[str, dict[str, Any]]:
    return {"1": node("Failing", kind=kind), "2": save()}


def simulated(message: str) -> dict[str, dict[str, Any]]:
    return {"1": node("SimulatedError", image=["3", 0], message=message), "3": empty(), "2": save()}


MEMORY = ("node 1 (Failing)", "smaller")
MODEL = 'node 1 "My model" (CheckpointLoaderSimple) with ckpt_name = '
DAMAGED = "The file is damaged, cut off or no model"
FAMILIES = "Models of different families or pictures of different sizes meet here"
RAISED = {
    "out of memory, CUDA": Raised(
        raising("cuda memory"), (*MEMORY, "CUDA out of memory"), "out_of_memory", simulated("CUDA out of memory.")
    ),
    "out of memory, MPS": Raised(raising("mps memory"), (*MEMORY, "MPS backend"), "out_of_memory"),
    "out of memory, CPU tensor": Raised(raising("cpu memory"), (*MEMORY, "DefaultCPUAllocator"), "out_of_memory"),
    "out of memory, array": Raised(raising("array memory"), (*MEMORY, "Unable to allocate"), "out_of_memory"),
    "out of memory, Python": Raised(raising("python memory"), (*MEMORY, "MemoryError"), "out_of_memory"),
    "junk model": Raised(checkpoint("junk.safetensors"), (MODEL + "'junk.safetensors'", "SafetensorError", DAMAGED)),
    "empty model": Raised(checkpoint("empty.safetensors"), (MODEL + "'empty.safetensors'", DAMAGED)),
    "cut model": Raised(checkpoint("cut.safetensors"), (MODEL + "'cut.safetensors'", DAMAGED)),
    "empty checkpoint": Raised(checkpoint("empty.ckpt"), (MODEL + "'empty.ckpt'", "EOFError", DAMAGED)),
    "junk checkpoint": Raised(checkpoint("junk.ckpt"), (MODEL + "'junk.ckpt'", "UnpicklingError", DAMAGED)),
    "other model": Raised(checkpoint("other.safetensors"), (MODEL + "'other.safetensors'", "another kind of model")),
    "junk pickle": Raised(raising("pickle"), ("node 1 (Failing)", "UnpicklingError", DAMAGED)),
    "no clip in checkpoint": Raised(
        {
            "1": node("Nothing"),
            "2": node("CLIPTextEncode", clip=["1", 0], text="a cat"),
            "3": node("Sink", conditioning=["2", 0]),
        },
        ("node 2 (CLIPTextEncode) with clip = from node 1 (Nothing)", "CLIPLoader"),
    ),
    "no vae in checkpoint": Raised(
        {
            "1": node("Nothing"),
            "4": node("EmptyLatentImage", width=64, height=64, batch_size=1),
            "3": node("VAEDecode", samples=["4", 0], vae=["1", 1]),
            "2": save("3"),
        },
        ("node 3 (VAEDecode) with", "vae = from node 1 (Nothing)", "gave nothing"),
    ),
    "text as picture": Raised(
        {"1": node("LoadImage", image="text.png"), "2": save()},
        ("node 1 (LoadImage) with image = 'text.png'", "no readable picture", "input folder"),
    ),
    "empty picture": Raised(
        {"1": node("LoadImage", image="empty.png"), "2": save()},
        ("node 1 (LoadImage) with image = 'empty.png'", "no readable picture", "input folder"),
    ),
    "families, matrices": Raised(raising("matrices"), ("node 1 (Failing)", "154x2048 and 768x320", FAMILIES)),
    "families, channels": Raised(raising("channels"), ("node 1 (Failing)", "4 channels", FAMILIES)),
    "families, tensors": Raised(raising("sizes"), ("node 1 (Failing)", "(64)", "(77)", FAMILIES)),
    "families, weights": Raised(raising("weights"), ("node 1 (Failing)", "size mismatch", FAMILIES)),
    "families, latents": Raised(
        {
            "1": node("EmptyLatentImage", width=64, height=64, batch_size=1),
            "2": node("EmptySD3LatentImage", width=64, height=64, batch_size=1),
            "3": node("LatentBatch", samples1=["1", 0], samples2=["2", 0]),
            "4": node("SaveLatent", samples=["3", 0], **prefix("x")),
        },
        ("node 3 (LatentBatch) with samples1 = from node 1 (EmptyLatentImage), samples2 = from node 2", FAMILIES),
    ),
    "disk full": Raised(raising("disk full"), ("node 1 (Failing)", "No space left", "Free disk space")),
    "outside": Raised(
        {"1": empty(), "2": save(name="../../evil/x")},
        ("node 2 (SaveImage) with filename_prefix = '../../evil/x'", "outside", "no '..'"),
        simulated={"1": empty(), "2": save(name="../../evil/x")},
    ),
    "missing file": Raised(raising("missing file"), ("node 1 (Failing)", "/nowhere/style.json", "Put the file")),
    "not permitted": Raised(raising("not permitted"), ("node 1 (Failing)", "Permission denied", "Let the user")),
    "package missing": Raised(raising("import"), ("node 1 (Failing)", "no_such_package", "failing_pack", "Install")),
    "custom node, value": Raised(
        raising("value"), ("ValueError: strength must be below 1 (in custom node failing_pack)", "Give failing_pack")
    ),
    "custom node, key": Raised(raising("key"), ("KeyError: 'missing_key' (in custom node failing_pack)",)),
    "plain": Raised(
        {"1": node("ImageInvert", image="words"), "2": save()},
        ("node 1 (ImageInvert)", "TypeError: unsupported operand"),
        simulated=simulated("no such sampler"),
    ),
}
SIMULATED_SAYS = {
    "out of memory, CUDA": ("node 1 (SimulatedError)", "smaller"),
    "plain": ("ValueError: no such sampler",),
}


@pytest.mark.parametrize("name", RAISED)
async def test_a_node_that_fails_while_it_runs_is_told_with_what_to_change(
    failing: Backend, client: ComfyUI, name: str, record_property: Note
) -> None:
    """Red, of the kind it is, in one sentence; the same failure again has the same signature."""
    row = RAISED[name]
    if failing.kind == SIM:
        if row.simulated is None:
            pytest.skip("the simulated ComfyUI has no such node")
        row = replace(row, nodes=row.simulated, says=SIMULATED_SAYS.get(name, row.says))
    first, second = [await judged(client, graph(row.nodes)) for _ in range(2)]
    assert first.failure is not None
    record_property(f"raised: {name}", f"[{first.failure.kind}] {first.failure.message}")
    assert (first.verdict, first.failure.kind) == (Verdict.FAILED, row.kind)
    assert all(part in first.failure.message for part in row.says), first.failure.message
    assert len(first.failure.message) <= 500
    assert second.failure is not None
    assert second.failure.signature == first.failure.signature


async def judged(client: ComfyUI, work: Graph) -> verdict.Judgement:
    prompt_id = str(uuid.uuid4())
    work = workflow.freshen(work, prompt_id)
    assert await client.check(work) == ()
    with anyio.fail_after(60):
        await client.submit(work, prompt_id)
        facts = await client.follow(prompt_id, poll_s=0.02)
    assert facts is not None
    return verdict.of_prompt("t", facts, Collected(()), {})


async def test_what_somebody_else_interrupts_is_cancelled_and_not_red(
    failing: Backend, client: ComfyUI, record_property: Note
) -> None:
    """Another client's interrupt shows nothing about the test."""
    prompt_id = str(uuid.uuid4())
    await client.submit(failing.slow(3), prompt_id)
    with anyio.fail_after(30):
        while await client.state(prompt_id) is not PromptState.RUNNING:
            await anyio.sleep(0.02)
    async with httpx.AsyncClient(base_url=failing.url, trust_env=False) as other:
        await other.post("/interrupt")
    with anyio.fail_after(60):
        facts = await client.follow(prompt_id)
    assert facts is not None
    found = verdict.of_prompt("t", facts, Collected(()), {})
    assert found.failure is not None
    record_property("interrupted", f"[{found.verdict.value}] {found.failure.message}")
    assert (found.verdict, found.failure.kind) == (Verdict.CANCELLED, "cancelled")


async def test_an_answer_in_plain_text_is_told_by_its_status(failing: Backend, record_property: Note) -> None:
    """A body that is no prompt and one that is too large: the sentence says which and what to do."""
    work = picture("x")
    async with httpx.AsyncClient(base_url=failing.url, trust_env=False, timeout=60) as raw:
        broken = await raw.post("/prompt", content=b"{nope")
        said = rejections.unanswered(work, broken.status_code, broken.text)
        record_property("plain text 500", said)
        assert said.startswith("test.json: ComfyUI answered 500 without saying which node")
        if failing.kind != SIM:
            large = await raw.post("/prompt", json={"prompt": work.nodes, "pad": "x" * (101 << 20)})
            said = rejections.unanswered(work, large.status_code, large.text)
            record_property("plain text 413", said)
            assert "larger than this ComfyUI accepts" in said
            assert "--max-upload-size" in said


async def test_an_id_that_is_refused_is_told(failing: Backend, record_property: Note) -> None:
    """Versions that take only canonical UUIDs say so; the others run it."""
    work = picture("x")
    body = {"prompt": work.nodes, "prompt_id": "X", "client_id": "t"}
    async with httpx.AsyncClient(base_url=failing.url, trust_env=False) as raw:
        answer = await raw.post("/prompt", json=body)
    said = rejections.rejected(work, answer.json())
    record_property("refused id", " | ".join(said) or "accepted")
    assert (answer.status_code == 200) == (said == ())
    assert all("UUID" in sentence for sentence in said)
