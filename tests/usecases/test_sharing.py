"""Two agents and a person on one ComfyUI: everybody's work stays everybody's own."""

import os
import uuid
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from mcp_e2e.bootstrap import App
from tests.usecases.conftest import Servers
from tests.usecases.laboratory import REAL, needs_real
from tests.usecases.test_workflows import SIMULATED, configure, saving

WAIT_S = 120.0
BACKENDS = [
    pytest.param(f"{SIMULATED} --boot-seconds 0.2", id="simulated"),
    pytest.param(REAL, id="real", marks=[pytest.mark.comfyui, needs_real, pytest.mark.timeout(400)]),
]


class Person:
    """Somebody with ComfyUI open in a browser, on the same server."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self.prompts: list[str] = []

    async def queue(self, color: int, side: int = 64) -> None:
        nodes: dict[str, Any] = saving(color=color)
        nodes["1"]["inputs"] |= {"width": side, "height": side}
        prompt_id = str(uuid.uuid4())
        body = {"prompt": nodes, "prompt_id": prompt_id, "client_id": "a browser"}
        (await self._http.post("/prompt", json=body)).raise_for_status()
        self.prompts.append(prompt_id)

    async def results(self) -> dict[str, list[str]]:
        """Names of the files of every prompt, each seen to its end."""
        found = {}
        with anyio.fail_after(WAIT_S):
            for prompt_id in self.prompts:
                while not (entry := (await self._http.get(f"/history/{prompt_id}")).json()):
                    await anyio.sleep(0.05)
                status = entry[prompt_id]["status"]["status_str"]
                files = [file["filename"] for out in entry[prompt_id]["outputs"].values() for file in out["images"]]
                found[prompt_id] = [status, *files]
        return found


async def passes(app: App, count: int) -> list[str]:
    """Run what is due ``count`` times; the paths of the collected files."""
    paths = []
    for _ in range(count):
        answer = await app.attempts.run(app.caller, checkpoint=True, wait_seconds=WAIT_S)
        assert answer.verdict == "passed", answer
        assert answer.evidence is not None
        paths += [artifact["path"] for artifact in answer.evidence["artifacts"]]
    return paths


@pytest.mark.parametrize("command", BACKENDS)
async def test_nobodys_prompt_is_interrupted_deleted_cleaned_or_claimed(
    command: str, server: Servers, project: Path
) -> None:
    """One agent runs tests, another cancels its own waiting one, a person queues pictures all the while."""
    configure(project, command, {"picture": saving()})
    async with server(PATH=os.environ["PATH"]) as one, server(client="codex", PATH=os.environ["PATH"]) as two:
        session = await one.sessions.start(one.caller, wait_seconds=WAIT_S)
        assert session.url is not None
        await one.runs.plan(one.caller, tests=["picture"], count=6)
        async with httpx.AsyncClient(base_url=session.url, trust_env=False, timeout=30) as http:
            person = Person(http)
            for color in range(5):
                await person.queue(color, side=1024)
            ours = await passes(one, 2)
            await person.queue(11, side=1024)
            waiting = await two.attempts.run(two.caller, wait_seconds=0)
            await two.execs.job(two.caller, action="cancel", id=waiting.attempt)
            gone = await two.attempts.run(two.caller, wait_seconds=WAIT_S)
            assert (gone.attempt, gone.verdict) == (waiting.attempt, "cancelled")
            await person.queue(12)
            ours += await passes(two, 2)
            ours += await passes(one, 1)
            results = await person.results()
        outputs = project / ".mcp-e2e" / "outputs" / "comfyui"
        kept = {path.name for path in outputs.iterdir()}
    assert len(ours) == len(set(ours)) == 5
    assert {found[0] for found in results.values()} == {"success"}
    assert len(results) == 7
    theirs = [name for found in results.values() for name in found[1:]]
    assert len(theirs) == 7
    assert set(theirs) <= kept
    assert len(set(theirs)) == 7
