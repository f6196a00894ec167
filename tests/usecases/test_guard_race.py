"""Many real processes on one project: one opening, one probe, a whole ledger; and kill -9 at the worst moments."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_e2e.errors import Refused
from mcp_e2e.store import breaker as breakers
from mcp_e2e.store import runs
from tests.usecases.conftest import Servers
from tests.usecases.guard_child import CALLS, GREEN, is_test

ROOT = Path(__file__).resolve().parent.parent.parent
CHILDREN = 8


class Child:
    """A server process that this test gave orders to, and owns."""

    def __init__(self, project: Path, number: int) -> None:
        line = [sys.executable, "-m", "tests.usecases.guard_child", str(project), str(number)]
        home = {"PATH": os.environ["PATH"], "HOME": str(project.parent)}
        self._process = subprocess.Popen(
            line, cwd=ROOT, env=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def told(self) -> dict[str, Any]:
        """Its next answer; the test's time limit bounds the wait."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"child {self._process.pid} ended"
        found: dict[str, Any] = json.loads(line)
        return found

    def do(self, **order: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """kill -9, and nothing of it is left when this returns."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()


Start = Callable[[int], list[Child]]


@pytest.fixture
def start(project: Path) -> Iterator[Start]:
    """Start so many children; all of them are killed at the end."""
    begun: list[Child] = []

    def some(count: int) -> list[Child]:
        new = [Child(project, len(begun) + n) for n in range(count)]
        begun.extend(new)
        for child in new:
            assert child.told()["ready"]
        return new

    yield some
    for child in begun:
        child.kill()


def rows(project: Path, query: str, *values: object) -> list[sqlite3.Row]:
    """What the database holds, read past the program."""
    con = sqlite3.connect(project / ".mcp-e2e" / "private" / "state.db")
    con.row_factory = sqlite3.Row
    try:
        return con.execute(query, values).fetchall()
    finally:
        con.close()


def longest_streak(verdicts: list[str]) -> int:
    """Reds in a row, at most."""
    return max(map(len, "".join("r" if each == "failed" else "." for each in verdicts).split(".")))


@pytest.mark.timeout(180)
async def test_eight_processes_open_it_once_and_each_call_is_on_record(
    server: Servers, start: Start, project: Path
) -> None:
    """8 x 1,000 calls with failures: one opening at the third red in a row, and no work call runs after it."""
    tests = [f"t{child}-{at}" for child in range(CHILDREN) for at in range(CALLS) if is_test(at)]
    async with server(stops=False) as app:
        await app._place.run(lambda con: runs.create(con, "r-race", tests, "strict", "test", 0.0))
    children = start(CHILDREN)
    refused = 0
    for first, last in ((0, GREEN), (GREEN, CALLS)):  # all of them fail their first test at the same moment
        for child in children:
            child.do(do="race", first=first, last=last)
        refused += sum(child.told()["refused"] for child in children)

    ledger = rows(project, "SELECT id, tool, ruling, rule, state, outcome, incident FROM ledger ORDER BY id")
    assert [row["id"] for row in ledger] == list(range(1, CHILDREN * CALLS + 1))
    assert [row["id"] for row in ledger if row["outcome"] is None] == []
    first = next(row["id"] for row in ledger if row["state"] == "open")
    assert {(row["state"], row["ruling"]) for row in ledger[: first - 1]} == {("closed", "allow")}
    after = ledger[first - 1 :]
    assert {(row["state"], row["ruling"], row["rule"], row["outcome"]) for row in after} == {
        ("open", "refuse", "R1", "refused")
    }
    assert len(after) == refused
    assert {row["tool"] for row in after} == {"run_test", "safe_exec"}

    events = rows(project, "SELECT kind, body FROM events WHERE kind IN ('attempt.ended', 'breaker.open') ORDER BY seq")
    kinds = [row["kind"] for row in events]
    assert kinds.count("breaker.open") == 1
    before = [json.loads(row["body"])["verdict"] for row in events[: kinds.index("breaker.open")]]
    assert before[-3:] == ["failed"] * 3
    assert longest_streak(before) == 3
    begun = [row["outcome"] for row in ledger[: first - 1] if row["tool"] == "run_test"]
    assert len(begun) == kinds.count("attempt.ended")
    assert begun.count("fail") == sum("failed" in row["body"] for row in events)
    assert len({row["incident"] for row in after}) == 1
    assert [path.stem for path in (project / ".mcp-e2e/private/incidents").glob("i-*.json")] == [after[0]["incident"]]
    async with server(stops=False) as app:
        assert (await app._place.run(breakers.log))[1]
        shown = await app.breaker.show()
        assert (shown.state, shown.refusals) == ("open", refused)


async def test_after_a_reset_one_of_eight_probes_at_a_time(server: Servers, start: Start, project: Path) -> None:
    """All eight try at once: one permit, given back by a cancel and by a kill, ended by the pass that closes."""
    async with server(stops=False) as app:
        await app.runs.plan(app.caller, tests=["red"], count=3)
        for _ in range(3):
            await app.attempts.run(app.caller, checkpoint=True)
        await app.breaker.reset(app.caller, actor={"tty": "pts/1"})
    left = start(CHILDREN)
    ends: list[tuple[bool, str | None]] = [(True, "cancelled"), (False, None), (True, "cancelled"), (True, "passed")]
    for begin, verdict in ends:
        for child in left:
            child.do(do="hold", test="green", begin=begin, job=False)
        said = [child.told() for child in left]
        assert [each["let_in"] for each in said].count(True) == 1
        assert {each["rule"] for each in said if not each["let_in"]} == {"R1"}
        holder = left[[each["let_in"] for each in said].index(True)]
        if verdict is None:
            holder.kill()
            left.remove(holder)
        else:
            holder.do(verdict=verdict)
            assert holder.told()["ended"]
    async with server() as app:
        assert (await app.breaker.show()).state == "closed"
        assert (await app._place.run(breakers.log))[1]
    assert rows(project, "SELECT id FROM ledger WHERE outcome IS NULL") == []
    assert len(rows(project, "SELECT seq FROM events WHERE kind = 'breaker.open'")) == 1


async def test_a_call_killed_before_its_work_never_happened(server: Servers, start: Start, project: Path) -> None:
    """Its row is settled once, as abandoned; the equal calls after it are judged as if it had not been."""
    (victim,) = start(1)
    async with server() as app:
        await app.runs.plan(app.caller, tests=["red", "green"])
        assert (await app.attempts.run(app.caller)).advice is None
        victim.do(do="hold", test="red", begin=False, job=False)
        call = victim.told()["call"]
        victim.kill()
        assert rows(project, "SELECT outcome FROM ledger WHERE id = ?", call)[0]["outcome"] is None
        second = await app.attempts.run(app.caller)
        settled = tuple(rows(project, "SELECT outcome, ended_at, fault, shown FROM ledger WHERE id = ?", call)[0])
        assert (settled[0], settled[2], settled[3]) == ("abandoned", None, None)
        assert second.advice is not None
        assert "fail once" in second.advice
        with pytest.raises(Refused) as refused:
            await app.attempts.run(app.caller)
        assert (refused.value.facts["rule"], refused.value.facts["state"]) == ("R2", "closed")
        assert (await app.breaker.show()).consecutive_failures == 2
        assert tuple(rows(project, "SELECT outcome, ended_at, fault, shown FROM ledger WHERE id = ?", call)[0]) == (
            settled
        )
        report = await app.reports.show(app.caller)
        assert report.counts is not None
        assert report.counts["attempts"] == 2


async def test_a_killed_probe_frees_its_permit(server: Servers, start: Start, project: Path) -> None:
    """Nobody waits for a dead process: the next test is the probe, and its pass closes."""
    (victim,) = start(1)
    async with server() as app:
        await app.runs.plan(app.caller, tests=["red"], count=3)
        for _ in range(3):
            await app.attempts.run(app.caller, checkpoint=True)
        await app.breaker.reset(app.caller, actor={})
        victim.do(do="hold", test="green", begin=False, job=False)
        call = victim.told()["call"]
        with pytest.raises(Refused, match="one test at a time"):
            await app.attempts.run(app.caller, test="green")
        victim.kill()
        probe = await app.attempts.run(app.caller, test="green")
        assert probe.verdict == "passed"
        assert (await app.breaker.show()).state == "closed"
    assert rows(project, "SELECT outcome FROM ledger WHERE id = ?", call)[0]["outcome"] == "abandoned"


@pytest.mark.parametrize(("test", "outcome", "reds"), [("red", "fail", 1), ("green", "pass", 0)])
async def test_a_call_killed_after_its_row_is_taken_over(
    server: Servers, start: Start, project: Path, test: str, outcome: str, reds: int
) -> None:
    """The attempt exists, its work has not begun: another process does it, and its verdict counts once."""
    async with server() as app:
        await app.runs.plan(app.caller, tests=[test])
        (victim,) = start(1)
        victim.do(do="hold", test=test, begin=True, job=True)
        said = victim.told()
        victim.kill()
        taken = await app.attempts.run(app.caller)
        assert (taken.attempt, taken.joined) == (said["attempt"], True)
        assert (await app.breaker.show()).consecutive_failures == reds
    assert [tuple(row) for row in rows(project, "SELECT id, state FROM attempts")] == [(said["attempt"], "done")]
    calls = rows(project, "SELECT id, outcome FROM ledger WHERE tool = 'run_test' AND NOT joins")
    assert [tuple(row) for row in calls] == [(said["call"], outcome)]
