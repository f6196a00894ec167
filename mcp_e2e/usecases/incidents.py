"""Incident files: the evidence of each opening of the breaker, readable without the database.

A database that was lost does not close the breaker: an incident that no person has cleared opens it again.
"""

import json
import os
import secrets
import time
from dataclasses import asdict, replace
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from mcp_e2e.model.calls import Breaker, BreakerState, Limits, Red
from mcp_e2e.store import breaker as breakers
from mcp_e2e.store import ledger

SCHEMA = "mcp_e2e/incident/1"
COARSE_NS = 2_000_000_000  # a folder that changed this lately may change again with the same time


def new_incident() -> str:
    return "i-" + secrets.token_hex(3)


def keep(folder: Path, breaker: Breaker, project: str) -> None:
    """Write the file of an open breaker's incident where it is missing, also after a kill between the two."""
    if breaker.state is not BreakerState.OPEN or (folder / f"{breaker.incident}.json").exists():
        return
    facts = {
        "schema": SCHEMA,
        "incident": breaker.incident,
        "rule": breaker.opened_by,
        "opened_at": breaker.opened_at,
        "limits": asdict(breaker.limits) if breaker.limits else None,
        "evidence": list(breaker.evidence),
        "project": project,
        "reds": [asdict(red) for red in breaker.reds],
    }
    _replace(folder / f"{breaker.incident}.json", facts)


def mark_reset(folder: Path, incident: str, at: float, by: str) -> None:
    """Note in the incident's file that a person has cleared it."""
    facts = read_incident(folder, incident) or {"schema": SCHEMA, "incident": incident}
    _replace(folder / f"{incident}.json", facts | {"reset_at": at, "reset_by": by})


def read_incident(folder: Path, incident: str) -> dict[str, Any] | None:
    """The file's facts; of an unreadable one only its name, None where there is no file."""
    path = folder / f"{incident}.json"
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {"schema": SCHEMA, "incident": incident}
    return found


class Uncleared:
    """The incidents that no person has cleared, read again when their folder has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: int | None = None
        self._latest: dict[str, Any] | None = None

    def latest(self) -> dict[str, Any] | None:
        seen = self._folder.stat().st_mtime_ns
        if seen != self._seen or seen > time.time_ns() - COARSE_NS:
            self._latest, self._seen = _latest(self._folder), seen
        return self._latest


def _latest(folder: Path) -> dict[str, Any] | None:
    left = [found for path in sorted(folder.glob("i-*.json")) if (found := read_incident(folder, path.stem))]
    uncleared = [found for found in left if "reset_at" not in found]
    return max(uncleared, key=lambda found: found.get("opened_at") or 0.0, default=None)


def in_force(con: Connection, uncleared: Uncleared, now: float) -> Breaker:
    """The breaker; one that is not open although an incident was never cleared is opened by that incident again.

    So neither a lost database closes it nor one that was set back.
    """
    found = breakers.load(con)
    if found.state is BreakerState.OPEN or (incident := uncleared.latest()) is None:
        return found
    evidence = () if found == Breaker() and not ledger.last_id(con) else (breakers.TAMPERED,)
    opened = _as_breaker(incident)
    opened = replace(opened, evidence=(*opened.evidence, *evidence), cleared=found.cleared)
    breakers.save(con, found, opened, now, {"found": "an incident that nobody has cleared"})
    return opened


def _as_breaker(facts: dict[str, Any]) -> Breaker:
    return Breaker(
        state=BreakerState.OPEN,
        generation=1,
        limits=replace(Limits(**facts["limits"]), elicitation=False) if facts.get("limits") else None,
        evidence=tuple(facts.get("evidence", ())),
        reds=tuple(Red(**red) for red in facts.get("reds", ())),
        incident=facts["incident"],
        opened_at=facts.get("opened_at"),
        opened_by=facts.get("rule"),
    )


def _replace(path: Path, facts: dict[str, Any]) -> None:
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(facts, indent=2), encoding="utf-8")
    os.replace(draft, path)  # noqa: PTH105  over an existing file on every system
