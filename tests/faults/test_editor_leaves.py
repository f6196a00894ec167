"""Faults 10 to 13: servers as editors start them are killed, cut off, or started twelve at once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import psutil
import pytest

from mcp_e2e.model.jobs import JobState
from mcp_e2e.process import jobs
from mcp_e2e.process.identity import identity, is_alive, send_signal
from mcp_e2e.process.locks import FileLock
from tests.entrypoints.wire import MODERN
from tests.faults.conftest import Wires
from tests.usecases.conftest import Servers

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no keepers there yet")
WAITS = ["sh", "-c", "until test -e go; do sleep 0.02; done; exit 6"]
STARTS = """
import os, sys
import anyio
from mcp_e2e.bootstrap import Options, open_app

async def main():
    async with open_app(Options(), os.environ, client_name="one of twelve") as app:
        await app.settle()
        print("here", flush=True)
        while sys.stdin.readline():
            session = await app.sessions.start(app.caller)
            print(session.pid, session.generation, flush=True)

anyio.run(main)
"""


def by_group(pid: int) -> None:
    os.killpg(os.getpgid(pid), signal.SIGKILL)


def by_session(pid: int) -> None:
    for each in psutil.pids():
        try:
            if os.getsid(each) == pid:
                os.kill(each, signal.SIGKILL)
        except ProcessLookupError:
            continue


def by_parents(pid: int) -> None:
    server = psutil.Process(pid)
    for each in [*server.children(recursive=True), server]:
        each.kill()


async def test_fault_10_server_keeper_and_child_killed_together(wire: Wires, server: Servers, project: Path) -> None:
    """None sees another die: the job is lost, its lock free, no server brings it back, and a start begins the next."""
    async with wire() as client:
        session = await client.call("start_session")
        job = jobs.look(project / ".mcp-e2e/private/jobs", session["job"])
        three = [identity(client.process.pid), job.keeper, job.process]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            assert [send_signal(each, number) for each in three] == [True] * 3
        await client.ended()
        with anyio.fail_after(20):
            while any(map(is_alive, three)):
                await anyio.sleep(0.02)
    folder = job.folder.parent
    assert (jobs.look(folder, job.id).state, FileLock.is_held(job.folder / "lock")) == (JobState.LOST, False)
    async with server() as app:
        await app.settle()
        status = await app.status.show(app.caller)
        assert (status.services[0]["state"], [each.id for each in jobs.list_jobs(folder)]) == ("failed", [job.id])
        again = await app.sessions.start(app.caller)
        assert (again.state, again.generation) == ("ready", session["generation"] + 1)


async def test_fault_11_server_killed_by_group_by_session_and_by_parents(
    wire: Wires, server: Servers, project: Path
) -> None:
    """However an editor kills what it started, session and command go on, each with its process and its keeper."""
    folder = project / ".mcp-e2e/private/jobs"
    seen = []
    for kill in (by_group, by_session, by_parents):
        async with wire() as client:
            session = await client.call("start_session")
            command = await client.call("safe_exec", argv=WAITS, wait_seconds=0)
            kill(client.process.pid)
            code, _ = await client.ended()
        assert code == -signal.SIGKILL
        for job in (jobs.look(folder, session["job"]), jobs.look(folder, command["job"])):
            assert (job.state, is_alive(job.keeper), is_alive(job.process)) == (JobState.RUNNING, True, True), kill
        seen.append((session["pid"], session["generation"]))
    assert len(set(seen)) == 1
    (project / "go").touch()
    async with server():
        ended = [await jobs.wait(folder, job.id, 20) for job in jobs.list_jobs(folder) if job.kind == "command"]
    assert [job.exit and job.exit.exit_code for job in ended] == [6, 6, 6]


async def test_fault_12_client_leaves_in_mid_call(wire: Wires, project: Path) -> None:
    """The server ends at once and in order; the command it waited for goes on, and its end is on record."""
    async with wire() as client:
        begun = await client.call("safe_exec", argv=WAITS, wait_seconds=0)
        wait = {"name": "job", "arguments": {"action": "wait", "id": begun["job"], "wait_seconds": 30}}
        await client.say({"jsonrpc": "2.0", "id": 999, "method": "tools/call", "params": wait | {"_meta": MODERN}})
        await client.process.stdin.aclose()
        code, seconds = await client.ended()
    assert code == 0
    assert seconds < 5  # one second where nothing else runs; clients kill what is much slower
    async with wire() as client:
        assert (await client.call("job", action="wait", id=begun["job"], wait_seconds=0))["state"] == "running"
        (project / "go").touch()
        done = await client.call("job", action="wait", id=begun["job"], wait_seconds=20)
        assert (done["state"], done["exit_code"]) == ("exited", 6)


async def test_fault_13_twelve_servers_start_one_session(
    server: Servers, environ: dict[str, str], project: Path
) -> None:
    """All are let go at once, four times: one starts it, the others join, and it is begun once each time."""
    service = (project / "service.py").read_text()
    begins = "import os\nwith open('begun', 'a') as file: print(os.getpid(), file=file)\n"
    (project / "service.py").write_text(begins + service)
    command, pipe = [sys.executable, "-c", STARTS], subprocess.PIPE
    twelve = [subprocess.Popen(command, env=environ, stdin=pipe, stdout=pipe, text=True) for _ in range(12)]
    said = [[await anyio.to_thread.run_sync(one.stdout.readline) for one in twelve]]
    async with server() as app:
        for _ in range(4):
            for one in twelve:
                one.stdin.write("go\n")
                one.stdin.flush()
            said.append([await anyio.to_thread.run_sync(one.stdout.readline) for one in twelve])
            await app.sessions.stop(app.caller)
        for one in twelve:
            await anyio.to_thread.run_sync(one.communicate)
    pids = (project / "begun").read_text().split()
    answers = ["here", *(f"{pid} {n}" for n, pid in enumerate(pids, start=1))]
    assert said == [[f"{answer}\n"] * 12 for answer in answers]
    assert [job.kind for job in jobs.list_jobs(project / ".mcp-e2e/private/jobs")] == ["service"] * 4
