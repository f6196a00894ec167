"""What must hold when all is over: database, job folders, lines of what really ran, and answers tell one story."""

import json
import os
import signal
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from mcp_e2e.model.jobs import Job, ProcessIdentity
from mcp_e2e.process.identity import identity, send_signal
from mcp_e2e.process.locks import FileLock
from mcp_e2e.process.records import list_jobs
from mcp_e2e.store import breaker as breakers
from tests.soak.actor import Book
from tests.soak.chaos import purpose, variable
from tests.soak.project import MARKER, SERVICES, Project

REDS = frozenset({"failed", "timed_out", "errored"})


class Reckoning:
    """``wrong`` yields one sentence for each broken law. Only once every server has gone.

    ``may_fail``: tests that fail in earnest.
    """

    def __init__(self, project: Project, book: Book, may_fail: frozenset[str] = frozenset()) -> None:
        self._project, self._book, self._may_fail = project, book, may_fail
        self._con = opened(project)
        self._jobs = {job.id: job for job in list_jobs(project.state.jobs)}
        self.attempts = self._rows("SELECT * FROM attempts ORDER BY run, slot, n")
        self.verdicts = Counter(row["verdict"] for row in self.attempts)
        self.states = Counter(f"{purpose(job)} {job.state}" for job in self._jobs.values())

    def _rows(self, query: str) -> list[sqlite3.Row]:
        return list(self._con.execute(query))

    def wrong(self) -> Iterator[str]:
        yield from self._book.wrong
        yield from self._database()
        yield from self._tests()
        yield from self._slots()
        yield from self._answers()
        yield from self._commands()
        yield from self._services()
        yield from self._locks()
        yield from (f"left behind: {line}" for line in leftovers(self._project))

    def _database(self) -> Iterator[str]:
        said = self._con.execute("PRAGMA integrity_check").fetchone()[0]
        if said != "ok":
            yield f"integrity_check: {said}"
        _, holds = breakers.log(self._con)
        if not holds:
            yield "the breaker's chain is broken"
        if breakers.load(self._con).state != "closed":
            yield f"the breaker is {breakers.load(self._con)}"
        for incident in self._project.state.incidents.iterdir():
            yield f"an incident: {incident.read_text()[:600]}"
        for row in self._rows("SELECT id, tool, lease, at FROM ledger WHERE outcome IS NULL"):
            yield f"call {row['id']} of {row['tool']} ({row['lease']}) never got an outcome"

    def _tests(self) -> Iterator[str]:
        """An attempt ran at most once, a passed one exactly once; a verdict says what the exit record says."""
        ran = Counter((words[0], words[1]) for words in self._project.marks("tests"))
        known = {(row["id"], row["job"]): row for row in self.attempts}
        yield from (f"{pair} ran and is not known" for pair in ran if pair not in known and not self._setback(pair[0]))
        for pair, row in known.items():
            job, times = self._jobs.get(row["job"]), ran[pair]
            code = job.exit.exit_code if job and job.exit else None
            fails = row["test"] in self._may_fail and row["verdict"] == "failed"
            if problem := _failing(row, times, code) if fails else _problem(row, times, code):
                told = f"{row['state']} {row['verdict']}, ran {times} times, exit {code}; {row['failure']}"
                yield f"attempt {row['id']} ({row['test']}) {problem}: {told}"

    def _setback(self, attempt: str) -> bool:
        return bool(self._con.execute("SELECT 1 FROM setbacks WHERE attempt = ?", (attempt,)).fetchone())

    def _slots(self) -> Iterator[str]:
        """A lost attempt is followed by one other try, or its run is over; numbers have no gap."""
        runs = {row["id"]: row for row in self._rows("SELECT * FROM runs")}
        slots: dict[tuple[str, int], list[sqlite3.Row]] = defaultdict(list)
        for row in self.attempts:
            slots[row["run"], row["slot"]].append(row)
        taken = self._setbacks_by_run()
        for (run, slot), rows in slots.items():
            numbers = [row["n"] for row in rows]
            if numbers != list(range(1, len(rows) + 1)) and not taken[run]:
                yield f"slot {slot} of {run} has the attempts {numbers}"
            if rows[-1]["verdict"] == "lost" and runs[run]["state"] == "active" and not taken[run]:
                yield f"slot {slot} of {run} ends with a lost attempt that was not made again"

    def _setbacks_by_run(self) -> Counter[str]:
        return Counter(row["run"] for row in self._rows("SELECT run FROM setbacks"))

    def _answers(self) -> Iterator[str]:
        stored = {row["id"]: row["verdict"] for row in self.attempts}
        for attempt, told in self._book.verdicts.items():
            if told != {stored.get(attempt)}:
                yield f"attempt {attempt}: answered {told}, stored {stored.get(attempt)}"
        points = {(row["run"], row["slot"]): row["result"] for row in self._rows("SELECT * FROM checkpoints")}
        for place, results in self._book.recorded.items():
            if results != {points.get(place)}:
                yield f"slot {place}: answered {results}, stored {points.get(place)}"

    def _commands(self) -> Iterator[str]:
        """A command ran at most once, and once if its exit record says that it got to its end."""
        ran = self._project.counted("execs")
        mine = [job for job in self._jobs.values() if job.labels.get("tool") == "safe_exec"]
        of_token: dict[str, list[Job]] = defaultdict(list)
        for job in mine:
            of_token[job.argv[-1].split()[1]].append(job)
            if job.live:
                yield f"command {job.id} is still {job.state}"
        yield from (f"{token} ran and has no job" for token in ran if token not in of_token)
        for token, jobs in of_token.items():
            code = jobs[0].exit.exit_code if jobs[0].exit else None
            if len(jobs) > 1 or ran[token] > 1 or (code == 0 and ran[token] != 1):
                yield f"command {token} has jobs {[job.id for job in jobs]}, ran {ran[token]} times, exit {code}"
            if (answered := self._book.tokens.get(token)) and answered != jobs[0].id:
                yield f"command {token} was answered as {answered}, and is {jobs[0].id}"
        for job_id, ends in self._book.execs.items():
            end = self._jobs[job_id]
            if ends != {(end.state.value, end.exit.exit_code if end.exit else None)}:
                yield f"command {job_id}: answered {ends}, is {end.state} {end.exit}"

    def _services(self) -> Iterator[str]:
        """No life of a service that its keeper does not know."""
        for name in SERVICES:
            began = self._project.marks(name)
            for job_id, times in Counter(words[0] for words in began).items():
                job = self._jobs[job_id]
                first = json.loads((job.folder / "spec.json").read_text())["first_generation"]
                if times > job.generation - first + 1:
                    yield f"service {name}, {job_id}: {times} starts, generations {first} to {job.generation}"
                if job.live:
                    yield f"service {name}, {job_id} is still {job.state}"

    def _locks(self) -> Iterator[str]:
        private = self._project.state.private
        for path in [*private.glob("locks/*.lock"), *private.glob("leases/*.lease"), *private.glob("jobs/*/lock")]:
            if FileLock.is_held(path):
                yield f"{path} is held"


