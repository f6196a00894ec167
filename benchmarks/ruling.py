"""What one ruling costs with few and many stored calls: window read, rules, row written and commit.

    python benchmarks/ruling.py --stored 10000 1000000 --rulings 500

Measured as a call waits for it, with the way to the database's thread and back, beside a bare INSERT and COMMIT that
takes the same way in the same database; the ratio is what to look at. Looking at the world is no part of it
(``benchmarks/world.py``). Ends with status 1 when a median misses its target; lines that say "observe" have none: a
guard that enforces opens the breaker at the thirtieth call without news, so that no window can look like theirs.
"""

import argparse
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import anyio

from mcp_e2e.decisions import breaker as machine
from mcp_e2e.decisions import guard, history, tools
from mcp_e2e.model.calls import Call, Limits
from mcp_e2e.settings import Source
from mcp_e2e.settings.discover import FILE_NAME
from mcp_e2e.store import breaker as breakers
from mcp_e2e.store import ledger
from mcp_e2e.store.layout import Layout
from mcp_e2e.store.migrations import migrate
from mcp_e2e.store.transactions import transact
from mcp_e2e.usecases.breakers import Breakers
from mcp_e2e.usecases.judging import Judged, Judging
from mcp_e2e.usecases.workplace import Workplace

FEW = 10_000
TARGET_MS, TARGET_MS_MANY = 1.0, 3.0
APART_S = 30.0  # between two stored calls: a window is the last three hours
DIFFERENT_ROUNDS = 200
REFUSALS = 1_000
COLD = 15
INCIDENT = "i-bench1"
STATE_DIR = ".mcp-e2e"

Row = tuple[Any, ...]
_COLUMNS = (
    *("at", "ended_at", "tool", "identity", "args", "caller", "lease", "door", "ruling", "rule", "state", "incident"),
    *("run", "subject", "world", "planned", "free", "joins", "person", "outcome", "shown", "fault", "signature"),
    *("seen", "result"),
)
_INSERT = f"INSERT INTO ledger ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"


@dataclass(frozen=True)
class Step:
    """A call and how it ends. ``seen``: how often its result has been shown before, where it is stored."""

    tool: str
    args: Mapping[str, Any]
    outcome: str
    told: Mapping[str, Any]
    world: str
    seen: int = 0

    def call(self, lease: str) -> Call:
        return Call(
            tool=self.tool,
            identity=tools.identity(self.tool, self.args),
            args=self.args,
            at=time.time(),
            caller="claude-code (pid 4711)",
            lease=lease,
            subject=tools.subject(self.tool, self.args),
            world=self.world,
        )

    def row(self, run: str) -> Row:
        """Without its two times."""
        call = self.call("4711-0a1b2c3d")
        told = tools.result(self.tool, call.identity, self.outcome, self.told)
        return (
            *(self.tool, call.identity, json.dumps(self.args), call.caller, call.lease, "mcp", "allow", None),
            *("closed", None, run, call.subject, self.world, 0, 0, 0, 0, told.outcome, told.shown, told.fault),
            *(told.signature, self.seen, json.dumps(self.told)),
        )


def honest() -> Iterator[Step]:
    """An agent that edits, tests, looks and records, round after round; each round is a new world."""
    for at in count():
        world, test = f"{at % DIFFERENT_ROUNDS:012x}", f"checkout_{at % 7}"
        error = f"AssertionError: the sum of order {chr(97 + at % 26) * 5} is wrong, in basket_{chr(97 + at % 23)}"
        output = f"built basket_{chr(97 + at % 23)} and {chr(97 + at % 26) * 7}"
        job = {"action": "output", "id": "comfyui", "offset": at * 512}
        yield Step("run_test", {"test": test}, "fail", {"test": test, "status": "failed", "error": error}, world)
        yield Step("job", job, "ok", {"state": "ready", "next_offset": at * 512 + 512}, world)
        yield Step("safe_exec", {"command": f"make {test}"}, "ok", {"exit_code": 0, "output": output}, world)
        yield Step("run_test", {"test": test}, "pass", {"test": test, "status": "passed"}, world)
        yield Step("checkpoint", {"result": "success", "note": error}, "ok", {"slot": at, "result": "success"}, world)
        yield Step("status", {}, "ok", {"state": "idle", "done": at, "total": 5_000, "current": test}, world)


def new_commands() -> Iterator[Step]:
    """Ever new commands with ever new output on one world: R2 looks through the whole window for an equal one."""
    for at in count():
        told = {"exit_code": 0, "output": f"{chr(97 + at % 26) * 5} {chr(97 + at // 26 % 26) * 5}"}
        yield Step("safe_exec", {"command": f"make part{at}"}, "ok", told, "f" * 12)


