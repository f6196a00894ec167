"""What lives on when its launcher or its keeper does not, and that nothing ever runs twice."""

import os
import signal
import subprocess
import sys

import anyio
import psutil
import pytest

from mcp_e2e.errors import LaunchError, ServiceUnavailable
from mcp_e2e.model.jobs import JobState
from mcp_e2e.process import jobs
from mcp_e2e.process import stop as stopping
from mcp_e2e.process.identity import is_alive, send_signal
from mcp_e2e.process.locks import FileLock

LAUNCHER = """
import sys, time
from pathlib import Path
import anyio
from mcp_e2e.model.jobs import JobSpec, RestartPolicy
from mcp_e2e.process import jobs

async def main(folder, kind, *argv):
    job = jobs.new_job_id()
    rule = RestartPolicy("on-failure", backoff_first_s=0.05)
    env = {"PATH": "/usr/bin:/bin", "MCP_E2E_JOB": job}
    await jobs.launch(Path(folder), JobSpec(job, kind, argv, Path("/"), env, restart=rule))
    print(job, flush=True)
    time.sleep(60)

anyio.run(main, *sys.argv[1:])
"""


def kill_process(launcher):
    launcher.kill()


def kill_group(launcher):
    os.killpg(launcher.pid, signal.SIGKILL)


def kill_tree(launcher):
    for process in [*psutil.Process(launcher.pid).children(recursive=True), launcher]:
        process.kill()


def launched_by_another(room, kill, kind, *argv):
    """A job whose launcher has died a violent death."""
    command = [sys.executable, "-c", LAUNCHER, str(room.dir), kind, *argv]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as launcher:
        job = jobs.look(room.dir, launcher.stdout.readline().strip())
        kill(launcher)
    assert launcher.returncode == -signal.SIGKILL
    return job


@pytest.mark.parametrize("kill", [kill_process, kill_group, kill_tree])
async def test_a_job_survives_its_launcher_and_its_end_is_recorded(room, kill):
    """kill -9 of the process, of its group or of its whole tree: output and exit code are there for the next reader."""
    flag = room.cwd / "go"
    job = launched_by_another(room, kill, "command", "sh", "-c", f"until test -e {flag}; do sleep 0.05; done; exit 6")
    assert room.look(job).state is JobState.RUNNING
    flag.touch()
    assert (await room.end(job)).exit.exit_code == 6


async def test_a_service_is_restarted_with_no_launcher_alive(room):
    """Its process is killed after its launcher: the next generation comes all the same."""
    job = launched_by_another(room, kill_tree, "service", "sleep", "60")
    send_signal(job.process, signal.SIGKILL)
    now = await room.until(lambda: (seen := room.look(job)).generation == 2 and seen.state is JobState.RUNNING and seen)
    assert is_alive(now.process)


async def test_a_second_keeper_is_refused_while_the_first_lives_and_after(room):
    """A job folder has one owner and is used once, so no command can run twice."""
    job = await room.command("sh", "-c", "echo ran; sleep 60")
    await room.line(job)
    assert room.keeper_on(job.folder)["error"] == "locked"
    await jobs.stop(room.dir, job.id)
    assert room.keeper_on(job.folder)["error"] == "used"
    assert job.log.read_text() == "ran\n"


async def test_of_many_launches_of_one_id_one_wins(room):
    """The others are told that the id is taken, and nothing of them is left."""
    spec, won, lost = room.spec("sh", "-c", "echo ran; sleep 60"), [], []

    async def race():
        try:
            won.append(await jobs.launch(room.dir, spec))
        except LaunchError as error:
            lost.append(error.message)

    async with anyio.create_task_group() as racers:
        for _ in range(8):
            racers.start_soon(race)
    assert (len(won), set(lost), len(lost)) == (1, {f"job {spec.id} exists already"}, 7)
    assert [path.name for path in room.dir.iterdir()] == [spec.id]
    await room.line(won[0])
    assert won[0].log.read_text() == "ran\n"


async def test_of_many_keepers_on_one_folder_one_runs_the_command(room):
    """The lock, not the order of checks, decides."""
    spec = room.spec("sh", "-c", "echo ran; sleep 60")
    os.close(jobs._prepare(room.dir, spec))
    answers = []

    async def race():
        answers.append(await anyio.to_thread.run_sync(room.keeper_on, room.dir / spec.id))

    async with anyio.create_task_group() as racers:
        for _ in range(6):
            racers.start_soon(race)
    assert sum(answer.get("ok", False) for answer in answers) == 1
    job = jobs.look(room.dir, spec.id)
    await room.line(job)
    assert job.log.read_text() == "ran\n"


