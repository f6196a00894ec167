"""Workflow tests on the simulated ComfyUI, and on a real one where its start command is given."""

import json
import os
import shlex
import signal
import sys
from pathlib import Path

import anyio
import pytest

from mcp_e2e.bootstrap import App
from mcp_e2e.errors import SetupError, UsageError
from mcp_e2e.model.services import Health
from mcp_e2e.usecases.cleaning import output_folders
from tests.usecases.conftest import Servers

SIMULATED = f"{sys.executable} -m mcp_e2e.demo.simulated_comfyui --port {{port}} --output-directory {{outputs}}"
REAL = os.environ.get("MCP_E2E_COMFYUI_CMD")


def saving(*, color: int = 4711, prefix: str = "picture") -> dict[str, object]:
    """A model-free graph that both servers run."""
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 48, "batch_size": 1, "color": color}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
    }


def slow(seconds: float) -> dict[str, object]:
    """Only the simulated server knows this node."""
    inputs = {"seed": 1, "steps": 20, "seconds": seconds, "width": 64, "height": 64}
    graph = saving()
    graph["1"] = {"class_type": "SimulatedSlow", "inputs": inputs}
    return graph


def configure(
    project: Path, command: str, graphs: dict[str, dict[str, object]], expect: str = "{ images = 1 }"
) -> None:
    words = json.dumps(shlex.split(command))
    text = f'[services.comfyui]\nkind = "comfyui"\ncommand = {words}\nport = 0\nstop_grace_s = 2\n'
    for name, graph in graphs.items():
        (project / f"{name}.json").write_text(json.dumps(graph))
        text += f'[[tests]]\nid = "{name}"\nworkflow = "{name}.json"\nexpect = {expect}\n'
    (project / "mcp-e2e.toml").write_text(text)


async def three_fresh_images(app: App) -> set[str]:
    await app.runs.plan(app.caller, tests=["picture"], count=3)
    files = set()
    for _ in range(3):
        answer = await app.attempts.run(app.caller, checkpoint=True, wait_seconds=120)
        assert answer.verdict == "passed", answer
        assert answer.evidence is not None
        assert (answer.evidence["cached"], answer.evidence["nodes_executed"]) == (False, 2)
        (artifact,) = answer.evidence["artifacts"]
        assert Path(artifact["path"]).stat().st_size == artifact["bytes"]
        files.add(artifact["path"])
    return files


async def test_one_workflow_three_times_in_one_session_gives_three_fresh_images(server: Servers, project: Path) -> None:
    """The cache answers none of them, and each is collected."""
    configure(project, f"{SIMULATED} --boot-seconds 0.3", {"picture": saving()})
    async with server() as app:
        files = await three_fresh_images(app)
        report = await app.reports.show(app.caller)
    assert len(files) == 3
    assert (report.overall, report.restarts) == ("passed", 0)


@pytest.mark.comfyui
@pytest.mark.skipif(REAL is None, reason="MCP_E2E_COMFYUI_CMD names no real ComfyUI")
@pytest.mark.timeout(300)
async def test_a_real_comfyui_does_the_same(server: Servers, project: Path) -> None:
    """Booted by start_session, three images in one session, each in a new file."""
    configure(project, str(REAL), {"picture": saving()})
    async with server(PATH=os.environ["PATH"]) as app:
        session = await app.sessions.start(app.caller, wait_seconds=180)
        assert session.state == "ready", session
        files = await three_fresh_images(app)
        now = await app.sessions.start(app.caller)
    assert len(files) == 3
    assert (now.pid, now.generation) == (session.pid, 1)


