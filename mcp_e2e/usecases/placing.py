"""Where an attempt goes in its run, decided and stored in one transaction; and which work a call would join."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import replace
from sqlite3 import Connection
from typing import Any

from mcp_e2e.decisions import schedule
from mcp_e2e.decisions.breaker import bind_probe
from mcp_e2e.errors import UsageError
from mcp_e2e.model.runs import Attempt
from mcp_e2e.model.traces import TraceContext
from mcp_e2e.store import attempts, runs, sessions
from mcp_e2e.store import breaker as breakers
from mcp_e2e.usecases.catalogue import work


def place(con: Connection, draft: Attempt, test: str | None, caller: TraceContext | None = None) -> Attempt | None:
    """The attempt with its place in the run, stored; a one-test run, under ``caller``, is made where none is planned.

    An equal one that runs already is returned instead. None: another client has moved the run on meanwhile.
    """
    run = runs.active(con)
    if run is None:
        runs.create(con, "r-" + secrets.token_hex(4), [draft.test], "strict", draft.by, draft.created_at, caller)
        run = runs.active(con)
    slot = schedule.due(run, test) if run else None
    if run is None or slot is None:
        raise UsageError(
            f"run {run.id if run else ''} has no open slot of {draft.test!r}",
            remedy="Run what is due (next_test), or plan_run(new=true, reason=…) with this test in it.",
        )
    if slot.test != draft.test:
        return None
    if slot.last is not None and slot.last.open:
        if slot.last.work == draft.work:
            return slot.last
        raise UsageError(
            f"attempt {slot.last.id} of slot {slot.n} runs already with other params",
            remedy="Repeat the call without params to join it, or end it with job(action='cancel').",
        )
    placed = replace(draft, run=run.id, slot=slot.n, n=len(slot.attempts) + 1)
    attempts.add(con, placed)
    if placed.job is not None:
        title = f"test {placed.test}, attempt {placed.n} of slot {slot.n}"
        sessions.add_job(con, placed.job, placed.id, title, placed.by, placed.created_at)
    before = breakers.load(con)
    breakers.save(con, before, bind_probe(before, draft.call or 0, placed.id), draft.created_at)
    return placed


def existing(con: Connection, test: str | None, params: Mapping[str, Any] | None) -> Attempt | None:
    """Work this call selects that is open, or ended without any reply having told so.

    Joining is loose: without ``params`` whatever runs for the slot. Handing over is exact.
    """
    newest = runs.latest(con, 1)
    run = runs.active(con) or (newest[0] if newest else None)
    if run is None:
        return None
    slot = schedule.due(run, test) if run.state == "active" else None
    if slot is not None and slot.last is not None and slot.last.open and _joins(slot.last, params):
        return slot.last
    ended = [each.last for each in run.slots if each.last and not each.last.open and each.last.delivered_at is None]
    return next((attempt for attempt in ended if _same_work(attempt, test, params)), None)


def _joins(attempt: Attempt, params: Mapping[str, Any] | None) -> bool:
    return params is None or _same_work(attempt, None, params)


def _same_work(attempt: Attempt, test: str | None, params: Mapping[str, Any] | None) -> bool:
    return attempt.work == json.dumps(work(test or attempt.test, params))
