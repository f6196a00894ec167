"""A ComfyUI that dies behind a healthy server, falls deaf, runs out of memory or loses its event sockets; simulated."""

import json
import os
import shlex
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from mcp_e2e.bootstrap import App
from mcp_e2e.errors import SetupError, StoreError
from mcp_e2e.executors import following, worker, workflows
from mcp_e2e.model.services import Session
from mcp_e2e.store import attempts
from mcp_e2e.usecases import execution
from mcp_e2e.usecases.boots import Boots
from mcp_e2e.usecases.settlement import settled
from mcp_e2e.usecases.worlds import Worlds
from tests.usecases.conftest import Servers, until_running
from tests.usecases.test_workflows import SIMULATED, configure, saving, slow

BOOT = f"{SIMULATED} --boot-seconds 0.2"
WAIT_S = 50.0


def through(class_type: str, **inputs: Any) -> dict[str, Any]:
    """A picture that passes through one node more before it is saved."""
    graph: dict[str, Any] = saving()
    graph["3"] = {"class_type": class_type, "inputs": {"image": ["1", 0], **inputs}}
    graph["2"]["inputs"]["images"] = ["3", 0]
    return graph


def loading() -> dict[str, Any]:
    """A model takes its time, in which nothing is told and no interrupt heard."""
    graph: dict[str, Any] = {**saving(), "1": slow(0.1)["1"]}
    graph["4"] = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "simulated-tiny.safetensors"}}
    graph["1"]["inputs"]["model"] = ["4", 0]
    return graph


async def run(app: App, test: str, **how: Any) -> Any:
    return await app.attempts.run(app.caller, test=test, wait_seconds=WAIT_S, checkpoint=True, **how)


async def generation(app: App) -> int:
    return (await app.sessions.start(app.caller, wait_seconds=WAIT_S)).generation


