"""Runs: plan one or go on with it, say what is due, record what is done."""

import secrets
from difflib import get_close_matches
from functools import partial
from sqlite3 import Connection

from mcp_e2e.decisions import next_step, schedule
from mcp_e2e.decisions.breaker import limits_in_force
from mcp_e2e.decisions.likeness import digest
from mcp_e2e.errors import NothingSelected, UsageError
from mcp_e2e.model.answers import CheckpointAnswer, NextAnswer, PlanAnswer, Position
from mcp_e2e.model.calls import Breaker
from mcp_e2e.model.runs import Caller, Run, RunMode, Slot
from mcp_e2e.store import breaker as breakers
from mcp_e2e.store import runs
from mcp_e2e.usecases.catalogue import Catalogue
from mcp_e2e.usecases.gate import Gate, Passage
from mcp_e2e.usecases.recording import NO_RUN, RESULTS, Claim, recorded
from mcp_e2e.usecases.replies import history, when
from mcp_e2e.usecases.settlement import survey_outcome
from mcp_e2e.usecases.workplace import Workplace

MOST_SLOTS_SHOWN = 40


class Runs:
    def __init__(self, place: Workplace, gate: Gate, catalogue: Catalogue) -> None:
        self._place = place
        self._gate = gate
        self._catalogue = catalogue

    async def plan(
        self,
        caller: Caller,
        *,
        tests: list[str] | None = None,
        count: int | None = None,
        mode: RunMode = "strict",
        new: bool = False,
        reason: str | None = None,
    ) -> PlanAnswer:
        """Plan a run, or answer with the unfinished one unless ``new`` with a ``reason`` drops it.

        Raises:
            NothingSelected: ``tests`` matches nothing.
            SetupError: files, programs or variables of the tests are missing; nothing is planned.
        """
        reason = self._place.masked(reason)
        args = {"tests": tests, "count": count, "mode": mode, "new": new or None, "reason": reason}
        async with self._gate.enter(caller, "plan_run", args) as passage:
            if new and not reason:
                raise UsageError("new=true needs a reason", remedy="Say in reason why the unfinished run is dropped.")
            unfinished = await self._place.run(runs.active)
            if unfinished is not None and not new:
                passage.told = _plan(unfinished)
                return await self._planned(unfinished, joined=True, advice=passage.advice)
            chosen = self._select(tests)
            self._catalogue.check(chosen)
            caller = self._place.identified(caller)
            run_id = "r-" + secrets.token_hex(4)
            slots = schedule.slots_for(chosen, count)
            dropped = unfinished.id if unfinished else None
            await self._place.run(lambda con: self._create(con, run_id, slots, mode, caller, dropped, reason))
            await self._place.keep_incident()
            run = await self.get(run_id)
            passage.told = _plan(run)
            return await self._planned(run, joined=False, dropped=dropped, advice=passage.advice)

    async def drop(self, caller: Caller, *, reason: str) -> NextAnswer:
        """End the unfinished run as dropped. Clears no count and no breaker; a survey's reds count as one."""
        reason = self._place.masked(reason)
        async with self._gate.enter(caller, "drop_run", {"reason": reason}):
            caller = self._place.identified(caller)
            run = await self._place.run(lambda con: self._drop(con, f"{reason} ({caller.shown})"))
            await self._place.keep_incident()
        if run is None:
            return NextAnswer(why=NO_RUN, next_step="There was nothing to drop.")
        return NextAnswer(run=run.id, why=f"dropped: {reason}", next_step="Call plan_run for the next one.")

    def _drop(self, con: Connection, reason: str) -> Run | None:
        run = runs.active(con)
        busy = next((each for slot in run.slots for each in slot.attempts if each.open), None) if run else None
        if busy is not None:
            raise UsageError(
                f"attempt {busy.id} of {busy.test} ({busy.by}) still runs, so its run cannot be dropped",
                remedy=f"Wait for it with run_test, or end it with job(action='cancel', id='{busy.id}').",
            )
        if run is not None:
            now = self._place.now()
            runs.end(con, run.id, "dropped", now, reason)
            survey_outcome(con, run, self._place.limits(), now)
        return run

    def _select(self, tests: list[str] | None) -> list[str]:
        known = self._catalogue.ids()
        chosen, unmatched = schedule.select(known, tests)
        if unmatched or not chosen:
            raise NothingSelected(
                f"no test matches {', '.join(map(repr, unmatched)) or 'an empty list'}",
                remedy=f"Known tests: {', '.join(known)}.",
            )
        return chosen

    def _create(
        self,
        con: Connection,
        run_id: str,
        slots: list[str],
        mode: RunMode,
        caller: Caller,
        dropped: str | None,
        reason: str | None,
    ) -> None:
        now = self._place.now()
        if dropped is not None and runs.active_id(con) == dropped:
            self._drop(con, f"{reason} ({caller.shown})")
        if runs.active(con) is not None:
            raise UsageError("another client has just planned a run", remedy="Call plan_run again to join it.")
        runs.create(con, run_id, slots, mode, caller.shown, now, self._place.tracing.caller)

    async def _planned(
        self, run: Run, *, joined: bool, dropped: str | None = None, advice: str | None = None
    ) -> PlanAnswer:
        breaker = await self._place.run(breakers.load)
        titles = [_shown(run, slot) for slot in run.slots]
        return PlanAnswer(
            run=run.id,
            mode=run.mode,
            joined=joined,
            begun_by=run.by,
            begun_at=when(run.created_at),
            total=len(run.slots),
            slots=titles[:MOST_SLOTS_SHOWN],
            left_out=len(titles) - MOST_SLOTS_SHOWN if len(titles) > MOST_SLOTS_SHOWN else None,
            dropped=dropped,
            advice=advice,
            position=self.position(run, breaker),
            next_step=next_step.after_plan(run, breaker),
        )

    async def get(self, run_id: str) -> Run:
        run = await self._place.run(lambda con: runs.get(con, run_id))
        if run is None:
            raise RuntimeError(f"run {run_id} has vanished")
        return run

    def position(self, run: Run, breaker: Breaker) -> Position:
        return schedule.position(run, breaker, limits_in_force(breaker, self._place.limits()))

    async def here(self) -> Position | None:
        """Where the active run stands; None outside a run."""
        run = await self._place.run(runs.active)
        return self.position(run, await self._place.run(breakers.load)) if run is not None else None

    async def next(self, caller: Caller) -> NextAnswer:
        """The slot that is due, why, and its history."""
        return await self._gate.look(caller, "next_test", {}, self._next)

    async def _next(self, passage: Passage) -> NextAnswer:
        run = await self._place.run(runs.active)
        breaker = await self._place.run(breakers.load)
        if run is None:
            return NextAnswer(why=NO_RUN, next_step="Call plan_run, or run_test with the name of one test.")
        slot = run.current
        if slot is None:
            return NextAnswer(run=run.id, why="Every slot is recorded.", next_step="Call report.")
        passage.told = {"test": slot.test, "slot": slot.n, "remaining": sum(not each.checkpoint for each in run.slots)}
        return NextAnswer(
            run=run.id,
            slot=slot.n,
            test=slot.test,
            why=schedule.why_due(slot),
            history=history(slot),
            position=self.position(run, breaker),
            next_step=next_step.for_slot(run, slot, breaker),
        )

    async def checkpoint(
        self,
        caller: Caller,
        *,
        result: str,
        note: str | None = None,
        test: str | None = None,
        slot: int | None = None,
        run: str | None = None,
    ) -> CheckpointAnswer:
        """Record a slot (that number, the first open one of ``test``, the current one) and move on; only of ``run``.

        The server's verdict decides: success over a failing one is a contradiction.
        """
        if result not in RESULTS:
            near = get_close_matches(result, RESULTS, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise UsageError(f"result {result!r} is not known", remedy=f"{hint}One of: {', '.join(RESULTS)}.")
        note = self._place.masked(note)
        claim = Claim(RESULTS[result], note or "", test, caller.shown, slot, run)
        args = {"result": claim.result, "note": note, "test": test}
        return await self._gate.look(caller, "checkpoint", args, partial(self._recorded, claim=claim))

    async def _recorded(self, passage: Passage, claim: Claim) -> CheckpointAnswer:
        limits, now = self._place.limits(), self._place.now()
        point, run, repeated = await self._place.run(lambda con: recorded(con, claim, limits, now))
        passage.told = {"slot": point.slot, "result": point.result}
        await self._place.keep_incident()
        breaker = await self._place.run(breakers.load)
        following = run.current
        return CheckpointAnswer(
            run=run.id,
            slot=point.slot,
            test=run.slot(point.slot).test,
            result=point.result,
            verdict=point.verdict.value if point.verdict else None,
            note=point.note or None,
            repeated=repeated or None,
            next=schedule.slot_title(run, following) if following else None,
            position=self.position(run, breaker),
            next_step=next_step.after_plan(run, breaker),
        )


def _plan(run: Run) -> dict[str, object]:
    return {"count": len(run.slots), "digest": digest(" ".join([run.mode, *(slot.test for slot in run.slots)]))}


def _shown(run: Run, slot: Slot) -> str:
    done = f": {slot.checkpoint.result}" if slot.checkpoint else ""
    return f"{schedule.slot_title(run, slot)}{done}"
