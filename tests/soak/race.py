"""Twelve servers race to start one session: a fresh project each time, and one process started."""

from pathlib import Path

import anyio

from tests.soak.actor import connected
from tests.soak.project import Project
from tests.soak.reckoning import leftovers

SERVERS = 12
PATIENCE_S = 60.0


async def trials(folder: Path, count: int) -> list[str]:
    """What was wrong; prints each trial."""
    wrong = []
    for number in range(count):
        project = Project(folder / f"trial{number}")
        project.write()
        wrong += await _trial(project, number + 1)
    if count:
        print(f"race: {count - len(wrong)} of {count} trials had one start", flush=True)
    return wrong


async def _trial(project: Project, number: int) -> list[str]:
    race = _Race(project)
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as tasks:
            for racer in range(SERVERS):
                tasks.start_soon(race.run, racer)
    starts, left = project.marks("api"), leftovers(project)
    print(f"race {number}: {len(race.answers)} calls within {race.took:.1f} s, {len(starts)} start", flush=True)
    whole = len(starts) == 1 and race.answers == [("ready", int(starts[0][1]), 1)] * SERVERS
    return [] if whole and not left else [f"race {number}: {len(starts)} starts, answers {race.answers}, left {left}"]


class _Race:
    """All connect at once, in both protocol eras, to a project without state; when all are there, all start it."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._there, self._all_there, self._over = 0, anyio.Event(), anyio.Event()
        self.answers: list[tuple[str, int | None, int | None]] = []
        self.took = 0.0

    async def run(self, racer: int) -> None:
        async with connected(self._project, f"racer{racer:02}", ("auto", "legacy")[racer % 2]) as client:
            self._there += 1
            if self._there == SERVERS:
                self._all_there.set()
            await self._all_there.wait()
            began = anyio.current_time()
            result = await client.call_tool("start_session", {"service": "api", "wait_seconds": 30})
            self.took = max(self.took, anyio.current_time() - began)
            said = result.structured_content or {}
            self.answers.append((str(said.get("state") or said.get("code")), said.get("pid"), said.get("generation")))
            if len(self.answers) == SERVERS:
                await client.call_tool("stop_session", {"service": "api"})
                self._over.set()
            await self._over.wait()
