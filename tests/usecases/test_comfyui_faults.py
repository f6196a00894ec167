"""A ComfyUI that dies behind a healthy server, falls deaf, runs out of memory or loses its event sockets; simulated."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest

from mcp_e2e.bootstrap import App
from mcp_e2e.executors import following, workflows
from mcp_e2e.store import attempts
from tests.usecases.conftest import Servers
from tests.usecases.test_workflows import SIMULATED, configure, saving, slow

BOOT = f"{SIMULATED} --boot-seconds 0.2"
WAIT_S = 50.0


def through(class_type: str, **inputs: Any) -> dict[str, Any]:
    """A picture that passes through one node more before it is saved."""
    graph: dict[str, Any] = saving()
    graph["3"] = {"class_type": class_type, "inputs": {"image": ["1", 0], **inputs}}
    graph["2"]["inputs"]["images"] = ["3", 0]
    return graph


async def run(app: App, test: str, **how: Any) -> Any:
    return await app.attempts.run(app.caller, test=test, wait_seconds=WAIT_S, checkpoint=True, **how)


async def generation(app: App) -> int:
    return (await app.sessions.start(app.caller, wait_seconds=WAIT_S)).generation


async def test_a_dead_worker_is_lost_restarted_and_told(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP answers, the prompt runs for ever: twice lost, nothing red, and the next run has a working service."""
    monkeypatch.setattr(following, "QUIET_S", 0.6)
    configure(project, BOOT, {"zombie": through("SimulatedExit"), "picture": saving()})
    async with server() as app:
        await app.runs.plan(app.caller, tests=["zombie"])
        done = await run(app, "zombie")
        assert (done.verdict, bool(done.rerun_of)) == ("lost", True)
        assert done.failure is not None
        assert done.failure["message"] == following.DEAD
        assert "was restarted" in done.evidence["recovery"]
        assert (await app.breaker.show()).consecutive_failures == 0
        assert (await run(app, "picture")).verdict == "passed"
        assert await generation(app) == 3


async def test_a_node_that_works_in_silence_is_not_taken_for_dead(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that takes long to load says nothing and uses no processor here; all threads stand: it is waited for."""
    monkeypatch.setattr(following, "QUIET_S", 0.4)
    graph = saving()
    graph["4"] = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "simulated-tiny.safetensors"}}
    graph["1"] = slow(0.1)["1"]
    graph["1"]["inputs"]["model"] = ["4", 0]  # type: ignore[index]
    configure(project, f"{BOOT} --load-seconds 2", {"loads": graph})
    async with server() as app:
        assert (await run(app, "loads")).verdict == "passed"
        assert await generation(app) == 1


async def test_a_deaf_node_ends_with_its_service_after_the_time_limit(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Timed out and red; the next test does not wait behind it."""
    graph = saving()
    graph["4"] = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "simulated-tiny.safetensors"}}
    graph["1"] = slow(0.1)["1"]
    graph["1"]["inputs"]["model"] = ["4", 0]  # type: ignore[index]
    monkeypatch.setattr(following, "DEAF_S", 0.5)
    configure(project, f"{BOOT} --load-seconds 300", {"deaf": graph, "picture": saving()})
    async with server() as app:
        await app.runs.plan(app.caller)
        late = await run(app, "deaf", timeout_s=0.5)
        assert late.verdict == "timed_out"
        assert "does not listen" in late.failure["message"]
        assert "was restarted" in late.evidence["recovery"]
        assert (await run(app, "picture")).verdict == "passed"
        assert await generation(app) == 2