async def test_half_a_start_message_starts_nothing(room):
    """A server that dies while it hands over the environment leaves a job that never started."""
    spec = room.spec("touch", str(room.cwd / "ran"))
    os.close(jobs._prepare(room.dir, spec))
    assert room.keeper_on(room.dir / spec.id, '{"env": {"PATH": "/usr')["error"] == "spec"
    await room.until(lambda: not FileLock.is_held(room.dir / spec.id / "lock"))
    assert jobs.look(room.dir, spec.id).state is JobState.NEVER_STARTED
    assert not (room.cwd / "ran").exists()


async def test_a_keeper_that_dies_before_the_gate_opens_runs_nothing(room):
    """The child waits for the word that it is on record; end of file is not that word."""
    code = (
        "import os, sys\nfrom mcp_e2e.process.keeping import child\n"
        "def die(pid):\n    print(pid, flush=True)\n    os.kill(os.getpid(), 9)\n"
        "child.start(child.Program(['touch', sys.argv[1]], '/', {}), (1, 2), bound=False, record=die)"
    )
    flag = room.cwd / "ran"
    command = [sys.executable, "-c", code, str(flag)]
    done = await anyio.run_process(command, check=False)
    assert done.returncode == -signal.SIGKILL
    assert done.stderr == b""
    await room.until(
        lambda: not psutil.pid_exists(int(done.stdout)) or psutil.Process(int(done.stdout)).status() == "zombie"
    )
    assert not flag.exists()


async def test_a_service_whose_keeper_died_is_an_orphan_that_stop_can_end(room):
    """kill -9 of the keeper: the service lives on, is known by its identity, and its whole tree can be ended."""
    job = await room.service("sh", "-c", "setsid sleep 60 & sleep 60 & echo up; wait")
    await room.line(job)
    assert len(await room.until(lambda: len(found := stopping.members(job)) == 3 and found)) == 3
    send_signal(job.keeper, signal.SIGKILL)
    orphan = await room.until(lambda: (seen := room.look(job)).state is JobState.ORPHAN and seen)
    assert orphan.live
    assert is_alive(orphan.process)
    ended = await jobs.stop(room.dir, job.id)
    assert (ended.state, stopping.members(ended)) == (JobState.LOST, [])


@pytest.mark.skipif(sys.platform != "linux", reason="needs a parent death signal")
async def test_a_command_dies_with_its_keeper_and_is_lost(room):
    """Without a reader of its pipes it could only hang or break; its end is unknown and said to be."""
    job = await room.command("sleep", "60")
    send_signal(job.keeper, signal.SIGKILL)
    assert (await room.end(job)).state is JobState.LOST
    assert not is_alive(job.process)


async def test_a_frozen_keeper_is_still_running_and_a_stop_says_that_it_failed(room):
    """A keeper that does not answer is named, not guessed about; when it wakes it obeys."""
    job = await room.service("sleep", "60")
    send_signal(job.keeper, signal.SIGSTOP)
    assert room.look(job).state is JobState.RUNNING
    with pytest.raises(ServiceUnavailable, match=str(job.keeper.pid)) as caught:
        await jobs.stop(room.dir, job.id, deadline_s=0.2)
    assert set(caught.value.facts["pids"]) == {job.keeper.pid, job.process.pid}
    send_signal(job.keeper, signal.SIGCONT)
    assert (await room.end(job)).exit.reason == "stopped"


async def test_a_stop_that_came_before_the_first_process_wins(room):
    """The intent is stored first, so it holds although no keeper listened when it was given."""
    spec = room.spec("touch", str(room.cwd / "ran"))
    os.close(jobs._prepare(room.dir, spec))
    assert not stopping.ask_to_stop(room.dir / spec.id)
    assert room.keeper_on(room.dir / spec.id)["error"] == "stopped"
    job = await room.end(jobs.look(room.dir, spec.id))
    assert (job.exit.reason, job.lives) == ("stopped", ())
    assert not (room.cwd / "ran").exists()