async def test_a_dead_worker_is_lost_restarted_and_told(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP answers, the prompt runs for ever: twice lost, nothing red, and the next run has a working service."""
    monkeypatch.setattr(worker, "QUIET_S", 0.6)
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


async def test_a_life_that_somebody_else_has_ended_is_not_called_restarted(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two servers may notice the same; the second says what it found."""
    monkeypatch.setattr(worker, "QUIET_S", 0.6)
    reload = Boots.reload

    async def twice(boots: Boots, by: str, session: Session) -> bool:
        await reload(boots, by, session)
        return await reload(boots, by, session)

    monkeypatch.setattr(Boots, "reload", twice)
    configure(project, BOOT, {"zombie": through("SimulatedExit")})
    async with server() as app:
        done = await run(app, "zombie")
        assert "had been restarted already" in done.evidence["recovery"]
        assert await generation(app) == 3


async def test_custom_nodes_that_failed_to_load_are_named_with_an_unknown_class(server: Servers, project: Path) -> None:
    """They are the likely reason that the server does not have it."""
    told = "Import times for custom nodes:\\n   0.0 seconds (IMPORT FAILED): /base/custom_nodes/Pack\\n"
    quoted = shlex.join(["sh", "-c", f"printf '{told}' >&2; exec {BOOT}"])
    configure(project, quoted, {"unknown": through("PackNode")})
    async with server() as app:
        with pytest.raises(SetupError, match=r"PackNode.*custom nodes failed to import \(Pack\)"):
            await run(app, "unknown")


async def test_a_node_that_works_in_silence_is_not_taken_for_dead(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that takes long to load says nothing and uses no processor here; all threads stand: it is waited for."""
    monkeypatch.setattr(worker, "QUIET_S", 0.4)
    configure(project, f"{BOOT} --load-seconds 2", {"loads": loading()})
    async with server() as app:
        assert (await run(app, "loads")).verdict == "passed"
        assert await generation(app) == 1


async def test_a_deaf_node_ends_with_its_service_after_the_time_limit(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Timed out and red; the next test does not wait behind it."""
    monkeypatch.setattr(following, "DEAF_S", 0.5)
    configure(project, f"{BOOT} --load-seconds 300", {"deaf": loading(), "picture": saving()})
    async with server() as app:
        await app.runs.plan(app.caller)
        late = await run(app, "deaf", timeout_s=0.5)
        assert late.verdict == "timed_out"
        assert "does not listen" in late.failure["message"]
        assert "was restarted" in late.evidence["recovery"]
        assert (await run(app, "picture")).verdict == "passed"
        assert await generation(app) == 2


async def test_a_cancelled_node_that_does_not_listen_ends_with_its_service(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever comes next would wait behind it for ever."""
    monkeypatch.setattr(following, "DEAF_S", 0.5)
    configure(project, f"{BOOT} --load-seconds 300", {"deaf": loading(), "picture": saving()})
    async with server() as app:
        await app.runs.plan(app.caller)
        begun = await until_running(app, "deaf")
        await app.execs.job(app.caller, action="cancel", id=begun.attempt)
        gone = await app.attempts.run(app.caller, test="deaf", wait_seconds=WAIT_S)
        assert (gone.verdict, "was restarted" in gone.evidence["recovery"]) == ("cancelled", True)
        await app.runs.checkpoint(app.caller, result="skipped")
        assert (await run(app, "picture")).verdict == "passed"


async def test_a_server_that_lives_and_does_not_answer_is_given_until_the_time_limit(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is timed out, not lost, and its process ended."""
    for name, seconds in {"LOOK_S": 0.2, "SILENT_S": 0.3, "DEAF_S": 0.3}.items():
        monkeypatch.setattr(following, name, seconds)
    configure(project, BOOT, {"long": slow(30.0), "picture": saving()})
    async with server() as app:
        await app.runs.plan(app.caller)
        await until_running(app, "long", timeout_s=2)
        os.kill((await app.sessions.start(app.caller)).pid or 0, signal.SIGSTOP)
        late = await run(app, "long")
        assert (late.verdict, "was restarted" in late.evidence["recovery"]) == ("timed_out", True)
        assert (await run(app, "picture")).verdict == "passed"


async def test_a_verdict_that_cannot_be_stored_at_once_is_not_made_again(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was seen is kept until the database takes it."""
    configure(project, BOOT, {"picture": saving()})
    told: list[str] = []

    def reluctant(con: Any, **facts: Any) -> Any:
        told.append(facts["outcome"].evidence["prompt_id"])
        if len(told) == 1:
            raise StoreError("the disk is full")
        return settled(con, **facts)

    monkeypatch.setattr(execution, "settled", reluctant)
    monkeypatch.setattr(execution, "RETRY_S", 0.05)
    followed: list[object] = []
    monkeypatch.setattr(workflows, "follow_workflow", lambda *work: followed.append(work))
    async with server() as app:
        assert (await run(app, "picture")).verdict == "passed"
    assert told == told[:1] * 2
    assert followed == []


async def test_a_defect_after_the_work_leaves_no_attempt_open(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is lost and says so, instead of holding the service for ever."""
    configure(project, BOOT, {"picture": saving()})

    async def broken(worlds: Worlds, before: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(Worlds, "after_test", broken)
    async with server() as app:
        done = await run(app, "picture")
        assert (done.verdict, "mcp_e2e itself failed" in done.failure["message"]) == ("lost", True)
        assert await app._place.run(attempts.unfinished) == []


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


async def test_nobody_elses_prompt_dies_for_our_memory(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It did not come back, but somebody waits in the queue: no restart, and the second time it is red."""
    monkeypatch.setattr(workflows, "EMPTY", 1.1)
    monkeypatch.setattr(workflows, "FREED_S", 0.2)
    hungry = through("SimulatedOutOfMemory", until="restart", exception="torch.OutOfMemoryError")
    configure(project, BOOT, {"picture": saving(), "hungry": hungry})
    async with server() as app:
        await app.runs.plan(app.caller)
        await run(app, "picture")
        url = (await app.sessions.start(app.caller)).url or ""
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            await http.post("/prompt", json={"prompt": slow(1.0), "client_id": "a person"})
            await until_running(app, "hungry")
            theirs = (await http.post("/prompt", json={"prompt": slow(2.0), "client_id": "a person"})).json()
            done = await run(app, "hungry")
            history = (await http.get(f"/history/{theirs['prompt_id']}")).json()
        assert (done.verdict, done.failure["kind"], bool(done.rerun_of)) == ("failed", "out_of_memory", True)
        assert history[theirs["prompt_id"]]["status"]["status_str"] == "success"
        assert await generation(app) == 1


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
    deleted: list[str]

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
        self.deleted += body.get("delete", ())
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
def unclaimed() -> Iterator[tuple[str, type[Unclaimed]]]:
    handler = type("Handler", (Unclaimed,), {"posted": [], "deleted": []})
    stuck = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=stuck.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{stuck.server_port}", handler
    stuck.shutdown()
    stuck.server_close()
    thread.join(10)


async def test_a_prompt_that_nobody_takes_is_lost(
    server: Servers, project: Path, unclaimed: tuple[str, type[Unclaimed]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """First in a queue of which nothing runs, for long: nothing takes prompts any more.

    Attached, so it is only told, and what we have queued is taken back.
    """
    monkeypatch.setattr(worker, "UNCLAIMED_S", 0.5)
    url, stuck = unclaimed
    (project / "p.json").write_text(json.dumps(saving()))
    (project / "mcp-e2e.toml").write_text(
        f'[services.c]\nkind = "comfyui"\nurl = "{url}"\n[[tests]]\nid = "p"\nworkflow = "p.json"\n'
    )
    async with server(stops=False) as app:
        done = await run(app, "p")
        assert (done.verdict, done.failure["message"]) == ("lost", following.DEAD)
        assert "not ours to restart" in done.evidence["recovery"]
    assert len(stuck.posted) == 2
    assert set(stuck.posted) == set(stuck.deleted)


async def test_another_server_goes_on_with_a_prompt_by_its_id(server: Servers, project: Path) -> None:
    """The events go to a client that is gone; the verdict is found all the same."""
    configure(project, BOOT, {"long": slow(1.5)})
    async with server(client="codex", stops=False) as one:
        begun = await until_running(one, "long")
    async with server() as two:
        done = await run(two, "long")
        assert (done.attempt, done.verdict) == (begun.attempt, "passed")
        stored = await two._place.run(lambda con: attempts.get(con, begun.attempt))
        assert stored is not None
        assert stored.by.startswith("codex")
