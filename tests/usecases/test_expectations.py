"""Expectations, golden images and commands that judge, on the simulated ComfyUI; and once on a real one."""

import hashlib
import json
import os
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from PIL import Image

from mcp_e2e.adapters.comfyui import collecting
from mcp_e2e.bootstrap import App
from mcp_e2e.errors import SetupError, UsageError
from mcp_e2e.executors import examining
from mcp_e2e.model.answers import AttemptAnswer
from tests.usecases.conftest import Servers
from tests.usecases.test_workflows import REAL, SIMULATED, configure, saving, slow

FAST = f"{SIMULATED} --boot-seconds 0.2"
PARTS = {"width": 64, "height": 48}


def scenes(*seeds: int) -> dict[str, object]:
    """Pictures of the simulated server, another one for each seed; saved by nodes 21, 22, …"""
    graph: dict[str, object] = {}
    for n, seed in enumerate(seeds, 1):
        inputs = {"seed": seed, "steps": 1, "seconds": 0.0, **PARTS}
        graph[f"1{n}"] = {"class_type": "SimulatedSlow", "inputs": inputs}
        graph[f"2{n}"] = {"class_type": "SaveImage", "inputs": {"images": [f"1{n}", 0], "filename_prefix": f"p{n}"}}
    return graph


async def ran(app: App, test: str = "picture", **more: Any) -> AttemptAnswer:
    answer = await app.attempts.run(app.caller, test=test, checkpoint=True, wait_seconds=60, **more)
    assert answer.state == "done", answer
    return answer


def message(answer: AttemptAnswer) -> str:
    assert answer.failure is not None, answer
    return str(answer.failure["message"])


def evidence(answer: AttemptAnswer) -> dict[str, Any]:
    assert answer.evidence is not None
    return dict(answer.evidence)


async def accepted(app: App, test: str = "picture") -> None:
    await app.goldens.accept(app.caller, await app.goldens.offer(test), {"user": "a test"})


async def test_all_that_is_unmet_is_told_at_once(server: Servers, project: Path) -> None:
    """Counts, sizes, blankness and duration, each with its file."""
    expect = "{ images = 2, videos = 1, max_width = 32, min_bytes = 5000, not_blank = true, max_seconds = 0.001 }"
    configure(project, FAST, {"picture": slow(0.3) | {"3": saving()["1"]} | {"4": saver("3")}}, expect)
    async with server() as app:
        said = message(await ran(app))
    for part in ("0 videos instead of 1", "at most 32 expected", "at least 5,000 expected", "is blank", "it took 0."):
        assert part in said
    assert "images instead" not in said


def saver(image: str) -> dict[str, Any]:
    return {"class_type": "SaveImage", "inputs": {"images": [image, 0], "filename_prefix": f"of{image}"}}


