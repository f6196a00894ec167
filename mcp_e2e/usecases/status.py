"""One answer for "where are we?", also where the configuration is broken."""

import math
from functools import partial
from typing import Any

from mcp_e2e.decisions import next_step
from mcp_e2e.errors import ConfigError, E2EError
from mcp_e2e.model.answers import JobLine, KnownTest, StatusAnswer
from mcp_e2e.model.calls import Breaker, BreakerState
from mcp_e2e.model.runs import Caller, Run
from mcp_e2e.process import jobs, locks
from mcp_e2e.store import breaker as breakers
from mcp_e2e.store import runs, sessions
from mcp_e2e.usecases.breakers import Breakers
from mcp_e2e.usecases.catalogue import Catalogue
from mcp_e2e.usecases.gate import Gate, Passage
from mcp_e2e.usecases.neighbours import neighbours
from mcp_e2e.usecases.replies import history, job_line, session_facts
from mcp_e2e.usecases.reports import run_line
from mcp_e2e.usecases.runs import Runs
from mcp_e2e.usecases.sights import Sights
from mcp_e2e.usecases.workplace import Workplace

NO_CONFIG = "Correct the configuration as its error says; it is read again at the next call."


class Status:
    def __init__(
        self, place: Workplace, gate: Gate, sights: Sights, catalogue: Catalogue, runs_: Runs, breaker: Breakers
    ) -> None:
        self._place = place
        self._gate = gate
        self._sights = sights
        self._catalogue = catalogue
        self._runs = runs_
        self._breaker = breaker

    async def show(self, caller: Caller, *, person: bool = False) -> StatusAnswer:
        """Services, tests, run, jobs, breaker, who else works here, and what is wrong with the configuration."""
        error = self._config_error()
        if not self._place.is_open:
            try:
                await self._place.open()
            except ConfigError as broken:
                return StatusAnswer(config_error=_shown(broken), next_step=NO_CONFIG)

        async def work(passage: Passage) -> StatusAnswer:
            answer = await self._look(error, person=person)
            passage.told = _told(answer)
            return answer

        return await self._gate.look(caller, "status", {}, work)

    def _config_error(self) -> ConfigError | None:
        try:
            self._place.settings().needs_file()
        except ConfigError as error:
            return error
        return None

    async def _look(self, error: ConfigError | None, *, person: bool) -> StatusAnswer:
        run = await self._place.run(runs.active)
        breaker = await self._place.run(breakers.load)
        configured: dict[str, Any] = {} if error else await self._configured()
        return StatusAnswer(
            config_error=_shown(error) if error else None,
            **configured,
            run=self._run(run),
            jobs=await self._jobs(),
            breaker=await self._breaker.show(person=person),
            also_here=self._others(),
            position=self._runs.position(run, breaker) if run else None,
            next_step=NO_CONFIG if error else _next_step(run, breaker, configured.get("services", []), person=person),
        )

    async def _configured(self) -> dict[str, Any]:
        loaded = self._place.settings()
        tests = loaded.settings.tests
        return {
            "project": str(loaded.project),
            "config_file": str(loaded.file) if loaded.file else None,
            "warnings": [
                *loaded.warnings,
                *jobs.strange_jobs(self._place.layout.jobs),
                *await neighbours(self._place),
            ],
            "services": [await self._service(name) for name in loaded.settings.services],
            "tests": [
                KnownTest(
                    id=test.id,
                    kind="workflow" if test.workflow else "command",
                    service=self._catalogue.service_of(test),
                    problem=self._catalogue.problem(test),
                )
                for test in tests
            ],
        }

    async def _service(self, name: str) -> dict[str, Any]:
        try:
            session = await self._sights.look(name)
        except E2EError as error:
            return {"service": name, "state": "unknown", "problem": error.message}
        facts = await session_facts(session, self._place)
        facts.pop("log_lines", None)
        device = facts.pop("device")
        shown = {key: value for key, value in facts.items() if value not in (None, False)}
        return shown | ({"device": device.shown()} if device else {})

    def _run(self, run: Run | None) -> dict[str, Any] | None:
        if run is None:
            return None
        current = run.current
        return run_line(run) | ({"due": current.test, "history": history(current)} if current else {})

    async def _jobs(self) -> list[JobLine]:
        live = [job for job in jobs.list_jobs(self._place.layout.jobs, ended_since=math.inf) if job.live]
        index = await self._place.run(partial(sessions.job_index, jobs=[job.id for job in live]))
        return [job_line(job, index, self._place.now()) for job in live]

    def _others(self) -> list[str]:
        mine = self._place.here.lease.id
        others = [
            lease
            for lease in locks.leases(self._place.layout.leases, sweep=not self._place.reads_only)
            if lease.alive and lease.id != mine
        ]
        return [f"{lease.description.get('client', '?')} (pid {lease.id.split('-')[0]})" for lease in others]


def _told(answer: StatusAnswer) -> dict[str, Any]:
    """What of a status tells that something has moved."""
    here = answer.position
    return {
        "state": "running" if (answer.run or {}).get("running") else "idle",
        "step": [[each.get("service"), each.get("state"), each.get("stage")] for each in answer.services or ()],
        "jobs": [line.job for line in answer.jobs or ()],
        "breaker": answer.breaker.state if answer.breaker else None,
        "config": bool(answer.config_error),
        **(here.model_dump(include={"run", "done", "passed", "failed", "current"}) if here else {}),
    }


def _next_step(run: Run | None, breaker: Breaker, services: list[dict[str, Any]], *, person: bool) -> str:
    if breaker.state is BreakerState.OPEN and person:
        return next_step.FOR_A_PERSON
    failed = next((each["service"] for each in services if each["state"] == "failed"), None)
    if failed is not None and breaker.state is not BreakerState.OPEN:
        return next_step.with_failed_service(failed)
    return next_step.after_plan(run, breaker) if run else next_step.without_run(breaker)


def _shown(error: ConfigError) -> dict[str, Any]:
    return {"code": error.code, "message": error.message, "remedy": error.advice, **error.facts}
