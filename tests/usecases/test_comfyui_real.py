"""What a real ComfyUI does when it dies, falls deaf or runs out of memory under a test."""

import os
import signal
from pathlib import Path
from typing import Any

import anyio
import pytest

from mcp_e2e.bootstrap import App
from mcp_e2e.executors import worker
from tests.usecases.conftest import Servers
from tests.usecases.laboratory import command, lab, needs_real
from tests.usecases.test_workflows import configure, saving

pytestmark = [pytest.mark.comfyui, needs_real, pytest.mark.timeout(400)]
WAIT_S = 200.0


async def running(app: App, test: str) -> Any:
    """The attempt at ``test`` once its prompt runs."""
    answer = await app.attempts.run(app.caller, test=test, wait_seconds=0)
    with anyio.fail_after(WAIT_S):
        while answer.state != "running" or "elapsed" in str(answer.progress) or not answer.progress:
            answer = await app.attempts.run(app.caller, test=test, wait_seconds=0.05)
    return answer


async def test_killed_in_mid_prompt_it_is_lost_restarted_and_run_once_more(server: Servers, project: Path) -> None:
    """The report says who died; the rerun on the next generation counts, nothing is red."""
    configure(project, command(project / "lab"), {"long": lab("", 3.0)})
    async with server(PATH=os.environ["PATH"]) as app:
        begun = await running(app, "long")
        session = await app.sessions.start(app.caller)
        os.kill(session.pid or 0, signal.SIGKILL)
        done = await app.attempts.run(app.caller, test="long", wait_seconds=WAIT_S)
        run = await app.runs.get((await app.status.show(app.caller)).run["run"])
        lost = run.slot(1).attempts[0]
        assert (done.verdict, done.rerun_of) == ("passed", begun.attempt)
        assert lost.failure is not None
        assert "died under it (generation 1): signal 9" in lost.failure.message
        assert (await app.breaker.show()).consecutive_failures == 0


async def test_a_dead_worker_behind_a_server_that_answers_is_noticed(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP is healthy, the prompt runs for ever: lost, the service restarted, run once more, and told."""
    monkeypatch.setattr(worker, "QUIET_S", 3.0)
    configure(project, command(project / "lab"), {"zombie": lab("exit", 0.5), "picture": saving()})
    async with server(PATH=os.environ["PATH"]) as app:
        done = await app.attempts.run(app.caller, test="zombie", wait_seconds=WAIT_S)
        assert done.verdict == "lost"
        assert done.rerun_of is not None
        assert done.failure is not None
        assert "the thread that runs prompts has died" in done.failure["message"]
        session = await app.sessions.start(app.caller, wait_seconds=WAIT_S)
        assert session.generation == 3
        assert (await app.attempts.run(app.caller, test="picture", wait_seconds=WAIT_S)).verdict == "passed"


async def test_a_node_that_does_not_listen_ends_with_its_service(server: Servers, project: Path) -> None:
    """Timed out, and the next test runs on a new generation instead of waiting behind it."""
    configure(project, command(project / "lab"), {"deaf": lab("", 500.0), "picture": saving()})
    async with server(PATH=os.environ["PATH"]) as app:
        late = await app.attempts.run(app.caller, test="deaf", timeout_s=2, wait_seconds=WAIT_S, checkpoint=True)
        assert late.verdict == "timed_out"
        assert late.failure is not None
        assert "does not listen" in late.failure["message"]
        assert late.evidence is not None
        assert "was restarted" in late.evidence["recovery"]
        assert (await app.attempts.run(app.caller, test="picture", wait_seconds=WAIT_S)).verdict == "passed"


async def test_out_of_memory_in_a_used_process_is_made_again_with_it_given_back(server: Servers, project: Path) -> None:
    """It shows nothing about the test; on a fresh process the same would be red."""
    once = project / "once"
    configure(project, command(project / "lab"), {"picture": saving(), "hungry": lab(f"memory {once}")})
    async with server(PATH=os.environ["PATH"]) as app:
        assert (
            await app.attempts.run(app.caller, test="picture", wait_seconds=WAIT_S, checkpoint=True)
        ).verdict == "passed"
        done = await app.attempts.run(app.caller, test="hungry", wait_seconds=WAIT_S)
        assert (done.verdict, bool(done.rerun_of)) == ("passed", True)
        assert done.position is not None
        lost = (await app.runs.get(done.position.run)).slot(1).attempts[0]
        assert (lost.verdict, lost.failure.kind if lost.failure else None) == ("lost", "out_of_memory")
        assert lost.evidence["recovery"].startswith("models and cached results were unloaded")


async def test_out_of_memory_in_a_fresh_process_is_red(server: Servers, project: Path) -> None:
    """Nothing else has taken the memory, so the workflow needs too much of it."""
    configure(project, command(project / "lab"), {"hungry": lab(f"memory {project / 'once'}")})
    async with server(PATH=os.environ["PATH"]) as app:
        done = await app.attempts.run(app.caller, test="hungry", wait_seconds=WAIT_S)
        assert done.verdict == "failed"
        assert done.failure is not None
        assert done.failure["kind"] == "out_of_memory"
        assert (await app.sessions.start(app.caller)).generation == 1