def one_test() -> Iterator[Step]:
    """The same test passes again and again on one world."""
    while True:
        yield Step("run_test", {"test": "home"}, "pass", {"test": "home", "status": "passed"}, "0" * 12, seen=3)


def two_commands() -> Iterator[Step]:
    """Two commands in turn, with one error on one world: no rule can stop reading before the window's end."""
    told = {"exit_code": 1, "output": "error: cannot reach the registry"}
    for at in count():
        yield Step("safe_exec", {"command": f"make step{'ab'[at % 2]}"}, "ok", told, "1" * 12, seen=3)


def rows(steps: Iterator[Step], stored: int, apart_s: float) -> Iterator[Row]:
    """``stored`` rows, the last one of now. They repeat after ``DIFFERENT_ROUNDS``, long after a window's end."""
    known = [step.row(f"r-{at // 60:08x}") for at, step in enumerate(islice(steps, 6 * DIFFERENT_ROUNDS))]
    now = time.time()
    for at in range(stored):
        when = now - (stored - at) * apart_s
        yield (when, when + 0.4 * apart_s, *known[at % len(known)])


def fill(layout: Layout, stored: int) -> None:
    """A database with so many calls of the past, on disk before it is measured."""
    con = sqlite3.connect(layout.database, isolation_level=None)
    con.row_factory = sqlite3.Row
    con.execute("PRAGMA journal_mode = OFF")
    con.execute("PRAGMA synchronous = OFF")
    transact(con, migrate)
    con.execute("CREATE TABLE bare (id INTEGER PRIMARY KEY, at REAL NOT NULL, body TEXT NOT NULL) STRICT")
    transact(con, lambda con: con.executemany(_INSERT, rows(honest(), stored, APART_S)))
    con.close()
    with layout.database.open("rb") as file:
        os.fsync(file.fileno())  # or the first commits would pay for it


def add(con: sqlite3.Connection, steps: Iterator[Step]) -> None:
    """A window full of them, within the last minutes."""
    con.executemany(_INSERT, rows(steps, history.WINDOW, 1.0))


def hammered(con: sqlite3.Connection) -> None:
    """Open the breaker, and let agents have gone on all the same."""
    before = breakers.load(con)
    why, now = ["30 calls told nothing new"], time.time()
    breakers.save(con, before, machine.open_by(before, "R9", now, why, configured=Limits(), incident=INCIDENT), now)
    con.executemany(_INSERT, map(_refused, rows(two_commands(), REFUSALS, 0.1)))


def _refused(row: Row) -> Row:
    changed = {"ruling": "refuse", "rule": "R9", "state": "open", "incident": INCIDENT, "outcome": "refused"}
    nothing = dict.fromkeys(("shown", "fault", "signature", "result"))
    return tuple((dict(zip(_COLUMNS, row, strict=True)) | changed | nothing).values())


@dataclass(frozen=True)
class Sample:
    """Seconds of one ruling, of the rules in it alone, and of the bare commit after it."""

    work: bool
    ruling: float
    rules: float
    bare: float


Found = dict[str, list[Sample]]


class Desk:
    """What judges calls in one process on the project."""

    def __init__(self, place: Workplace) -> None:
        self.place = place
        self._judging = Judging(place)

    async def judge(self, call: Call) -> tuple[float, Judged]:
        """Seconds of the ruling as its caller waits for it."""
        began = time.perf_counter()
        judged = await self.place.run(lambda con: self._judging.judge(con, call))
        return time.perf_counter() - began, judged

    async def work(self, steps: Iterator[Step], rulings: int, *, stopped: bool = False) -> list[Sample]:
        """Judge and end so many calls; all of them are refused, or none."""
        return [await self._one(step, stopped=stopped) for step in islice(steps, rulings)]

    async def _one(self, step: Step, *, stopped: bool) -> Sample:
        spent, judged = await self.judge(step.call(self.place.here.lease.id))
        call, row = judged.call, judged.call_id
        if (judged.ruling.kind in {"refuse", "throttle"}) is not stopped:
            raise SystemExit(f"{call.identity} was to be {'refused' if stopped else 'allowed'}: {judged.ruling}")
        rules = _seconds(lambda: guard.judge(judged.window, call))
        if not stopped:
            result = tools.result(call.tool, call.identity, step.outcome, step.told)
            await self.place.run(lambda con: ledger.complete(con, row, result, time.time(), 0, step.told))
        return Sample(guard.work(call), spent, rules, await self._bare())

    async def _bare(self) -> float:
        began = time.perf_counter()
        await self.place.run(lambda con: con.execute("INSERT INTO bare (at, body) VALUES (?, ?)", (began, "x" * 400)))
        return time.perf_counter() - began


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@asynccontextmanager
async def process(project: Path) -> AsyncIterator[Desk]:
    """What a server or command line has of its own: connection, lease, and nothing read yet."""
    async with AsyncExitStack() as stack, anyio.create_task_group() as tasks:
        source = Source({}, project, project=str(project))
        place = Workplace(source, {}, client="bench", door="mcp", tasks=tasks, stack=stack)
        await place.open()
        yield Desk(place)


