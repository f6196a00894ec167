"""Faults 15 to 17: a pid that is somebody else's by now, one whose process is a zombie, and one of another boot."""

import json
import signal
import sys
from pathlib import Path
from shutil import which
from typing import Any

import anyio
import pytest

from mcp_e2e.model.jobs import JobState
from mcp_e2e.process import jobs
from mcp_e2e.process.identity import is_alive, send_signal
from mcp_e2e.process.locks import FileLock
from tests.usecases.conftest import Servers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs pid namespaces")
ALONE = ["unshare", "--pid", "--fork", "--mount-proc"]
NEXT_PID = "/proc/sys/kernel/ns_last_pid"

PROCESS_1 = """
import json, os, signal, sys, time
from dataclasses import replace
from pathlib import Path
import anyio
from mcp_e2e.model.jobs import JobSpec
from mcp_e2e.process import jobs
from mcp_e2e.process.identity import identity, is_alive, send_signal
from mcp_e2e.process.locks import FileLock

assert os.getpid() == 1
folder, told = Path(sys.argv[1]), {}

def begun():
    job = jobs.new_job_id()
    spec = JobSpec(job, "service", ("sleep", "60"), Path("/"), {"PATH": "/usr/bin:/bin", "MCP_E2E_JOB": job})
    return anyio.run(jobs.launch, folder, spec)

def state(job):
    return jobs.look(folder, job.id).state

def sleeper():
    return os.posix_spawn("/bin/sleep", ["sleep", "60"], {})

def end(pid):
    os.kill(pid, 9)
    os.waitpid(pid, 0)

def lives(pid):
    return os.waitpid(pid, os.WNOHANG) == (0, 0)
"""
REUSED = """
def reborn(pid):
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
    stranger = sleeper()
    assert stranger == pid
    return stranger

job = begun()
end(job.keeper.pid)
assert state(job) == "orphan"
end(job.process.pid)
strangers = [reborn(job.keeper.pid), reborn(job.process.pid)]
told["state"] = state(job)
told["adopted"] = anyio.run(jobs.adopt, folder, job.id)
told["stopped"] = anyio.run(jobs.stop, folder, job.id).state
told["strangers"] = [lives(pid) for pid in strangers]

told["twins"] = {}
for _ in range(500):
    first = sleeper()
    before = identity(first)
    end(first)
    now = identity(reborn(first))
    taken = [is_alive(before), send_signal(before, signal.SIGKILL), not lives(first)]
    apart = now.start_ticks - before.start_ticks
    if before.inode or apart:
        told["twins"].setdefault(apart, taken)
    if apart:
        unnumbered = replace(before, inode=0)  # as a kernel without inodes of processes tells it
        told["apart"] = [is_alive(unnumbered), send_signal(unnumbered, signal.SIGKILL), not lives(first)]
    end(first) if lives(first) else None
    if {0, 1} <= set(told["twins"]):
        break
print(json.dumps(told))
"""
NEVER_REAPED = """
def zombie(pid):
    while (about := Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split())[0] != "Z":
        time.sleep(0.01)
    assert about[1] == "1"
    os.kill(pid, 0)

def kill(process):
    assert send_signal(process, signal.SIGKILL)
    zombie(process.pid)

job = begun()
kill(job.keeper)
told["orphan"] = state(job)
kill(job.process)
told["state"], told["lives"] = state(job), [is_alive(job.keeper), is_alive(job.process)]
told["locked"] = FileLock.is_held(job.folder / "lock")
told["adopted"] = anyio.run(jobs.adopt, folder, job.id)
told["stopped"] = anyio.run(jobs.stop, folder, job.id).state

job = begun()
kill(job.keeper)
assert anyio.run(jobs.adopt, folder, job.id)
kill(job.process)
told["recorded"] = anyio.run(jobs.wait, folder, job.id, 20).exit.signal
print(json.dumps(told))
"""


async def as_process_1(program: str, folder: Path) -> dict[str, Any]:
    """What the program tells that is process 1 of a pid namespace, which ends with it."""
    if not which(ALONE[0]) or (await anyio.run_process([*ALONE, "true"], check=False)).returncode:
        pytest.skip("no pid namespaces for this user here")
    command = [*ALONE, "--kill-child", sys.executable, "-c", PROCESS_1 + program, str(folder)]
    with anyio.fail_after(50):
        done = await anyio.run_process(command, stderr=None)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.skipif(not Path(NEXT_PID).exists(), reason="this kernel lets nobody choose a pid")
async def test_fault_15_pid_reused(tmp_path: Path) -> None:
    """Strangers under the pids of a dead keeper and its service, born even in the same tick: never ours, never hit."""
    told = await as_process_1(REUSED, tmp_path)
    assert (told["state"], told["adopted"], told["stopped"]) == ("lost", False, "lost")
    assert told["strangers"] == [True, True]
    assert "1" in told["twins"]
    assert told["apart"] == [False, False, False]
    assert set(map(tuple, told["twins"].values())) == {(False, False, False)}


async def test_fault_16_zombie_under_a_process_1_that_does_not_reap(tmp_path: Path) -> None:
    """It can be signalled and has its pid for ever, and is dead all the same: not running, not waited for, recorded."""
    told = await as_process_1(NEVER_REAPED, tmp_path)
    assert (told["orphan"], told["state"], told["lives"]) == ("orphan", "lost", [False, False])
    assert (told["locked"], told["adopted"], told["stopped"]) == (False, False, "lost")
    assert told["recorded"] == signal.SIGKILL


async def test_fault_17_another_boot(server: Servers, project: Path) -> None:
    """Same pid, same ticks, boot id of before: lost, never signalled, lock free; begun again only when asked for."""
    async with server(stops=False) as app:
        session = await app.sessions.start(app.caller)
    folder = project / ".mcp-e2e/private/jobs"
    job = jobs.look(folder, session.job or "")
    assert job.keeper is not None
    assert job.process is not None
    assert send_signal(job.keeper, signal.SIGKILL)
    with anyio.fail_after(20):
        while jobs.look(folder, job.id).state is not JobState.ORPHAN:
            await anyio.sleep(0.02)
    path = job.folder / "state.json"
    path.write_text(path.read_text().replace(job.process.boot_id, "00000000-another-boot"))
    before = jobs.look(folder, job.id)
    assert (before.state, FileLock.is_held(job.folder / "lock")) == (JobState.LOST, False)
    assert before.process is not None
    assert not send_signal(before.process, signal.SIGKILL)
    async with server() as app:
        await app.settle()
        assert [each.id for each in jobs.list_jobs(folder)] == [job.id]
        again = await app.sessions.start(app.caller)
        assert (again.state, again.generation) == ("ready", session.generation + 1)
    assert is_alive(job.process)
    assert send_signal(job.process, signal.SIGKILL)