async def test_a_comfyui_killed_in_mid_prompt_is_lost_restarted_and_run_once_more(
    server: Servers, project: Path
) -> None:
    """The rerun is on the next generation; nothing is counted as red."""
    configure(project, f"{SIMULATED} --boot-seconds 0.2", {"long": slow(1.0)})
    async with server() as app:
        begun = await app.attempts.run(app.caller, test="long", wait_seconds=0)
        with anyio.fail_after(20):
            while begun.state != "running":
                begun = await app.attempts.run(app.caller, test="long", wait_seconds=0.05)
        session = await app.sessions.start(app.caller)
        os.kill(session.pid or 0, signal.SIGKILL)
        done = await app.attempts.run(app.caller, test="long", wait_seconds=60)
        assert (done.verdict, done.rerun_of) == ("passed", begun.attempt)
        assert done.evidence is not None
        assert done.evidence["generation"] == session.generation + 1
        (lost, _) = (await app.runs.get(done.position.run)).slot(1).attempts  # type: ignore[union-attr]
        assert lost.failure is not None
        assert lost.failure.message == "comfyui died under it (generation 1): signal 9"
        assert (await app.breaker.show()).consecutive_failures == 0


async def test_unknown_nodes_and_bad_values_are_setup_all_at_once(server: Servers, project: Path) -> None:
    """They are known only to the server, yet the test is no attempt."""
    graph = saving()
    graph["3"] = {"class_type": "NoSuchNode", "inputs": {}}
    graph["4"] = {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "b"}}
    graph["5"] = {"class_type": "EmptyImagge", "inputs": {}}
    configure(project, f"{SIMULATED} --boot-seconds 0.2", {"broken": graph})
    async with server() as app:
        with pytest.raises(SetupError, match="NoSuchNode") as caught:
            await app.attempts.run(app.caller, test="broken", wait_seconds=60)
        assert "EmptyImagge" in caught.value.message
        assert (await app.breaker.show()).consecutive_failures == 0
        report = await app.reports.show(app.caller)
        assert report.counts is not None
        assert report.counts["attempts"] == 0


