"""Fifty clients of one HTTP server and eight with stdio servers of their own, on one project, in both protocol eras.

    python -m tests.soak.clients --minutes 5

Load and silence take turns: after each minute of mixed calls all are still, one change is made, and every subscriber
has to hear of it. In mid-load a stdio server and the HTTP server are killed, and started anew by whoever needs them.
Ends with status 1 and the kept folder when an answer was wrong, a notice lost, anything doubled or left behind, or a
server has grown. The guard enforces; its breaker has to stay closed: the one test that fails does so now and then.
"""

import argparse
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import anyio

from mcp_e2e.entrypoints.mcp.http.serving import STOPPED
from tests.soak.actor import GONE, Book, Phase, connected
from tests.soak.doors import Door, Http, Stdio
from tests.soak.ears import QUIET_S, Laws
from tests.soak.memory import Memory
from tests.soak.reckoning import Reckoning, end_leftovers, leftovers, opened, unsettled
from tests.soak.run import line
from tests.soak.shared import SHAKY, Shared
from tests.soak.tide import Tide
from tests.soak.visitor import Visitor

HTTP_CLIENTS, STDIO_SERVERS = 50, 8
PACE_S = 5.0  # between two calls of one client
LOAD_S = 60.0
GRACE_S, GONE_S = 60.0, 20.0
WARM_S = 20.0  # of a server's life, in which it has to grow
MOST_LATE_MIB = 4.0  # from the second third to the last


