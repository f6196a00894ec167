"""Servers and keepers, real ones, that are killed with SIGKILL at one exact step of their work."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import psutil

from mcp_e2e.model.jobs import Job
from mcp_e2e.process import jobs
from tests.process.conftest import Room

LAUNCHER = """
import os, subprocess, sys, time
from pathlib import Path
import anyio
from mcp_e2e.model.jobs import JobSpec, RestartPolicy
from mcp_e2e.process import jobs, output

def die(*_):
    os.kill(os.getpid(), 9)

async def main(folder, kind, job, *argv):
    rule = RestartPolicy("on-failure", backoff_first_s=0.05)
    env = {"PATH": "/usr/bin:/bin", "MCP_E2E_JOB": job}
    launched = await jobs.launch(Path(folder), JobSpec(job, kind, argv, Path("/"), env, restart=rule))
    await follow(launched)
    time.sleep(60)

async def follow(job):
    print("launched", flush=True)
"""
RUN = "anyio.run(main, *sys.argv[1:])\n"

KEEPER = """
import os, sys
from mcp_e2e.process.keeping import files, program

def die(*_):
    os.kill(os.getpid(), 9)

put, replace = files.put, files.replace
"""


def launcher(room: Room, job: str, kind: str, *argv: str, step: str = "") -> subprocess.Popen[str]:
    """A process that launches ``job`` as a server does; ``step`` is Python that changes one step of it."""
    command = [sys.executable, "-c", f"{LAUNCHER}\n{step}\n{RUN}", str(room.dir), kind, job, *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def kill_process(process: subprocess.Popen[str]) -> None:
    process.kill()


def kill_group(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)


def kill_tree(process: subprocess.Popen[str]) -> None:
    for each in [*psutil.Process(process.pid).children(recursive=True), process]:
        each.kill()


async def kept_until(room: Room, step: str, kind: str, *argv: str) -> Job:
    """The job of a keeper that dies at ``step``, Python that says where; its keeper is dead when this returns."""
    spec = room.spec(*argv, kind=kind)
    os.close(jobs._prepare(room.dir, spec))
    folder = room.dir / spec.id
    code = f'{KEEPER}\n{step}\nprogram.main(["keeper", sys.argv[1]])'
    order = b'{"env": {"PATH": "/usr/bin:/bin", "MCP_E2E_JOB": "%s"}}' % spec.id.encode()
    with anyio.fail_after(30):
        await anyio.run_process([sys.executable, "-c", code, str(folder)], input=order)
        await room.until(lambda: not _works_in(folder))
    return jobs.look(room.dir, spec.id)


def _works_in(folder: Path) -> bool:
    """Whether a keeper has it as its working directory; one that has died has none."""
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                return True
        except psutil.Error:
            continue
    return False
