"""Run a test: join what runs, hand over what nobody has heard of yet, else begin one attempt and wait for it."""

import json
import secrets
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

import anyio

from mcp_e2e.contracts import Progress
from mcp_e2e.decisions import next_step, schedule
from mcp_e2e.errors import E2EError, NotFound, StoreError, UsageError
from mcp_e2e.model.answers import AttemptAnswer
from mcp_e2e.model.runs import Attempt, AttemptState, Caller, Run, Verdict
from mcp_e2e.process import jobs
from mcp_e2e.store import attempts, runs, setbacks
from mcp_e2e.store import breaker as breakers
from mcp_e2e.usecases import placing
from mcp_e2e.usecases.catalogue import Catalogue, work
from mcp_e2e.usecases.execution import Execution
from mcp_e2e.usecases.gate import Gate, Passage
from mcp_e2e.usecases.replies import attempt_facts, when
from mcp_e2e.usecases.runs import Runs
from mcp_e2e.usecases.workplace import Workplace

POLL_S = 0.1


class Attempts:
    def __init__(self, place: Workplace, gate: Gate, catalogue: Catalogue, runs_: Runs, execution: Execution) -> None:
        self._place = place
        self._gate = gate
        self._catalogue = catalogue
        self._runs = runs_
        self._execution = execution

    async def run(
        self,
        caller: Caller,
        *,
        test: str | None = None,
        params: Mapping[str, Any] | None = None,
        checkpoint: bool = False,
        timeout_s: float | None = None,
        wait_seconds: float = 45.0,
        progress: Progress | None = None,
    ) -> AttemptAnswer:
        """One attempt of the slot that is due, or of ``test``; answers when it has ended or the time is up.

        Raises:
            Refused: the breaker is open.
            SetupError: the test cannot start; that is no attempt.
            StoreError: the database was lost while it ran.
        """
        await self._place.open()
        caller = self._place.identified(caller)
        await self._execution.take_over()
        args = {"test": test, "params": dict(params) if params else None, "timeout_s": timeout_s}
        known = await self._place.run(lambda con: placing.existing(con, test, params))
        due, planned = (known.test, False) if known else await self._due(test)
        work_ = {"test": due, "params": dict(params or {})}
        entry = self._gate.enter(caller, "run_test", args, work=work_, joins=known is not None, planned=planned)
        async with entry as passage:
            passage.told = {"test": due, "status": "running"}
            attempt = known or await self._begin(caller, test, dict(params or {}), timeout_s, passage)
            attempt = await self._wait(attempt, wait_seconds, progress)
        return await self._handed_over(caller, attempt, checkpoint, joined=known is not None, advice=passage.advice)

    async def outcome(self, caller: Caller, attempt_id: str, *, checkpoint: bool = False) -> AttemptAnswer:
        """What ``run`` would answer now to whoever began this attempt; begins nothing.

        Raises:
            NotFound: there is no such attempt.
            SetupError: it could not start.
        """
        await self._place.open()
        await self._execution.take_over()
        attempt = await self._place.run(lambda con: attempts.standing(con, attempt_id))
        if attempt is None:
            why = await self._place.run(partial(setbacks.of_attempt, attempt=attempt_id, at=self._place.now()))
            raise why or NotFound(f"there is no attempt {attempt_id!r}")
        return await self._handed_over(self._place.identified(caller), attempt, checkpoint)

    async def _handed_over(
        self, caller: Caller, attempt: Attempt, checkpoint: bool, *, joined: bool = True, advice: str | None = None
    ) -> AttemptAnswer:
        """The answer; with it the verdict of an attempt that has ended is delivered."""
        recorded = None
        if checkpoint and not attempt.open and attempt.verdict not in {Verdict.LOST, Verdict.CANCELLED}:
            recorded = await self._checkpoint(caller, attempt)
        answer = await self._answer(attempt, joined=joined, recorded=recorded, advice=advice)
        if not attempt.open:
            await self._place.run(lambda con: attempts.deliver(con, attempt.id, self._place.now()))
        return answer

    async def _due(self, test: str | None) -> tuple[str | None, bool]:
        """The test that a call is for, and whether its verdict will be the first one of a planned slot."""
        run = await self._place.run(runs.active)
        slot = schedule.due(run, test) if run else None
        return (test or (slot.test if slot else None)), slot is not None and slot.last is None

    async def _begin(
        self, caller: Caller, test: str | None, params: dict[str, Any], timeout_s: float | None, passage: Passage
    ) -> Attempt:
        """A new attempt, stored and on its way; the one that an equal call was quicker to begin.

        Raises:
            E2EError: why the same work could not start a moment ago, when no reply has told it yet.
        """
        while True:
            run = await self._place.run(runs.active)
            if run is None and test is None:
                raise UsageError("no run is planned", remedy="Call plan_run, or name one test.")
            name = test or (run.current.test if run and run.current else "")
            config = self._catalogue.test(name)
            work_ = json.dumps(work(name, params))
            if run is not None and (told := await self._setback(run, work_)):
                raise told
            self._catalogue.check([name], params)
            draft = Attempt(
                id="a-" + secrets.token_hex(5),
                run="",
                slot=0,
                n=0,
                test=name,
                work=work_,
                params=params,
                service=self._catalogue.service_of(config),
                timeout_s=timeout_s or config.timeout_s,
                lease=caller.lease,
                by=caller.shown,
                state=AttemptState.QUEUED,
                created_at=self._place.now(),
                job=jobs.new_job_id() if config.command is not None else None,
                prompt_id=str(uuid.uuid4()) if config.workflow is not None else None,
                call=passage.call_id,
                world=passage.call.world,
            )
            put = partial(placing.place, draft=draft, test=test, caller=self._place.tracing.caller)
            attempt = await self._place.run(put)
            if attempt is not None and attempt.id == draft.id:
                passage.bound = True
                self._execution.spawn(attempt)
            if attempt is not None:
                return attempt

    async def _setback(self, run: Run, work_: str) -> E2EError | None:
        return await self._place.run(lambda con: setbacks.unheard(con, run.id, work_, self._place.now()))

    async def _wait(self, attempt: Attempt, wait_seconds: float, progress: Progress | None) -> Attempt:
        """The attempt as it is when it has ended, or after ``wait_seconds``; a lost one's rerun takes its place."""
        begun = anyio.current_time()
        while True:
            an_end = self._execution.an_end  # taken before the look, so that none between the two is missed
            now = await self._place.run(partial(attempts.standing, attempt_id=attempt.id))
            if now is None:
                why = await self._place.run(partial(setbacks.of_attempt, attempt=attempt.id, at=self._place.now()))
                raise why or _vanished(attempt)
            attempt = now
            waited = anyio.current_time() - begun
            if not attempt.open or waited >= wait_seconds:
                return attempt
            if progress is not None:
                await progress(waited, None, _told(attempt))
            with anyio.move_on_after(POLL_S):
                await an_end.wait()

    async def _checkpoint(self, caller: Caller, attempt: Attempt) -> str | None:
        """Record what was observed; a slot that somebody has recorded already stays as it is."""
        run = await self._runs.get(attempt.run)
        if run.slot(attempt.slot).checkpoint is not None or run.state != "active" or attempt.verdict is None:
            return None
        try:
            point = await self._runs.checkpoint(caller, result=attempt.verdict.value, slot=attempt.slot, run=run.id)
        except E2EError as error:
            return f"not recorded: {error.message}"
        return point.result

    async def _answer(
        self, attempt: Attempt, *, joined: bool, recorded: str | None, advice: str | None
    ) -> AttemptAnswer:
        run = await self._runs.get(attempt.run)
        slot = run.slot(attempt.slot)
        breaker = await self._place.run(breakers.load)
        ahead = await self._place.run(lambda con: attempts.ahead(con, attempt)) if attempt.open else []
        usual = sorted(await self._place.run(lambda con: attempts.durations(con, attempt.test)))
        facts = attempt_facts(attempt, self._place.now())
        elapsed = facts["elapsed_s"] if attempt.state is AttemptState.RUNNING else None
        earlier = slot.attempts[attempt.n - 2] if attempt.n > 1 else None
        return AttemptAnswer(
            **facts,
            advice=advice,
            joined=joined or None,
            eta_s=round(max(0.0, usual[len(usual) // 2] - elapsed), 1) if usual and elapsed is not None else None,
            queued={"ahead": len(ahead), "holder": ahead[0].by, "since": when(ahead[0].created_at)} if ahead else None,
            checkpointed=recorded,
            rerun_of=earlier.id if earlier and earlier.verdict is Verdict.LOST else None,
            position=self._runs.position(run, breaker),
            next_step=next_step.after_attempt(run, slot, attempt, breaker),
        )


def _vanished(attempt: Attempt) -> StoreError:
    how = f"job(action='wait', id='{attempt.job}') tells how its command ends." if attempt.job else "See its outputs."
    what = f"the database was lost while {attempt.test} ({attempt.id}) ran: its verdict cannot be stored"
    return StoreError(what, remedy=f"Tell the user. {how}")


def _told(attempt: Attempt) -> str:
    message = attempt.progress.get("message")
    return f"{attempt.test}: {attempt.state.value}" + (f", {message}" if message else "")
