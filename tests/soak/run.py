"""Twelve real servers on one project, used at random and killed at random; ``make soak`` runs it for ten minutes.

    python -m tests.soak.run --minutes 10 --seed 7

First twelve servers race to start one session. Ends with status 1, the seed and the kept folder when anything was lost,
doubled or left behind. The same seed makes the same choices, but not the same times.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import anyio

from tests.soak import race
from tests.soak.actor import GONE, Actor, Book, Phase, connected
from tests.soak.chaos import Chaos
from tests.soak.memory import Memory
from tests.soak.project import SERVICES, Project
from tests.soak.reckoning import Reckoning, end_leftovers, leftovers, unsettled

SERVERS = 12
GRACE_S = 60.0
GONE_S = 20.0
LEAST_REAL = 0.8  # of the calls that ask for a test or a command


class Soak:
    def __init__(self, root: Path, seed: int, minutes: float) -> None:
        self.project = Project(root / "project")
        self.book, self.phase, self.memory = Book(), Phase(), Memory()
        self.chaos = Chaos(self.project, self.phase, seed)
        self._seed, self._minutes = seed, minutes

    async def run(self) -> list[str]:
        """What was wrong."""
        self.project.write()
        async with anyio.create_task_group() as tasks:
            for number in range(SERVERS):
                tasks.start_soon(Actor(number, self.project, self.book, self.phase, self._seed).live)
            await self._opened()
            tasks.start_soon(self.chaos.rage)
            tasks.start_soon(self.memory.watch, self.project, self.phase)
            await anyio.sleep(self._minutes * 60)
            self.phase.calm.set()
            await self._settled()
            self.phase.leave.set()
        await self._stopped()
        reckoning = Reckoning(self.project, self.book)
        wrong = [*reckoning.wrong(), *self.memory.wrong()]
        self._tell(reckoning)
        end_leftovers(self.project)
        if self._real() < LEAST_REAL:
            wrong.append(f"only {self._real():.0%} of the calls for tests and commands did their work")
        return wrong

    async def _opened(self) -> None:
        with anyio.fail_after(60):
            while not self.project.state.database.exists():
                await anyio.sleep(0.1)

    async def _settled(self) -> None:
        """Servers are there and nobody calls: whatever is open has to come to its end by itself."""
        end = anyio.current_time() + GRACE_S
        while left := unsettled(self.project):
            if anyio.current_time() > end:
                self.book.wrong += [f"not settled after {GRACE_S:g} s: {line}" for line in left]
                return
            await anyio.sleep(0.5)

    async def _stopped(self) -> None:
        """One more server ends the sessions and leaves; then nothing of the project may live."""
        try:
            async with connected(self.project, "last", "auto") as client:
                for service in SERVICES:
                    result = await client.call_tool("stop_session", {"service": service})
                    if result.is_error:
                        self.book.wrong.append(f"stop_session at the end: {result.structured_content}")
        except* GONE as gone:
            self.book.wrong.append(f"the last server failed: {gone.exceptions}")
        end = anyio.current_time() + GONE_S
        while leftovers(self.project) and anyio.current_time() < end:
            await anyio.sleep(0.5)

    def _real(self) -> float:
        """The share of calls for tests and commands that were done."""
        calls = {name: times for name, times in self.book.calls.items() if name.startswith(("run_test ", "safe_exec "))}
        done = sum(times for name, times in calls.items() if name.endswith(" ok"))
        return done / max(1, sum(calls.values()))

    def _tell(self, reckoning: Reckoning) -> None:
        print("calls:    " + line(self.book.calls))
        print("kills:    " + line(self.chaos.kills))
        print("attempts: " + line(reckoning.verdicts))
        print("jobs:     " + line(reckoning.states))
        refused = sum(times for name, times in self.book.calls.items() if name.endswith(" refused"))
        print(f"refused:  {refused}; real work: {self._real():.0%} of calls for tests and commands")
        for name, sizes in self.memory.thirds().items():
            print(f"memory:   {name} {' -> '.join(f'{size:.1f}' for size in sizes)} MiB")


def line(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {times}" for name, times in sorted(counts.items(), key=lambda each: str(each[0])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--trials", type=int, default=8, help="of the race before it; 0: none")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mcp-e2e-soak-")).resolve()
    print(f"seed {options.seed}, {options.minutes:g} minutes, {SERVERS} servers, in {folder}", flush=True)
    began = time.monotonic()
    wrong = anyio.run(race.trials, folder / "race", options.trials)
    wrong += anyio.run(Soak(folder / "soak", options.seed, options.minutes).run)
    print(f"{time.monotonic() - began:.0f} s")
    for line in wrong:
        print(f"WRONG: {line}")
    if wrong:
        print(f"{len(wrong)} laws broken; seed {options.seed}; everything is kept in {folder}")
        sys.exit(1)
    shutil.rmtree(folder)
    print("nothing lost, nothing doubled, nothing left behind")


if __name__ == "__main__":
    main()
