"""Warm and cold workflow attempts with their memory, on the simulated ComfyUI and on a real one where it is given."""

import json
import os
import struct
from pathlib import Path
from typing import Any

import httpx
import pytest

from mcp_e2e.bootstrap import App
from mcp_e2e.model.answers import AttemptAnswer
from tests.usecases.conftest import Servers
from tests.usecases.test_workflows import REAL, SIMULATED, configure, saving, slow

MODEL = "simulated-tiny.safetensors"


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def with_model() -> dict[str, Any]:
    """Only the simulated server has this node and this checkpoint."""
    graph = slow(0.0)
    graph["3"] = node("CheckpointLoaderSimple", ckpt_name=MODEL)
    graph["1"]["inputs"]["model"] = ["3", 0]  # type: ignore[index]
    return graph


def decoding() -> dict[str, Any]:
    return {
        "1": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "2": node("VAELoader", vae_name="tiny.safetensors"),
        "3": node("VAEDecode", samples=["1", 0], vae=["2", 0]),
        "4": node("SaveImage", images=["3", 0], filename_prefix="decoded"),
    }


def large() -> dict[str, Any]:
    """1.2 GB of pixels while it runs, and a small file of them."""
    small = {"upscale_method": "nearest-exact", "width": 64, "height": 64, "crop": "disabled"}
    return {
        "1": node("EmptyImage", width=4096, height=4096, batch_size=6, color=7),
        "2": node("ImageScale", image=["1", 0], **small),
        "3": node("SaveImage", images=["2", 0], filename_prefix="large"),
    }


def write_tiny_vae(path: Path) -> None:
    """One zero tensor under the name by which the tiny autoencoder is known; what else it has stays as it is made."""
    weights = bytes(64 * 4 * 3 * 3 * 4)
    tensor = {"dtype": "F32", "shape": [64, 4, 3, 3], "data_offsets": [0, len(weights)]}
    head = json.dumps({"taesd_decoder.1.weight": tensor}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(head)) + head + weights)


async def attempts(app: App, test: str, count: int) -> list[dict[str, Any]]:
    """The evidence of as many passed attempts."""
    told = []
    for _ in range(count):
        answer: AttemptAnswer = await app.attempts.run(app.caller, test=test, checkpoint=True, wait_seconds=120)
        assert answer.verdict == "passed", answer
        assert answer.evidence is not None
        told.append(answer.evidence)
    return told


async def test_the_second_attempt_is_warm_and_the_report_says_what_that_saved(server: Servers, project: Path) -> None:
    """Measured: the loader came from the cache. A workflow without models is neither warm nor cold."""
    configure(project, f"{SIMULATED} --boot-seconds 0.2", {"portrait": with_model(), "plain": saving()})
    async with server() as app:
        await app.runs.plan(app.caller, tests=["portrait", "plain"], count=6)
        told = await attempts(app, "portrait", 3)
        (plain,) = await attempts(app, "plain", 1)
        report = await app.reports.show(app.caller)

    assert [each["warm"] for each in told] == [False, True, True]
    assert [each["models"] for each in told] == [[MODEL]] * 3
    assert (plain["models"], "warm" in plain) == ([], False)
    assert report.models is not None
    (use,) = report.models
    assert (use["models"], use["test"], use["slots"], use["cold"], use["warm"]) == (
        [MODEL],
        "portrait",
        [1, 3, 5],
        1,
        2,
    )
    assert report.load_saved_s == use["saved_s"]
    assert report.load_saved_how is not None
    assert report.load_saved_how.endswith(
        f"portrait 2 x ({use['cold_s']:.2f} s - {use['warm_s']:.2f} s) = {use['saved_s']} s"
    )
    lines = {line["slot"]: line.get("warm") for line in report.tests or ()}
    assert lines == {1: False, 3: True, 5: True, 2: None, 4: None, 6: None}
    assert report.files is not None
    assert "## Models" in Path(report.files["markdown"]).read_text("utf-8")
    stored = json.loads(Path(report.files["json"]).read_text("utf-8"))
    assert stored["model_uses"][0]["slots"] == [1, 3, 5]


async def test_each_attempt_tells_memory_before_at_its_peak_and_after(server: Servers, project: Path) -> None:
    """From the look before it was queued, those meanwhile, and one beside the collecting of its files."""
    configure(project, f"{SIMULATED} --boot-seconds 0.2", {"long": slow(0.5)})
    async with server() as app:
        (told,) = await attempts(app, "long", 1)
        report = await app.reports.show(app.caller)

    memory = told["memory"]
    assert memory["unit"] == "MiB"
    assert memory["looks"] >= 2
    assert 0 <= memory["ram_before"] <= memory["ram_peak"] <= memory["ram_total"]
    assert report.files is not None
    assert "- Memory at its fullest: RAM" in Path(report.files["markdown"]).read_text("utf-8")


async def test_a_slot_that_ran_out_of_memory_tells_it_in_the_report(server: Servers, project: Path) -> None:
    """Before, peak and total beside its failure; other failures do not."""
    graphs = {}
    for name, message in (("full", "CUDA out of memory. Tried to allocate 2.00 GiB"), ("wrong", "no such sampler")):
        graphs[name] = saving()
        graphs[name]["3"] = node("SimulatedError", image=["1", 0], message=message)
        graphs[name]["2"] = node("SaveImage", images=["3", 0], filename_prefix=name)
    configure(project, f"{SIMULATED} --boot-seconds 0.2", graphs)
    async with server() as app:
        for name in graphs:
            await app.attempts.run(app.caller, test=name, checkpoint=True, wait_seconds=60)
            report = await app.reports.show(app.caller)
            (line,) = [line for line in report.tests or () if line["test"] == name]
            assert ("memory" in line) == (name == "full")
            assert line.get("memory", "RAM").startswith("RAM")


@pytest.mark.comfyui
@pytest.mark.skipif(REAL is None, reason="MCP_E2E_COMFYUI_CMD names no real ComfyUI")
@pytest.mark.timeout(300)
async def test_a_real_comfyui_keeps_its_model_and_shows_its_memory(server: Servers, project: Path) -> None:
    """The loader runs once in three attempts; a gigabyte of pixels stands in the peak of its attempt."""
    configure(project, str(REAL), {"decoding": decoding(), "large": large()}, "{}")
    async with server(PATH=os.environ["PATH"]) as app:
        session = await app.sessions.start(app.caller, wait_seconds=180)
        assert session.state == "ready", session
        async with httpx.AsyncClient(trust_env=False) as client:
            argv = (await client.get(f"{session.url}/system_stats")).json()["system"]["argv"]
        if "--base-directory" not in argv:
            pytest.skip("the start command gives no --base-directory, so a model cannot be put there")
        write_tiny_vae(Path(argv[argv.index("--base-directory") + 1]) / "models" / "vae" / "tiny.safetensors")
        await app.runs.plan(app.caller, tests=["decoding", "large"], count=6)
        told = await attempts(app, "decoding", 3)
        (peaking,) = await attempts(app, "large", 1)
        report = await app.reports.show(app.caller)

    print(json.dumps([report.load_saved_how, report.models, [each.get("memory") for each in told], peaking["memory"]]))
    assert [(each["warm"], each["models"]) for each in told] == [
        (False, ["tiny.safetensors"]),
        (True, ["tiny.safetensors"]),
        (True, ["tiny.safetensors"]),
    ]
    memory = peaking["memory"]
    assert memory["ram_peak"] - memory["ram_before"] > 500
    assert memory["ram_after"] <= memory["ram_peak"] <= memory["ram_total"]
    assert report.load_saved_s is not None