@pytest.mark.parametrize(("until", "lives"), [("free", 1), ("restart", 2)])
async def test_out_of_memory_in_a_used_process_is_made_again_with_it_given_back(
    until: str, lives: int, server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Freed where that is enough, in a new process where not; the first shows nothing about the test."""
    if until == "restart":
        monkeypatch.setattr(workflows, "EMPTY", 1.1)
        monkeypatch.setattr(workflows, "FREED_S", 0.2)
    hungry = through("SimulatedOutOfMemory", until=until, exception="torch.OutOfMemoryError")
    configure(project, BOOT, {"picture": saving(), "hungry": hungry})
    async with server() as app:
        await app.runs.plan(app.caller)
        assert (await run(app, "picture")).verdict == "passed"
        done = await run(app, "hungry")
        assert (done.verdict, bool(done.rerun_of)) == ("passed", True), done
        assert (await app.breaker.show()).consecutive_failures == 0
        assert await generation(app) == lives


async def test_out_of_memory_once_more_is_red(server: Servers, project: Path) -> None:
    """With all memory given back it is the workflow that needs too much."""
    hungry = through("SimulatedOutOfMemory", until="never", exception="torch.OutOfMemoryError")
    configure(project, BOOT, {"picture": saving(), "hungry": hungry})
    async with server() as app:
        await app.runs.plan(app.caller)
        await run(app, "picture")
        done = await run(app, "hungry")
        assert (done.verdict, done.failure["kind"], bool(done.rerun_of)) == ("failed", "out_of_memory", True)
        assert (await app.breaker.show()).consecutive_failures == 1


async def test_cut_sockets_lose_nothing(server: Servers, project: Path) -> None:
    """Each connection is cut after three messages: polling carries every attempt to its end."""
    configure(project, f"{BOOT} --drop-sockets-after 3", {"picture": slow(0.2)})
    async with server() as app:
        await app.runs.plan(app.caller, tests=["picture"], count=4)
        assert [(await run(app, "picture")).verdict for _ in range(4)] == ["passed"] * 4


async def test_progress_names_node_and_step(server: Servers, project: Path) -> None:
    """What the agent is shown while it waits."""
    configure(project, BOOT, {"long": slow(2.5)})
    seen: list[str] = []

    async def progress(done: float, total: float | None, message: str) -> None:
        seen.append(message)

    async with server() as app:
        assert (await run(app, "long", progress=progress)).verdict == "passed"
    assert [line for line in seen if "node 1 (SimulatedSlow): step " in line and "/20" in line], seen


class Unclaimed(BaseHTTPRequestHandler):
    """Takes a prompt and never runs it: healthy over HTTP, first in the queue for ever, and no event socket."""

    posted: list[str]

    def do_GET(self) -> None:
        item = [0, self.posted[-1], {}, {}, []] if self.posted else None
        answers: dict[str, Any] = {
            "/system_stats": {"system": {"comfyui_version": "0.0.0-stuck", "argv": []}, "devices": []},
            "/queue": {"queue_running": [], "queue_pending": [item] if item else []},
        }
        self._answer(answers.get(urlsplit(self.path).path, {}))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/prompt":
            self.posted.append(body["prompt_id"])
        self._answer({"node_errors": {}})

    def _answer(self, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(404 if self.path.startswith("/ws") else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is the base class's
        pass


@pytest.fixture
def unclaimed() -> Iterator[str]:
    handler = type("Handler", (Unclaimed,), {"posted": []})
    stuck = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=stuck.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{stuck.server_port}"
    stuck.shutdown()
    stuck.server_close()
    thread.join(10)


async def test_a_prompt_that_nobody_takes_is_lost(server: Servers, project: Path, unclaimed: str) -> None:
    """First in a queue of which nothing runs, look after look: nothing takes prompts any more. Attached: only told."""
    (project / "p.json").write_text(json.dumps(saving()))
    (project / "mcp-e2e.toml").write_text(
        f'[services.c]\nkind = "comfyui"\nurl = "{unclaimed}"\n[[tests]]\nid = "p"\nworkflow = "p.json"\n'
    )
    async with server(stops=False) as app:
        done = await run(app, "p")
        assert (done.verdict, done.failure["message"]) == ("lost", following.DEAD)
        assert "not ours to restart" in done.evidence["recovery"]


async def test_another_server_goes_on_with_a_prompt_by_its_id(server: Servers, project: Path) -> None:
    """The events go to a client that is gone; the verdict is found all the same."""
    configure(project, BOOT, {"long": slow(1.5)})
    async with server(client="codex", stops=False) as one:
        begun = await one.attempts.run(one.caller, test="long", wait_seconds=0)
        with anyio.fail_after(WAIT_S):
            while (await one.attempts.run(one.caller, test="long", wait_seconds=0.05)).state != "running":
                pass
    async with server() as two:
        done = await run(two, "long")
        assert (done.attempt, done.verdict) == (begun.attempt, "passed")
        stored = await two._place.run(lambda con: attempts.get(con, begun.attempt))
        assert stored is not None
        assert stored.by.startswith("codex")
