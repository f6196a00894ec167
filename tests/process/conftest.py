"""Real keepers in a folder of the test's own; whatever a test leaves running is ended, by identity, afterwards."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest

from mcp_e2e.model.jobs import Job, JobSpec
from mcp_e2e.process import jobs, keeper


@dataclass
class Room:
    """Jobs of one test: ``command`` and ``service`` launch, the rest asks."""

    dir: Path
    cwd: Path

    def spec(self, *argv: str, kind: str = "command", env: dict[str, str] | None = None, **more: Any) -> JobSpec:
        job = jobs.new_job_id()
        full = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", "MCP_E2E_JOB": job, **(env or {})}
        return JobSpec(more.pop("id", job), kind, argv, more.pop("cwd", self.cwd), full, **more)

    async def command(self, *argv: str, **more: Any) -> Job:
        return await jobs.launch(self.dir, self.spec(*argv, **more))

    async def service(self, *argv: str, **more: Any) -> Job:
        return await self.command(*argv, kind="service", **more)

    async def python(self, code: str, **more: Any) -> Job:
        return await self.command(sys.executable, "-S", "-c", code, **more)

    async def end(self, job: Job, timeout_s: float = 20) -> Job:
        """The job when it has ended; fails when it has not."""
        job = await jobs.wait(self.dir, job.id, timeout_s)
        assert not job.live, job
        return job

    def look(self, job: Job) -> Job:
        return jobs.look(self.dir, job.id)

    def keeper_on(self, folder: Path, message: str = '{"env": {"PATH": "/usr/bin:/bin"}}') -> dict[str, Any]:
        """Starts the keeper program by hand; its answer."""
        command = [sys.executable, "-I", "-S", keeper.__file__, str(folder)]
        quiet = subprocess.DEVNULL  # a pipe would stay open as long as the keeper lives
        done = subprocess.run(
            command, input=message, stdout=subprocess.PIPE, stderr=quiet, text=True, timeout=30, check=False
        )
        return json.loads(done.stdout) if done.stdout else {}

    async def until(self, fact: Callable[[], Any], deadline_s: float = 15) -> Any:
        """Polls for a fact; its first true value, or failure at the deadline."""
        end = time.monotonic() + deadline_s
        while not (value := fact()):
            assert time.monotonic() < end, "the fact did not come true in time"
            await anyio.sleep(0.01)
        return value

    async def line(self, job: Job, number: int = 0) -> str:
        """A whole line of the job's log, as soon as it is there."""

        def read() -> str:
            lines = job.log.read_text("utf-8", "replace").split("\n") if job.log.exists() else []
            return lines[number] if len(lines) > number + 1 else ""

        return await self.until(read)


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    room = Room(tmp_path / "jobs", tmp_path)
    yield room
    for job in jobs.list_jobs(room.dir) if room.dir.exists() else []:
        await jobs.stop(room.dir, job.id)


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> str:
    """What the keepers of this test, and no others, have in their environment."""
    mark = f"test-{secrets.token_hex(8)}"
    monkeypatch.setenv("LC_TELEPHONE", mark)
    return mark


def standing_by(mark: str) -> psutil.Process:
    """The one keeper of this test that waits for a job."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("LC_TELEPHONE") == mark and process.cmdline()[-1] == "--spare":
                found.append(process)
    (one,) = found
    return one


def over(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
