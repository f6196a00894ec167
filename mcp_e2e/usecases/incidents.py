"""Incident files: the evidence of each opening of the breaker, readable without the database."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mcp_e2e.model.calls import Breaker


def write_incident(folder: Path, breaker: Breaker, project: str) -> Path:
    """Write the file of ``breaker.incident`` by rename; an existing one is replaced."""
    facts = {
        "schema": "mcp_e2e/incident/1",
        "incident": breaker.incident,
        "rule": breaker.opened_by,
        "opened_at": breaker.opened_at,
        "project": project,
        "reds": [asdict(red) for red in breaker.reds],
    }
    path = folder / f"{breaker.incident}.json"
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(facts, indent=2), encoding="utf-8")
    os.replace(draft, path)  # noqa: PTH105  the same call on every system, over an existing file too
    return path


def read_incident(folder: Path, incident: str) -> dict[str, Any] | None:
    path = folder / f"{incident}.json"
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found
