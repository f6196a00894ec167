"""Reports of runs, in every format, and the list of recent runs."""

import os
import platform
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from mcp_e2e.decisions import next_step
from mcp_e2e.decisions import report as decisions
from mcp_e2e.decisions.memory import sentence
from mcp_e2e.errors import NotFound, UsageError
from mcp_e2e.formats import FORMATS
from mcp_e2e.model.answers import ReportAnswer
from mcp_e2e.model.report import ModelUse, Report, SlotLine
from mcp_e2e.model.runs import Caller, Run
from mcp_e2e.store import breaker as breakers
from mcp_e2e.store import ledger, runs, sessions
from mcp_e2e.usecases.gate import Gate, Passage
from mcp_e2e.usecases.replies import when
from mcp_e2e.usecases.runs import Runs
from mcp_e2e.usecases.workplace import Workplace

MOST_RUNS = 20
MOST_TESTS = 40
MOST_USES = 10
MOST_MODELS = 6


class Reports:
    def __init__(self, place: Workplace, gate: Gate, runs_: Runs) -> None:
        self._place = place
        self._gate = gate
        self._runs = runs_

    async def show(self, caller: Caller, *, run: str | None = None, format: str = "summary") -> ReportAnswer:  # noqa: A002
        """The report of a run (the active one, else the latest); ``run="list"`` lists recent runs.

        Raises:
            NotFound: there is no such run.
            UsageError: the format is not known.
        """
        if format != "summary" and format not in FORMATS:
            raise UsageError(f"format {format!r} is not known", remedy=f"One of: summary, {', '.join(FORMATS)}.")
        work = partial(self._show, run=run, format_=format)
        return await self._gate.look(caller, "report", {"run": run, "format": format}, work)

    async def _show(self, passage: Passage, run: str | None, format_: str) -> ReportAnswer:
        if run == "list":
            return await self._list()
        chosen = await self._choose(run)
        report = await self.build(chosen)
        files = self._write(report, list(FORMATS) if format_ == "summary" else [format_])
        breaker = await self._place.run(breakers.load)
        lines = [_line(test) for test in report.tests]
        passage.told = {"run": chosen.id, "overall": report.overall, **asdict(report.counts)}
        return ReportAnswer(
            run=chosen.id,
            overall=report.overall,
            success_rate=report.success_rate,
            recommendation=report.recommendation,
            counts=asdict(report.counts),
            boot_saved_s=report.boot_saved_s,
            boot_saved_how=report.boot_saved_how,
            load_saved_s=report.load_saved_s,
            load_saved_how=report.load_saved_how,
            models=[_use(use) for use in report.model_uses[:MOST_USES]] or None,
            restarts=report.restarts,
            refusals=report.refusals,
            tests=lines[:MOST_TESTS],
            left_out=len(lines) - MOST_TESTS if len(lines) > MOST_TESTS else None,
            files=files,
            position=self._runs.position(chosen, breaker),
            next_step=next_step.after_report(chosen, breaker),
        )

    async def _choose(self, run: str | None) -> Run:
        if run is not None:
            found = await self._place.run(lambda con: runs.get(con, run))
            if found is None:
                raise NotFound(f"there is no run {run!r}", remedy="report(run='list') shows the recent ones.")
            return found
        active = await self._place.run(runs.active)
        newest = await self._place.run(lambda con: runs.latest(con, 1))
        chosen = active or (newest[0] if newest else None)
        if chosen is None:
            raise NotFound("there is no run yet", remedy="Call plan_run first.")
        return chosen

    async def build(self, run: Run) -> Report:
        """The report of ``run`` as of now."""
        services = {attempt.service for slot in run.slots for attempt in slot.attempts if attempt.service}
        until = run.ended_at or self._place.now()
        boots: list[float] = []
        for name in sorted(services):
            boots += await self._place.run(partial(sessions.boots, service=name))
        return decisions.build(
            run,
            boots=boots,
            restarts=await self._place.run(lambda con: sessions.restarts(con, run.created_at, until)),
            refusals=await self._place.run(lambda con: ledger.refusals(con, run=run.id)),
            breaker=await self._place.run(breakers.load),
            now=self._place.now(),
            project=str(self._place.project() or ""),
            environment={"os": platform.system().lower(), "python": platform.python_version()},
        )

    def _write(self, report: Report, formats: list[str]) -> dict[str, str]:
        """Absolute paths of the written files by format; each replaced as a whole."""
        files = {}
        for name in formats:
            chosen = FORMATS[name]
            path: Path = self._place.layout.reports / f"{report.run}{chosen.suffix}"
            draft = path.with_name(f".{path.name}.{os.getpid()}")
            draft.write_text(chosen.render(report), encoding="utf-8")
            os.replace(draft, path)  # noqa: PTH105
            files[name] = str(path)
        return files

    async def _list(self) -> ReportAnswer:
        found = await self._place.run(lambda con: runs.latest(con, MOST_RUNS))
        step = "report(run=ID) shows one." if found else "There is no run yet: call plan_run."
        return ReportAnswer(runs=[run_line(run) for run in found], next_step=step)


def run_line(run: Run) -> dict[str, Any]:
    """A run in a few fields."""
    results = [slot.checkpoint.result for slot in run.slots if slot.checkpoint]
    return {
        "run": run.id,
        "state": run.state,
        "mode": run.mode,
        "begun_at": when(run.created_at),
        "begun_by": run.by,
        "total": len(run.slots),
        "done": len(results),
        "passed": results.count("success"),
        "failed": results.count("failure"),
        **({"reason": run.reason} if run.reason else {}),
    }


def _use(use: ModelUse) -> dict[str, Any]:
    facts = {**asdict(use), "models": list(use.models[:MOST_MODELS]), "slots": list(use.slots[:MOST_TESTS])}
    return {name: value for name, value in facts.items() if value is not None}


def _line(test: SlotLine) -> dict[str, Any]:
    blamed = test.blamed
    facts = {
        "slot": test.slot,
        "test": test.test,
        "outcome": test.outcome,
        "verdict": test.verdict.value if test.verdict else None,
        "attempts": len(test.attempts),
        "duration_s": test.duration_s,
        "warm": test.warm,
        "flaky": test.flaky or None,
        "failure": blamed.failure.message[:300] if blamed and blamed.failure else None,
        "memory": sentence(blamed.memory) if blamed and blamed.out_of_memory and blamed.memory else None,
        "log": blamed.log if blamed else None,
        "note": test.note or None,
    }
    return {name: value for name, value in facts.items() if value is not None}
