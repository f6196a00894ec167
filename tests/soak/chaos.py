"""Kills at random, and only what is proved to be of this soak's project.

A server is a child of ours with its actor's name in its environment; keepers and what they run are told by the identity
in their job's state file; a spare keeper by the marker in its environment. Signals go to identities, never to a number.
"""

import os
import random
import signal
from collections import Counter
from collections.abc import Callable

import anyio
import psutil

from mcp_e2e.model.jobs import Job, JobState, ProcessIdentity
from mcp_e2e.process.identity import descendants, identity, send_signal
from mcp_e2e.process.records import list_jobs
from tests.soak.actor import NAME, STEADY, Phase
from tests.soak.project import MARKER, Project

SAFE = frozenset(f"actor{number:02}" for number in range(STEADY))
EVERY_S = (0.5, 3.0)


def servers() -> dict[str, ProcessIdentity]:
    """Our children that serve, by actor."""
    found = {}
    for child in psutil.Process().children():
        name = variable(child.pid, NAME)
        who = identity(child.pid)
        if name and who and child.ppid() == os.getpid():
            found[name] = who
    return found


def variable(pid: int, name: str) -> str | None:
    try:
        words = open(f"/proc/{pid}/environ", "rb").read().split(b"\0")  # noqa: PTH123, SIM115
    except OSError:
        return None
    start = name.encode() + b"="
    return next((os.fsdecode(word[len(start) :]) for word in words if word.startswith(start)), None)


def spares(project: Project) -> list[ProcessIdentity]:
    """Keepers that stand by for a server of this project."""
    found = []
    for process in psutil.process_iter():
        who = identity(process.pid)
        if who and variable(process.pid, MARKER) == str(project.root) and "--spare" in _words(process):
            found.append(who)
    return found


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


class Chaos:
    """``kills`` counts what was hit, by kind."""

    def __init__(self, project: Project, phase: Phase, seed: int) -> None:
        self._project, self._phase = project, phase
        self._random = random.Random(f"{seed} chaos")
        self.kills: Counter[str] = Counter()
        self._victims: tuple[tuple[int, str, Callable[[], list[ProcessIdentity]]], ...] = (
            (35, "server", lambda: [who for name, who in sorted(servers().items()) if name not in SAFE]),
            (14, "keeper of the service", lambda: _keepers(self._live("api"))),
            (10, "keeper of a test", lambda: _keepers(self._live("test"))),
            (14, "keeper of a command", lambda: _keepers(self._live("safe_exec"))),
            (14, "service", lambda: _processes(self._live("api"))),
            (14, "command or child of it", lambda: _trees(self._live("safe_exec"))),
            (5, "service with its keeper", lambda: _both(self._live("api"))),
            (4, "spare keeper", lambda: spares(self._project)[:1]),
        )

    async def rage(self) -> None:
        while not self._phase.calm.is_set():
            await anyio.sleep(self._random.uniform(*EVERY_S))
            if self._phase.calm.is_set():
                return
            there = [(weight, kind, victims) for weight, kind, find in self._victims if (victims := find())]
            if not there:
                continue
            _, kind, victims = self._random.choices(there, [weight for weight, _, _ in there])[0]
            if kind != "service with its keeper":
                victims = [self._random.choice(victims)]
            hit = [send_signal(victim, signal.SIGKILL) for victim in victims]
            self.kills[kind] += any(hit)

    def _live(self, wanted: str) -> list[Job]:
        found = [job for job in list_jobs(self._project.state.jobs) if job.state is JobState.RUNNING]
        return [job for job in found if purpose(job) == wanted]


def purpose(job: Job) -> str:
    """Its service, or the tool it was begun by."""
    return job.labels.get("service") or job.labels.get("tool") or "test"


def _keepers(jobs: list[Job]) -> list[ProcessIdentity]:
    return [job.keeper for job in jobs if job.keeper]


def _processes(jobs: list[Job]) -> list[ProcessIdentity]:
    return [job.process for job in jobs if job.process]


def _trees(jobs: list[Job]) -> list[ProcessIdentity]:
    return [each for main in _processes(jobs) for each in (main, *descendants(main))]


def _both(jobs: list[Job]) -> list[ProcessIdentity]:
    return _keepers(jobs)[:1] + _processes(jobs)[:1]