class Soak:
    def __init__(self, root: Path, seed: int, rounds: int, pace: float) -> None:
        self.project = Shared(root / "project")
        self.book, self.tide, self.phase = Book(), Tide(), Phase()
        self.memory = Memory(frozenset(), "api", WARM_S)
        self.http = Http("http", self.project)
        self.stdio = [Stdio(f"stdio{number}", self.project) for number in range(STDIO_SERVERS)]
        self._random, self._rounds, self._pace, self._seed = random.Random(seed), rounds, pace, seed
        self.visitors = [self._visitor(number, self.http) for number in range(HTTP_CLIENTS)]
        self.visitors += [self._visitor(HTTP_CLIENTS + number, door) for number, door in enumerate(self.stdio)]
        self.loads: list[float] = []

    def _visitor(self, number: int, door: Door) -> Visitor:
        """Eras alternate, and of each era every other one subscribes."""
        era, listens = ("auto", "legacy")[number % 2], number % 4 < 2
        name = f"client{number:02}"
        return Visitor(number, name, era, door, self.book, self.tide, self._seed, self._pace, listens)

    async def run(self) -> list[str]:
        """What was wrong."""
        self.project.write()
        async with anyio.create_task_group() as tasks:
            await tasks.start(self.http.serve)
            for visitor in self.visitors:
                tasks.start_soon(visitor.live)
            tasks.start_soon(self.memory.watch, self.project, self.phase)
            for number in range(self._rounds):
                await self._load(self._victims(number))
                await self._silence()
            until = time.time()
            self.phase.calm.set()
            self.tide.leave.set()
            self.tide.rise()
            await self._stop()
            self.http.close()
        return await self._reckoned(until)

    def _victims(self, number: int) -> list[Door]:
        """Whose servers are killed in this round: one in the second and one in the third; both in a short run."""
        victims: list[Door] = [self._random.choice(self.stdio), self.http]
        if self._rounds < len(victims) + 1:
            return victims if number == 0 else []
        return victims[number - 1 : number] if number else []

    async def _load(self, victims: list[Door]) -> None:
        for victim in [*victims, None]:
            await anyio.sleep(LOAD_S / (len(victims) + 1))
            self.loads.append(os.getloadavg()[0])
            if victim is not None and not victim.kill():
                self.book.wrong.append(f"{victim.name} had no server to kill")

    async def _silence(self) -> None:
        """The last change of the load, and then one more, are followed by nothing that could stand for them."""
        if not await self.tide.fall(GRACE_S):
            self.book.wrong.append(f"some calls were not answered within {GRACE_S:g} s")
        end = anyio.current_time() + GRACE_S
        while (left := unsettled(self.project)) and anyio.current_time() < end:
            await anyio.sleep(0.5)
        self.book.wrong += [f"not settled after {GRACE_S:g} s: {line}" for line in left]
        await anyio.sleep(QUIET_S)
        there = [(visitor, visitor.client) for visitor in self.visitors if visitor.client]
        if len(there) < len(self.visitors):
            missing = [visitor.name for visitor in self.visitors if visitor.client is None]
            self.book.wrong.append(f"not connected at the end of a round: {missing}")
        visitor, client = self._random.choice(there)
        await visitor.change(client)
        await anyio.sleep(QUIET_S)
        self.tide.rise()

    async def _stop(self) -> None:
        """One more server ends the session."""
        try:
            async with connected(self.project, "last", "auto") as client:
                result = await client.call_tool("stop_session", {"service": "api"})
                if result.is_error:
                    self.book.wrong.append(f"stop_session at the end: {result.structured_content}")
        except* GONE as gone:
            self.book.wrong.append(f"the last server failed: {gone.exceptions}")

    async def _reckoned(self, until: float) -> list[str]:
        """Once all have gone; ``until``: when subscribers began to leave."""
        end = anyio.current_time() + GONE_S
        while leftovers(self.project) and anyio.current_time() < end:
            await anyio.sleep(0.5)
        reckoning = Reckoning(self.project, self.book, frozenset({SHAKY}))
        laws = Laws([visitor.ear for visitor in self.visitors if visitor.ear], self._events(until), until)
        wrong = [*reckoning.wrong(), *laws.wrong(), *self._counts(), *self._said(), *self.memory.wrong()]
        self._tell(reckoning, laws)
        return wrong + self._growth()

    def _events(self, until: float) -> list[tuple[int, float, str]]:
        with closing(opened(self.project)) as con:
            rows = con.execute("SELECT seq, at, kind FROM events WHERE at < ? ORDER BY seq", (until,)).fetchall()
        return [(row["seq"], row["at"], row["kind"]) for row in rows]

    def _counts(self) -> list[str]:
        """Each attempt and each checkpoint is told once, and the service has been started once."""
        found = []
        with closing(opened(self.project)) as con:
            told = dict(con.execute("SELECT kind, count(*) FROM events GROUP BY kind").fetchall())
            for kind, table in (("attempt.created", "attempts"), ("checkpoint", "checkpoints")):
                (stored,) = con.execute(f"SELECT count(*) FROM {table}").fetchone()
                if told.get(kind, 0) != stored:
                    found.append(f"{told.get(kind, 0)} events {kind}, {stored} {table}")
        starts = self.project.marks("api")
        return found + ([f"the service was started {len(starts)} times"] if len(starts) != 1 else [])

    def _said(self) -> list[str]:
        """What servers wrote to stderr: where they are, and nothing else."""
        said = (self.project.root.parent / "servers.log").read_text("utf-8", "replace").splitlines()
        lines = [each for each in said if not each.startswith(("MCP at http://127.0.0.1:", STOPPED))]
        exits = [code for code in self.http.ended[:-1] if code != -signal.SIGKILL]
        last = self.http.ended[-1:] == [128 + signal.SIGTERM]
        ends = [] if not exits and last else [f"the HTTP server ended with {self.http.ended}"]
        return ends + ([f"{len(lines)} lines on stderr: {lines[:12]}"] if lines else [])

    def _growth(self) -> list[str]:
        return [
            f"{name} grew by {late - middle:.1f} MiB from the second third to the last"
            for name, (_, middle, late) in self.memory.thirds().items()
            if late - middle > MOST_LATE_MIB
        ]

    def _tell(self, reckoning: Reckoning, laws: Laws) -> None:
        calls = self.book.calls
        print("calls:    " + line(calls))
        rate, loads = calls["acts"] / (self._rounds * LOAD_S), ", ".join(f"{load:.1f}" for load in self.loads)
        print(f"rate:     {rate:.1f} acts a second of load; load averages {loads}")
        print("attempts: " + line(reckoning.verdicts))
        print("jobs:     " + line(reckoning.states))
        print("notices:  " + laws.shown())
        print("killed:   " + ", ".join(door.name for door in [self.http, *self.stdio] for _ in door.killed))
        for name, sizes in self.memory.thirds().items():
            print(f"memory:   {name} {' -> '.join(f'{size:.1f}' for size in sizes)} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=5, help="of load; the silences come on top")
    parser.add_argument("--pace", type=float, default=PACE_S, help="seconds between two calls of one client, about")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args()
    logging.getLogger("mcp.client").setLevel(logging.CRITICAL + 1)  # each loss of a server is judged here
    folder = Path(tempfile.mkdtemp(prefix="mcp-e2e-soak-")).resolve()
    print(f"seed {options.seed}, {options.minutes} minutes, in {folder}", flush=True)
    soak = Soak(folder, options.seed, options.minutes, options.pace)
    try:
        wrong = anyio.run(soak.run)
    finally:
        end_leftovers(soak.project)
    for each in wrong:
        print(f"WRONG: {each}")
    if wrong:
        print(f"{len(wrong)} laws broken; seed {options.seed}; everything is kept in {folder}")
        sys.exit(1)
    shutil.rmtree(folder)
    print("no wrong answer, no notice lost, nothing doubled, nothing left behind, memory flat")


if __name__ == "__main__":
    main()
