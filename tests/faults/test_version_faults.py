"""Fault 50 and the version part of 51: server, keeper and job folders of different versions."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import mcp_e2e
from mcp_e2e.errors import LaunchError, ServiceUnavailable, StoreError
from mcp_e2e.model.jobs import Job, JobSpec, JobState, Readiness, RestartPolicy
from mcp_e2e.process import jobs, records, spare
from mcp_e2e.process.identity import is_alive, send_signal
from mcp_e2e.process.keeping import versions
from mcp_e2e.process.locks import FileLock
from tests.process.conftest import Room
from tests.usecases.conftest import Servers

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no keepers there yet")
QUICK = RestartPolicy("on-failure", backoff_first_s=0.05)


def rewrite(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """As a writer of another version would have left it."""
    stored = json.loads(file.read_text())
    change(stored)
    file.write_text(json.dumps(stored))


def older(job: Job) -> None:
    """Without anything that a first version of format 1 need not have known."""

    def spec(stored: dict[str, Any]) -> None:
        for name in versions._SPEC:
            del stored[name]

    def state(stored: dict[str, Any]) -> None:
        del stored["layers"]
        for life in stored["lives"]:
            del life["ready_at"], life["cause"]

    rewrite(job.folder / "spec.json", spec)
    rewrite(job.folder / "state.json", state)


def newer(stored: dict[str, Any]) -> None:
    stored["schema"] = versions.SCHEMA + 1


async def orphaned(room: Room, job: Job) -> Job:
    assert job.keeper is not None
    send_signal(job.keeper, signal.SIGKILL)
    orphan: Job = await room.until(lambda: (seen := room.look(job)).state is JobState.ORPHAN and seen)
    return orphan


@pytest.mark.skipif(sys.platform != "linux", reason="adoption needs pidfd and /proc")
async def test_fault_50_a_new_server_takes_over_what_an_old_keeper_left(room: Room) -> None:
    """Fields it did not know are missing: the job is looked at, adopted, restarted and stopped all the same."""
    before = await orphaned(room, await room.service("sh", "-c", "echo up; exec sleep 60", restart=QUICK))
    older(before)
    assert room.look(before).process == before.process
    assert await jobs.adopt(room.dir, before.id)
    assert before.process is not None
    send_signal(before.process, signal.SIGKILL)
    now = await room.until(
        lambda: (seen := room.look(before)).generation == 2 and seen.state is JobState.RUNNING and seen
    )
    assert is_alive(now.process)
    assert (await jobs.stop(room.dir, before.id)).exit.reason == "stopped"


async def test_fault_50_a_new_keeper_runs_what_an_old_server_asks_for(room: Room) -> None:
    """The package was upgraded under a running server: its spec lacks what the new keeper knows."""
    spec = room.spec("sh", "-c", "echo ran; exit 5")
    os.close(jobs._prepare(room.dir, spec))

    def drop(stored: dict[str, Any]) -> None:
        for name in versions._SPEC:
            del stored[name]

    rewrite(room.dir / spec.id / "spec.json", drop)
    assert room.keeper_on(room.dir / spec.id) == {"ok": True}
    ended = await room.end(jobs.look(room.dir, spec.id))
    assert ended.exit is not None
    assert ended.exit.exit_code == 5


@pytest.mark.parametrize("file", ["spec.json", "state.json"])
async def test_fault_50_an_old_server_says_what_it_does_not_understand_and_touches_nothing(
    room: Room, file: str
) -> None:
    """A newer format: no guess, no kill, no adoption, whether its keeper lives or not; other jobs are listed."""
    job = await room.service("sh", "-c", "echo up; exec sleep 60")
    other = await room.command("sleep", "60")
    kept = (job.folder / file).read_text()
    rewrite(job.folder / file, newer)
    for ask in (jobs.stop(room.dir, job.id), jobs.wait(room.dir, job.id, 0.1), jobs.adopt(room.dir, job.id)):
        with pytest.raises(StoreError, match=rf"{job.id}.*{file} has format 2, and this version of mcp_e2e reads 1"):
            await ask
    assert [found.id for found in jobs.list_jobs(room.dir)] == [other.id]
    assert [job.id in told for told in jobs.strange_jobs(room.dir)] == [True]
    assert not (job.folder / "want").exists()
    assert job.keeper is not None
    assert job.process is not None
    send_signal(job.keeper, signal.SIGKILL)
    await room.until(lambda: not FileLock.is_held(job.folder / "lock"))
    with pytest.raises(StoreError):
        await jobs.adopt(room.dir, job.id)
    assert is_alive(job.process)
    assert not FileLock.is_held(job.folder / "lock")
    (job.folder / file).write_text(kept)  # so that it can be ended


async def test_fault_50_an_old_keeper_refuses_what_it_does_not_understand(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the format and runs nothing; the launch says so."""
    understood = records.stored_spec
    monkeypatch.setattr(jobs, "stored_spec", lambda spec, at: {**understood(spec, at), "schema": 2})
    spec = room.spec("touch", str(room.cwd / "ran"))
    with pytest.raises(LaunchError, match=r"spec.json of the job has format 2"):
        await jobs.launch(room.dir, spec)
    assert not (room.cwd / "ran").exists()
    assert not (room.dir / spec.id / "state.json").exists()
    rewrite(room.dir / spec.id / "spec.json", lambda stored: stored.update(schema=1))
    await room.until(lambda: not FileLock.is_held(room.dir / spec.id / "lock"))
    assert jobs.look(room.dir, spec.id).state is JobState.NEVER_STARTED