def configure(project: Path, mode: str) -> None:
    text = f'[project]\nstate_dir = "{STATE_DIR}"\n\n[guard]\nmode = "{mode}"\n'
    (project / FILE_NAME).write_text(text, encoding="utf-8")


async def cold(project: Path) -> float:
    """Median seconds of the first ruling of a process."""
    spent = []
    for step in islice(honest(), COLD):
        async with process(project) as desk:
            spent.append((await desk.judge(step.call(desk.place.here.lease.id)))[0])
    return statistics.median(spent)


async def shown(place: Workplace) -> float:
    """Median seconds of what every status reads of the breaker and of refusals; nobody is judged meanwhile."""
    spent = []
    for _ in range(COLD):
        began = time.perf_counter()
        await Breakers(place).show()
        spent.append(time.perf_counter() - began)
    return statistics.median(spent)


async def measure(project: Path, rulings: int) -> tuple[Found, dict[str, float]]:
    found = {}
    configure(project, "enforce")
    async with process(project) as desk:
        samples = await desk.work(honest(), 2 * rulings)
        found["edits: tests, commands"] = [sample for sample in samples if sample.work]
        found["edits: looks, records"] = [sample for sample in samples if not sample.work]
        found["no edit: all news"] = await filled(desk, new_commands(), rulings)
        beside = {
            "first ruling of a process": await cold(project),
            "breaker as status shows it": await shown(desk.place),
        }
        configure(project, "observe")  # all rules are asked, and the breaker stays closed
        found["observe: one test, no news"] = await filled(desk, one_test(), rulings)
        found["observe: two fail in turn"] = await filled(desk, two_commands(), rulings)
        configure(project, "enforce")
        await desk.place.run(hammered)
        found[f"open, {REFUSALS:,} refused before"] = await desk.work(two_commands(), rulings, stopped=True)
    return found, beside


async def filled(desk: Desk, steps: Iterator[Step], rulings: int) -> list[Sample]:
    """Rulings on calls whose like have filled the window already."""
    await desk.place.run(lambda con: add(con, steps))
    return await desk.work(steps, rulings)


def told(stored: int, rulings: int) -> bool:
    """Print what was measured; whether every median with a target met it."""
    with tempfile.TemporaryDirectory(prefix="mcp-e2e-bench-") as folder:
        project = Path(folder).resolve()
        layout = Layout(project / STATE_DIR)
        layout.create()
        spent = _seconds(lambda: fill(layout, stored))
        size = layout.database.stat().st_size / 1e6
        found, beside = anyio.run(measure, project, rulings)
    print(f"{stored:,} stored calls, {size:.0f} MB filled in {spent:.0f} s; {rulings} rulings each, ms")
    print(f"  {'':28} median    p95   rules  bare commit  ratio")
    target, worst = TARGET_MS if stored <= FEW else TARGET_MS_MANY, 0.0
    for name, samples in found.items():
        median = _line(name, samples)
        worst = worst if name.startswith("observe") else max(worst, median)
    for name, seconds in beside.items():
        print(f"  {name:28} {1000 * seconds:6.2f}")
    print(f"  {'worst; at most':28} {worst:6.2f} {target:6.2f}   {'met' if worst <= target else 'MISSED'}", flush=True)
    return worst <= target


def _line(name: str, samples: list[Sample]) -> float:
    """Print it; the median in ms."""
    every = [1000 * sample.ruling for sample in samples]
    median, p95 = statistics.median(every), statistics.quantiles(every, n=20)[-1]
    rules = 1000 * statistics.median(sample.rules for sample in samples)
    bare = 1000 * statistics.median(sample.bare for sample in samples)
    print(f"  {name:28} {median:6.2f} {p95:6.2f} {rules:7.2f} {bare:12.2f} {median / bare:6.1f}")
    return median


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stored", type=int, nargs="+", default=[FEW, 100 * FEW])
    parser.add_argument("--rulings", type=int, default=500)
    options = parser.parse_args()
    met = [told(stored, options.rulings) for stored in options.stored]
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