async def test_our_services_files_are_copied_not_fetched(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept is what lies in the outputs folder; nothing is asked of the server."""

    async def never(*_: Any) -> Any:
        raise AssertionError("fetched")

    monkeypatch.setattr(collecting, "_download", never)
    configure(project, FAST, {"picture": scenes(1)})
    async with server() as app:
        answer = await ran(app)
        (artifact,) = evidence(answer)["artifacts"]
        (source,) = (project / ".mcp-e2e/outputs/comfyui").glob("*.png")
        assert hashlib.sha256(source.read_bytes()).hexdigest() == artifact["sha256"]
        assert (artifact["width"], artifact["height"]) == (64, 48)
        assert set(evidence(answer)) & {"contents", "keys", "unmet", "not_kept"} == set()


async def stored(app: App) -> Any:
    from mcp_e2e.store import attempts, runs  # noqa: PLC0415

    latest = await app._place.run(lambda con: runs.latest(con, 1))
    return await app._place.run(lambda con: attempts.get(con, latest[0].slots[0].attempts[-1].id))


async def test_different_compares_pixels_with_the_previous_passed_attempt(server: Servers, project: Path) -> None:
    """The file's metadata differ each time; the same seed is the same picture all the same, another one is not."""
    configure(project, FAST, {"picture": scenes(1)}, "{ different = true, width = 64 }")
    async with server() as app:
        assert (await ran(app)).verdict == "passed"
        assert "the same pixels as p1_00001_.png" in message(await ran(app))
        red = await ran(app, params={"11.inputs.seed": 2, "11.inputs.width": 32})
        assert message(red) == "p1_00001_.png has width 32, 64 expected"
        changed(project)
        assert "the same pixels as p1_00001_.png" in message(await ran(app))
        changed(project)
        await app.breaker.reset(app.caller, actor={}, incident=(await app.breaker.show()).incident or "")
        assert (await ran(app, params={"11.inputs.seed": 2})).verdict == "passed"
        assert (await ran(app)).verdict == "passed"


def changed(project: Path) -> None:
    """Something has been worked on since the last red test."""
    (project / f"work-{os.urandom(4).hex()}.py").touch()


async def test_a_missing_golden_image_is_setup_and_says_how_to_accept_one(server: Servers, project: Path) -> None:
    """Before anything runs; it is never red."""
    configure(project, FAST, {"picture": scenes(1)}, "{ golden = true }")
    async with server() as app:
        with pytest.raises(SetupError, match="mcp-e2e golden accept picture"):
            await ran(app)
        with pytest.raises(UsageError, match="has not been run yet"):
            await app.goldens.offer("picture")
        folder = project / "golden" / "picture"
        folder.mkdir(parents=True)
        (folder / "21-1.png").write_bytes(b"nonsense")
        with pytest.raises(SetupError, match="is no readable image"):
            await ran(app)


async def test_a_golden_image_is_accepted_kept_to_and_replaced(server: Servers, project: Path) -> None:
    """The same picture passes; another fails with a number, its limit and a picture of both, and may be accepted."""
    configure(project, FAST, {"picture": scenes(1, 5)}, "{ images = 2 }")
    folder = project / "golden" / "picture"
    async with server() as app:
        await ran(app)
        offer = await app.goldens.offer()
        assert [each["replaces"] for each in offer.shown()["images"]] == ["nothing, it is new"] * 2
        await accepted(app)
        assert sorted(path.name for path in folder.iterdir()) == ["21-1.png", "22-1.png"]
        configure(project, FAST, {"picture": scenes(1, 5)}, "{ golden = true }")
        same = await ran(app)
        assert same.verdict == "passed"
        assert [each["difference"] for each in evidence(same)["compared"]] == [0.0, 0.0]

        other = await ran(app, params={"12.inputs.seed": 6})
        assert "p2_00001_.png differs from picture/22-1.png by 0." in message(other)
        assert "at most 0.05 expected (see compared/22-1.png)" in message(other)
        assert "compared/22-1.png" in [each["name"] for each in evidence(other)["artifacts"]]
        assert evidence(other)["unmet"] == ["golden"]
        offer = await app.goldens.offer("picture")
        assert "picture/22-1.png, from which it differs by 0." in offer.shown()["images"][1]["replaces"]
        before = (folder / "22-1.png").read_bytes()
        await accepted(app)
        assert (folder / "22-1.png").read_bytes() != before
        assert (await ran(app, params={"12.inputs.seed": 6})).verdict == "passed"
        (line,) = await app.goldens.known()
        assert (line["problems"], len(line["golden"]), line["last"]["verdict"]) == ([], 2, "passed")


async def test_images_and_golden_images_must_pair(server: Servers, project: Path) -> None:
    """One more, one less, another size: each a sentence of its own; accepting drops what has no image any more."""
    configure(project, FAST, {"picture": scenes(1, 5)}, "{ images = 2 }")
    folder = project / "golden" / "picture"
    async with server() as app:
        await ran(app)
        await accepted(app)
        (folder / "22-1.png").rename(folder / "29-1.png")
        (folder / "my-sketch.png").write_bytes(b"a person's own")
        configure(project, FAST, {"picture": scenes(1, 5)}, "{ golden = true }")
        answer = await ran(app, params={"11.inputs.width": 128})
        assert "p1_00001_.png: is 128 x 48, picture/21-1.png is 64 x 48" in message(answer)
        assert "no golden image 22-1.png has been accepted" in message(answer)
        assert "there is no image like picture/29-1.png this time" in message(answer)
        offer = await app.goldens.offer()
        assert offer.shown()["dropped"] == [str(folder / "29-1.png")]
        assert offer.shown()["params"] == {"11.inputs.width": 128}
        await accepted(app)
        assert sorted(path.name for path in folder.iterdir()) == ["21-1.png", "22-1.png", "my-sketch.png"]


async def test_similar_to_compares_every_image_with_one_file(server: Servers, project: Path) -> None:
    """A path in the project; a missing one is setup."""
    configure(project, FAST, {"picture": scenes(1)}, "{ similar_to = 'refs/fox.png', tolerance = 0.02 }")
    async with server() as app:
        with pytest.raises(SetupError, match=r"similar_to: .*fox\.png is missing"):
            await ran(app)
        small = Image.frombytes("RGB", (8, 8), random.Random(1).randbytes(192))
        (project / "refs").mkdir()
        small.resize((64, 48), Image.Resampling.BICUBIC).save(project / "refs" / "fox.png")
        assert (await ran(app)).verdict == "passed"
        assert "refs/fox.png by 0." in message(await ran(app, params={"11.inputs.seed": 4}))


async def test_what_is_red_for_another_reason_cannot_become_golden(server: Servers, project: Path) -> None:
    """Nor what was changed after it was judged."""
    configure(project, FAST, {"picture": scenes(1)}, "{ images = 7 }")
    async with server() as app:
        red = await ran(app)
        with pytest.raises(UsageError, match="images instead of 7"):
            await app.goldens.offer("picture")
        configure(project, FAST, {"picture": scenes(1)})
        (artifact,) = evidence(await ran(app))["artifacts"]
        offer = await app.goldens.offer("picture")
        shutil.copy(evidence(red)["artifacts"][0]["path"], artifact["path"])
        Path(artifact["path"]).write_bytes(Path(artifact["path"]).read_bytes() + b" ")
        with pytest.raises(UsageError, match="not any more what was judged"):
            await app.goldens.accept(app.caller, offer, {})
        with pytest.raises(UsageError, match="not any more what was judged"):
            await app.goldens.offer("picture")
        assert not (project / "golden").exists()


JUDGE = """
import os, pathlib, sys, time
out = pathlib.Path(os.environ["MCP_E2E_OUTPUT_DIR"])
"""


def judging(project: Path, script: str, more: str = "") -> None:
    (project / "judge.py").write_text(JUDGE + script)
    command = json.dumps([sys.executable, "judge.py"])
    configure(project, FAST, {"picture": scenes(1)}, f"{{ images = 1, command = {command}{more} }}")


async def test_a_command_judges_the_output_folder(server: Servers, project: Path) -> None:
    """It knows folder, run, attempt, trace, service and params; what it writes there is an artifact; exit 0 is good."""
    judging(
        project,
        "names = ('RUN', 'ATTEMPT', 'SERVICE_URL', 'PARAM_11_INPUTS_SEED')\n"
        "told = [os.environ['TRACEPARENT'], *(os.environ['MCP_E2E_' + name] for name in names)]\n"
        "(out / 'note.txt').write_text(' '.join([*told, *sorted(p.name for p in out.glob('*.png'))]))",
    )
    async with server() as app:
        answer = await ran(app, params={"11.inputs.seed": 3})
        assert answer.verdict == "passed", answer
        names = [each["name"] for each in evidence(answer)["artifacts"]]
        assert names == ["p1_00001_.png", "note.txt"]
        trace, run, attempt, url, seed, png = Path(evidence(answer)["artifacts"][1]["path"]).read_text().split()
        assert (attempt, seed, png, url[:7]) == (answer.attempt, "3", "p1_00001_.png", "http://")
        assert (run[:2], trace[:3], trace[-3:]) == ("r-", "00-", "-01")
        assert evidence(answer)["judge"]["exit_code"] == 0
        assert "judge.py" in evidence(answer)["judge"]["command"]


async def test_a_command_that_says_no_is_a_red_test_in_its_own_words(server: Servers, project: Path) -> None:
    """Its last words are the message."""
    judging(project, "print('a line before')\nsys.exit('the fox has six fingers')")
    async with server() as app:
        answer = await ran(app)
        assert (answer.verdict, answer.failure and answer.failure["kind"]) == ("failed", "assertion")
        assert message(answer) == "its command judged the outputs: exit code 1: the fox has six fingers"
        assert "a line before" in evidence(answer)["log_tail"]


@pytest.mark.parametrize(
    ("script", "more", "said"),
    [
        ("time.sleep(60)", ", command_timeout_s = 0.5", "still running after its time limit"),
        ("os.kill(os.getpid(), 9)", "", "ended by signal 9"),
    ],
)
async def test_a_command_that_does_not_end_by_itself_has_judged_nothing(
    server: Servers, project: Path, script: str, more: str, said: str
) -> None:
    """The verdict is errored: it ran and could not be judged."""
    judging(project, script, more)
    async with server() as app:
        answer = await ran(app)
        assert answer.verdict == "errored"
        assert said in message(answer)


async def test_a_missing_judge_is_setup_and_one_that_is_not_needed_does_not_run(server: Servers, project: Path) -> None:
    """A program that does not exist is known before; other expectations are looked at first."""
    configure(project, FAST, {"picture": scenes(1)}, "{ command = ['./no-such-judge'] }")
    async with server() as app:
        with pytest.raises(SetupError, match="no-such-judge"):
            await ran(app)
        judging(project, "(out / 'ran').touch()", ", videos = 1")
        answer = await ran(app)
        assert message(answer) == "0 videos instead of 1"
        assert not list(project.glob(".mcp-e2e/artifacts/*/*/ran"))


@pytest.mark.parametrize("by", ["attempt", "job"])
async def test_a_judged_attempt_can_be_cancelled(server: Servers, project: Path, by: str) -> None:
    """By its own id or that of the command's job: the tree ends with it, and nothing is red."""
    judging(project, "(out / 'began').touch()\ntime.sleep(60)")
    async with server() as app:
        begun = await app.attempts.run(app.caller, test="picture", wait_seconds=0)
        await until_judged(project)
        name = begun.attempt if by == "attempt" else (await stored(app)).carried["judge"]
        await app.execs.job(app.caller, action="cancel", id=name)
        done = await app.attempts.run(app.caller, test="picture", wait_seconds=30)
        assert done.verdict == "cancelled"
        assert (await app.breaker.show()).consecutive_failures == 0


async def until_judged(project: Path) -> None:
    with anyio.fail_after(30):
        while not list(project.glob(".mcp-e2e/artifacts/*/*/began")):
            await anyio.sleep(0.05)


async def test_another_server_takes_the_judging_over(server: Servers, project: Path) -> None:
    """The command goes on while no server lives, runs once, and its word is the verdict."""
    judging(
        project,
        "(out / 'began').open('a').write('x')\n"
        "while not pathlib.Path('go').exists(): time.sleep(0.02)\nsys.exit('seen by nobody')",
    )
    async with server(stops=False) as app:
        begun = await app.attempts.run(app.caller, test="picture", wait_seconds=0)
        await until_judged(project)
    (project / "go").touch()
    async with server() as app:
        done = await app.attempts.run(app.caller, test="picture", wait_seconds=30)
        assert (done.attempt, done.verdict) == (begun.attempt, "failed")
        assert "seen by nobody" in message(done)
        assert [path.read_text() for path in project.glob(".mcp-e2e/artifacts/*/*/began")] == ["x"]


async def test_a_judge_that_cannot_be_started_any_more_leaves_an_errored_verdict(
    server: Servers, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configuration broke while the prompt ran: the attempt ends all the same, and says why."""
    judging(project, "pass")
    async with server() as app:
        begin = examining.collect

        async def breaks_meanwhile(*args: Any, **how: Any) -> Any:
            (project / "mcp-e2e.toml").write_text("[[[")
            return await begin(*args, **how)

        monkeypatch.setattr(examining, "collect", breaks_meanwhile)
        text = (project / "mcp-e2e.toml").read_text()
        begun = await app.attempts.run(app.caller, test="picture", wait_seconds=0)
        with anyio.fail_after(30):
            while (now := await stored(app)).open:
                await anyio.sleep(0.05)
        (project / "mcp-e2e.toml").write_text(text)
        assert (now.id, now.verdict) == (begun.attempt, "errored")
        assert "the outputs could not be judged" in now.failure.message


@pytest.mark.comfyui
@pytest.mark.skipif(REAL is None, reason="MCP_E2E_COMFYUI_CMD names no real ComfyUI")
@pytest.mark.timeout(300)
async def test_a_real_comfyui_gives_every_kind_and_a_golden_image(server: Servers, project: Path) -> None:
    """Image, animation, video, audio and text of one prompt; its images are accepted, and a changed one fails."""
    graph = saving(color=0x336699) | {
        "3": {"class_type": "PrimitiveString", "inputs": {"value": "a red fox"}},
        "4": {"class_type": "PreviewAny", "inputs": {"source": ["3", 0]}},
        "5": {"class_type": "EmptyAudio", "inputs": {"duration": 0.2, "sample_rate": 48000, "channels": 2}},
        "6": {"class_type": "SaveAudio", "inputs": {"audio": ["5", 0], "filename_prefix": "audio/a"}},
        "7": {
            "class_type": "SaveWEBM",
            "inputs": {"images": ["1", 0], "filename_prefix": "w", "codec": "vp9", "fps": 8.0, "crf": 32.0},
        },
        "8": {
            "class_type": "SaveAnimatedWEBP",
            "inputs": {
                "images": ["1", 0],
                "filename_prefix": "anim",
                "fps": 6.0,
                "lossless": True,
                "quality": 80,
                "method": "default",
            },
        },
    }
    expect = "{ files = 5, images = 2, videos = 1, audios = 1, texts = 1, width = 64, height = 48"
    configure(project, str(REAL), {"picture": graph}, f"{expect} }}")
    async with server(PATH=os.environ["PATH"]) as app:
        session = await app.sessions.start(app.caller, wait_seconds=180)
        assert session.state == "ready", session
        first = await app.attempts.run(app.caller, test="picture", checkpoint=True, wait_seconds=120)
        assert first.verdict == "passed", first
        await accepted(app)
        configure(project, str(REAL), {"picture": graph}, f"{expect}, golden = true }}")
        again = await app.attempts.run(app.caller, test="picture", checkpoint=True, wait_seconds=120)
        assert again.verdict == "passed", again
        assert [each["difference"] for each in evidence(again)["compared"]] == [0.0, 0.0]
        changed = {"1.inputs.color": 0xFFFFFF}
        other = await app.attempts.run(app.caller, test="picture", params=changed, wait_seconds=120)
        assert "differs from picture/2-1.png by 0." in message(other)
        names = [each["name"] for each in evidence(other)["artifacts"]]
        assert "text_4.txt" in names
        assert "compared/2-1.png" in names
