"""Incident files: the evidence of each opening of the breaker, readable without the database.

A database that was lost does not close the breaker: an incident that no person has cleared opens it again.
"""

import json
import os
import secrets
from dataclasses import asdict, replace
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from mcp_e2e.model.calls import Breaker, BreakerState, Limits, Red
from mcp_e2e.store import breaker as breakers
from mcp_e2e.store import ledger

SCHEMA = "mcp_e2e/incident/1"


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


def reopen(con: Connection, folder: Path, now: float) -> None:
    """Open the breaker of a database that knows nothing yet when an incident of before was never cleared."""
    before = breakers.load(con)
    if before != Breaker() or ledger.last_id(con):
        return
    left = [found for path in sorted(folder.glob("i-*.json")) if (found := read_incident(folder, path.stem))]
    uncleared = [found for found in left if "reset_at" not in found]
    if uncleared:
        latest = max(uncleared, key=lambda found: found.get("opened_at") or 0.0)
        breakers.save(con, before, _as_breaker(latest), now)


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