@pytest.mark.skipif(sys.platform != "linux", reason="adoption needs pidfd and /proc")
async def test_fault_50_an_old_keeper_adopts_nothing_that_it_does_not_understand(room: Room) -> None:
    """The state changed its format between the server's look and the keeper's: it leaves the process alone."""
    job = await orphaned(room, await room.service("sh", "-c", "echo up; exec sleep 60"))
    kept = (job.folder / "state.json").read_text()
    rewrite(job.folder / "state.json", newer)
    written = (job.folder / "state.json").read_text()
    assert not jobs._adopt(job.folder)
    assert (job.folder / "state.json").read_text() == written
    assert is_alive(job.process)
    (job.folder / "state.json").write_text(kept)


async def test_fault_50_a_session_of_a_newer_version_is_told_and_left_alone(project: Path, server: Servers) -> None:
    """Start and stop say why they do nothing; the status has it too, and goes on for all else."""
    async with server() as app:
        started = await app.sessions.start(app.caller)
        file = app._place.layout.jobs / (started.job or "") / "state.json"
        kept = file.read_text()
        rewrite(file, newer)
        try:
            for ask in (app.sessions.start(app.caller), app.sessions.stop(app.caller)):
                with pytest.raises(ServiceUnavailable, match=r"nothing is done to it: its state\.json has format 2"):
                    await ask
            shown = await app.status.show(app.caller)
            ran = await app.execs.run(app.caller, command="echo fine", wait_seconds=20)
        finally:
            file.write_text(kept)
        assert started.pid is not None
        assert psutil.pid_exists(started.pid)
    assert (shown.services or [])[0]["state"] == "unknown"
    assert any("has format 2" in told for told in shown.warnings)
    assert ran.exit_code == 0


async def test_fault_51_a_spare_of_another_version_is_not_used(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was started before the upgrade: it says so, and a keeper started anew runs the job, once."""
    monkeypatch.setattr(spare, "__version__", "0.0.1")
    one = spare.Spare()
    one.prepare()
    try:
        job = await jobs.launch(room.dir, room.spec("sh", "-c", "echo ran; sleep 60"), one)
    finally:
        one.close()
    assert job.keeper is not None
    assert "--spare" not in psutil.Process(job.keeper.pid).cmdline()
    assert await room.line(job) == "ran"
    assert job.log.read_text() == "ran\n"


def test_a_keeper_knows_of_which_version_it_is() -> None:
    """It cannot import the package, so the number stands twice."""
    assert mcp_e2e.__version__ == versions.PROGRAM


def test_what_an_older_writer_left_out_is_as_if_nothing_was_asked_for() -> None:
    """Each stand-in is the default of the model, so both ways of not asking mean the same."""

    def stored(**more: Any) -> dict[str, Any]:
        spec = JobSpec("j-1", "service", ("true",), Path("/"), {}, **more)
        return dict(json.loads(json.dumps(records.stored_spec(spec, 0.0))))

    plain, looks = stored(), stored(ready=Readiness(log="up"))
    assert versions.whole_spec({name: plain[name] for name in set(plain) - set(versions._SPEC)}) == plain
    assert versions.whole_spec({**looks, "ready": {"log": "up"}}) == looks