async def test_a_node_that_raises_is_red_and_named(server: Servers, project: Path) -> None:
    """Node, class and message are what has to be repaired."""
    graph = saving()
    graph["3"] = {"class_type": "SimulatedError", "inputs": {"image": ["1", 0], "message": "no such sampler"}}
    graph["2"] = {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x"}}
    configure(project, f"{SIMULATED} --boot-seconds 0.2", {"raises": graph})
    async with server() as app:
        answer = await app.attempts.run(app.caller, test="raises", wait_seconds=60)
        assert answer.verdict == "failed"
        assert answer.failure is not None
        assert "node 3 (SimulatedError)" in answer.failure["message"]
        assert "no such sampler" in answer.failure["message"]


async def test_expectations_judge_the_collected_images(server: Servers, project: Path) -> None:
    """Too small and blank: red, with both said."""
    configure(
        project,
        f"{SIMULATED} --boot-seconds 0.2",
        {"picture": saving()},
        "{ images = 1, min_width = 512, not_blank = true }",
    )
    async with server() as app:
        answer = await app.attempts.run(app.caller, test="picture", wait_seconds=60)
        assert answer.failure is not None
        assert "width 64" in answer.failure["message"]
        assert "blank" in answer.failure["message"]


async def test_a_prompt_over_its_time_is_interrupted_and_timed_out(server: Servers, project: Path) -> None:
    """The queue is free for the next test."""
    configure(project, f"{SIMULATED} --boot-seconds 0.2", {"long": slow(30.0), "picture": saving()})
    async with server() as app:
        late = await app.attempts.run(app.caller, test="long", timeout_s=0.6, wait_seconds=60, checkpoint=True)
        assert late.verdict == "timed_out"
        assert (await app.attempts.run(app.caller, test="picture", wait_seconds=60)).verdict == "passed"


async def test_params_set_inputs_and_an_unknown_one_is_told(server: Servers, project: Path) -> None:
    """By node input; ambiguous or misspelt names run nothing."""
    configure(project, f"{SIMULATED} --boot-seconds 0.2", {"picture": saving()})
    async with server() as app:
        with pytest.raises(UsageError, match="widht"):
            await app.attempts.run(app.caller, test="picture", params={"widht": 8})
        answer = await app.attempts.run(app.caller, test="picture", params={"1.inputs.width": 128}, wait_seconds=60)
        assert answer.verdict == "passed"
        assert answer.params == {"1.inputs.width": 128}


async def test_cleaning_takes_our_files_and_leaves_those_of_others(server: Servers, project: Path) -> None:
    """A file with the name of one of ours but other content is somebody else's."""
    configure(project, f"{SIMULATED} --boot-seconds 0.2", {"picture": saving()})
    outputs = project / ".mcp-e2e" / "outputs" / "comfyui"
    theirs = project / "output" / "picture_00001_.png"
    async with server() as app:
        await app.attempts.run(app.caller, test="picture", wait_seconds=60, checkpoint=True)
        assert [path.name for path in outputs.iterdir()] == ["picture_00001_.png"]
        theirs.parent.mkdir()
        theirs.write_bytes(b"a picture of the user")
        (outputs / "mine.png").write_bytes(b"not of a test")
        await app.attempts.run(app.caller, test="picture", wait_seconds=60, checkpoint=True)

    assert theirs.read_bytes() == b"a picture of the user"
    assert sorted(path.name for path in outputs.iterdir()) == ["mine.png", "picture_00001_.png"]


async def test_a_later_copy_of_one_of_our_files_is_somebody_elses(server: Servers, project: Path) -> None:
    """Of the same name and content, but made after the attempt was over: the next attempt leaves it there."""
    configure(project, f"{SIMULATED} --boot-seconds 0.2", {"picture": saving()})
    file = project / ".mcp-e2e" / "outputs" / "comfyui" / "picture_00001_.png"
    async with server() as app:
        await app.attempts.run(app.caller, test="picture", wait_seconds=60, checkpoint=True)
        made = file.stat().st_mtime
        os.utime(file, (made + 60, made + 60))
        again = await app.attempts.run(app.caller, test="picture", wait_seconds=60, checkpoint=True)
        assert again.verdict == "passed"
    assert sorted(path.name for path in file.parent.iterdir()) == ["picture_00001_.png", "picture_00002_.png"]


async def test_a_link_out_of_the_outputs_is_never_cleaned_through(server: Servers, project: Path) -> None:
    """The folder that ComfyUI saved into was moved away and linked back: what lies behind the link stays."""
    configure(project, f"{SIMULATED} --boot-seconds 0.2", {"picture": saving(prefix="set/picture")})
    outputs, album = project / ".mcp-e2e" / "outputs" / "comfyui", project.parent / f"{project.name}-album"
    async with server() as app:
        await app.attempts.run(app.caller, test="picture", wait_seconds=60, checkpoint=True)
        (outputs / "set").rename(album)
        (outputs / "set").symlink_to(album)
        await app.attempts.run(app.caller, test="picture", wait_seconds=60, checkpoint=True)
    assert (album / "picture_00001_.png").exists()


async def test_outputs_are_cleaned_where_the_server_says_it_writes(server: Servers, project: Path) -> None:
    """Its own flags tell the folder, also one that the configuration did not choose."""
    words = f"{sys.executable} -m mcp_e2e.demo.simulated_comfyui --port {{port}} --output-directory mine"
    configure(project, words, {"picture": saving()})
    async with server() as app:
        for _ in range(2):
            answer = await app.attempts.run(app.caller, test="picture", wait_seconds=60, checkpoint=True)
            assert answer.verdict == "passed"
    assert [path.name for path in (project / "mine").iterdir()] == ["picture_00001_.png"]


async def test_globs_spare_our_own_state(server: Servers, project: Path) -> None:
    """Everything under cwd may be named; golden images, database and artifacts are no leftovers of a service."""
    configure(project, f"{SIMULATED} --boot-seconds 0.2", {"picture": saving()})
    text = (project / "mcp-e2e.toml").read_text()
    (project / "mcp-e2e.toml").write_text(text.replace("port = 0\n", 'port = 0\nclean = ["**/*.png", "**/*.db"]\n'))
    async with server() as app:
        first = await app.attempts.run(app.caller, test="picture", wait_seconds=60, checkpoint=True)
        (project / "left.png").write_bytes(b"left behind by the service")
        golden = project / "golden/picture/9-1.png"
        golden.parent.mkdir(parents=True)
        golden.write_bytes(b"accepted while the service ran")
        second = await app.attempts.run(app.caller, test="picture", wait_seconds=60, checkpoint=True)
    assert (first.verdict, second.verdict) == ("passed", "passed")
    assert first.evidence is not None
    assert Path(first.evidence["artifacts"][0]["path"]).exists()
    assert not (project / "left.png").exists()
    assert golden.exists()


def test_a_folder_that_cannot_be_looked_at_is_not_where_a_server_writes(tmp_path: Path) -> None:
    """A container tells its own path, which here may be nobody's to see, or impossible."""
    told = [Health(True, "ready", argv=("main.py", f"--output-directory={folder}")) for folder in ("n" * 300, "own")]
    (tmp_path / "own").mkdir()
    assert output_folders(told[0], tmp_path / "ours", tmp_path) == [tmp_path / "ours", tmp_path / "output"]
    assert output_folders(told[1], tmp_path / "ours", tmp_path) == [tmp_path / "own"]


async def test_globs_spare_what_an_attempt_on_another_service_writes_now(server: Servers, project: Path) -> None:
    """Only what is older than its start is a leftover."""
    configure(project, f"{SIMULATED} --boot-seconds 0.2", {"picture": saving()})
    text = (project / "mcp-e2e.toml").read_text().replace("port = 0\n", 'port = 0\nclean = ["*.txt"]\n')
    waits = "echo now > written.txt; until [ -e go ]; do sleep 0.02; done"
    words = json.dumps([sys.executable, "service.py", "{port}"])
    text += f'[services.api]\nkind = "command"\ncommand = {words}\nport = 0\nstop_grace_s = 2\n'
    text += f'[[tests]]\nid = "writer"\nservice = "api"\ncommand = ["sh", "-c", {json.dumps(waits)}]\n'
    (project / "mcp-e2e.toml").write_text(text)
    async with server() as app:
        await app.sessions.start(app.caller, service="comfyui", wait_seconds=60)
        await app.sessions.start(app.caller, service="api", wait_seconds=60)
        (project / "left.txt").write_text("left behind")
        await app.runs.plan(app.caller, tests=["writer", "picture"])
        writer = await app.attempts.run(app.caller, test="writer", wait_seconds=0)
        with anyio.fail_after(20):
            while not (project / "written.txt").exists():
                await anyio.sleep(0.02)
        async with server(client="cursor", stops=False) as other:
            answer = await other.attempts.run(other.caller, test="picture", wait_seconds=60)
            assert answer.verdict == "passed", answer
        (project / "go").touch()
        assert (project / "written.txt").exists()
        assert not (project / "left.txt").exists()
        assert writer.state != "done"
        await app.sessions.stop(app.caller, service="api")


async def test_a_broken_link_is_known_before_anything_is_started(server: Servers, project: Path) -> None:
    """All faults of the file at once, and no service was booted for them."""
    graph = saving()
    graph["2"] = {"class_type": "SaveImage", "inputs": {"images": ["77", 0], "filename_prefix": "x"}}
    graph["3"] = {"class_type": "SaveImage", "inputs": {"images": ["78", 0], "filename_prefix": "x"}}
    del graph["1"]
    configure(project, f"{SIMULATED} --boot-seconds 0.2", {"broken": graph})
    async with server() as app:
        with pytest.raises(SetupError, match="node 77") as caught:
            await app.attempts.run(app.caller, test="broken", wait_seconds=60)
        assert "node 78" in caught.value.message
        assert (await app.sessions.stop(app.caller)).generation == 0