def _problem(attempt: sqlite3.Row, times: int, code: int | None) -> str | None:
    """What is wrong with an attempt that ran so many times and whose command ended with this code, if known."""
    verdict = attempt["verdict"]
    if attempt["state"] != "done":
        return "has no verdict"
    if times > 1:
        return "ran more than once"
    if verdict in REDS:
        return "is red"
    if (verdict == "passed") != (code == 0):
        return "is told otherwise by its exit record"
    if verdict == "passed" and times != 1:
        return "passed without having run"
    return (
        "is over, and nobody cancelled it"
        if verdict not in {"passed", "lost"} and not attempt["cancelled_by"]
        else None
    )


def _failing(attempt: sqlite3.Row, times: int, code: int | None) -> str | None:
    """The same of one that may be red."""
    return None if (attempt["state"], times, code) == ("done", 1, 1) else "is told otherwise by its exit record"


def opened(project: Project) -> sqlite3.Connection:
    con = sqlite3.connect(f"{project.state.database.as_uri()}?mode=ro", uri=True, timeout=10)
    con.row_factory = sqlite3.Row
    return con


def unsettled(project: Project) -> list[str]:
    """What servers still have to settle: open attempts, calls without an outcome, commands that run."""
    con = opened(project)
    try:
        rows: list[Any] = list(con.execute("SELECT id, state FROM attempts WHERE state <> 'done'"))
        calls = list(con.execute("SELECT id, tool FROM ledger WHERE outcome IS NULL"))
    finally:
        con.close()
    live = [job for job in list_jobs(project.state.jobs) if job.live and job.kind == "command"]
    return [f"{row[0]} {row[1]}" for row in (*rows, *calls)] + [f"{job.id} {job.state}" for job in live]


def leftovers(project: Project) -> list[str]:
    """Living processes of this project, for people."""
    found = []
    for who in of_project(project):
        with suppress(psutil.Error):
            words = " ".join(psutil.Process(who.pid).cmdline())
            found.append(f"{who.pid} {words[:120]} (job {variable(who.pid, 'MCP_E2E_JOB')})")
    return found


def end_leftovers(project: Project) -> None:
    """They have been told; they must not live on."""
    for who in of_project(project):
        send_signal(who, signal.SIGKILL)


def of_project(project: Project) -> list[ProcessIdentity]:
    """Whatever has the soak's marker, a job of this project, or its folder as its own; but not ourselves."""
    jobs = {path.name for path in project.state.jobs.iterdir()} if project.state.jobs.exists() else set()
    found = []
    for process in psutil.process_iter():
        who = identity(process.pid)
        marked = variable(process.pid, MARKER) == str(project.root) or variable(process.pid, "MCP_E2E_JOB") in jobs
        if who is not None and process.pid != os.getpid() and (marked or _works_in(process, project.root)):
            found.append(who)
    return found


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(folder)
    except psutil.Error:
        return False
