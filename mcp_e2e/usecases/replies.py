"""Facts put into the shape that every door answers."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio.to_thread

from mcp_e2e.model import answers
from mcp_e2e.model.jobs import Job
from mcp_e2e.model.runs import Attempt, Slot
from mcp_e2e.model.services import Session, SessionState
from mcp_e2e.process import output
from mcp_e2e.usecases.workplace import Workplace

TAIL_BYTES = 6144
SHORT_TAIL = 2048
LISTED = 12
_TELLING = frozenset({SessionState.STARTING, SessionState.FAILED, SessionState.DEGRADED})


def when(at: float) -> str:
    """UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def session_facts(session: Session, place: Workplace) -> dict[str, Any]:
    """The fields of ``SessionAnswer`` but for ``next_step``; a log tail only where it tells something."""
    facts = _session_facts(session, place.now())
    if session.log is not None:
        facts["log_lines"] = await anyio.to_thread.run_sync(output.count_lines, session.log, session.log_offset)
    return place.masked(facts)


def _session_facts(session: Session, now: float) -> dict[str, Any]:
    health = session.health
    telling = session.state in _TELLING and session.log is not None
    tail = output.tail(session.log, TAIL_BYTES, session.log_offset) if telling and session.log else None
    device = health.device if health else None
    return {
        "service": session.service,
        "state": session.state.value,
        "stage": session.stage,
        "slow": session.slow,
        "generation": session.generation,
        "pid": session.pid,
        "url": session.url,
        "version": health.version if health else None,
        "device": answers.Device(**asdict(device)) if device else None,
        "uptime_s": round(now - session.ready_at, 1) if session.ready_at and session.pid else None,
        "ready_after_s": session.ready_after_s,
        "elapsed_s": round(now - session.started_at, 1)
        if session.state is SessionState.STARTING and session.started_at
        else None,
        "adopted": session.adopted,
        "differs": list(session.differs) or None,
        "failed_nodes": _listed(session.failed_nodes) or None,
        "config_changed": session.config_changed or None,
        "cause": session.cause,
        "job": session.job,
        "log": str(session.log) if session.log else None,
        "log_tail": tail or None,
    }


def _listed(names: Sequence[str]) -> list[str]:
    more = [f"and {len(names) - LISTED} more, see log"] if len(names) > LISTED else []
    return [*names[:LISTED], *more]


def attempt_facts(attempt: Attempt, now: float) -> dict[str, Any]:
    """The fields of ``AttemptAnswer`` that the attempt itself tells."""
    since = attempt.started_at or attempt.created_at
    return {
        "attempt": attempt.id,
        "test": attempt.test,
        "params": dict(attempt.params) or None,
        "state": attempt.state.value if attempt.open else "done",
        "verdict": attempt.verdict.value if attempt.verdict else None,
        "duration_s": attempt.duration_s,
        "elapsed_s": round(now - since, 1) if attempt.open else None,
        "progress": dict(attempt.progress) or None if attempt.open else None,
        "failure": asdict(attempt.failure) if attempt.failure else None,
        "evidence": _evidence(attempt) or None,
        "by": attempt.by,
    }


def _evidence(attempt: Attempt) -> dict[str, Any]:
    """What is stored, without what only we need; a log tail only where the test did not pass."""
    shown: Mapping[str, Any] = attempt.evidence
    hidden = {"outputs", "contents", "keys"} | ({"log_tail"} if attempt.verdict == "passed" else set())
    kept = {name: value for name, value in shown.items() if name not in hidden and value is not None}
    if "log_tail" in kept:
        kept["log_tail"] = output.cut(str(kept["log_tail"]), SHORT_TAIL, SHORT_TAIL)
    return kept


def history(slot: Slot) -> list[dict[str, Any]]:
    """The tries of a slot, oldest first, a line each."""
    return [
        {
            "attempt": attempt.id,
            "n": attempt.n,
            "state": attempt.state.value,
            **({"verdict": attempt.verdict.value} if attempt.verdict else {}),
            **({"failure": attempt.failure.message[:200]} if attempt.failure else {}),
            "by": attempt.by,
        }
        for attempt in slot.attempts
    ]


def job_line(job: Job, index: Mapping[str, Mapping[str, str]], now: float) -> answers.JobLine:
    known = index.get(job.id, {})
    return answers.JobLine(
        job=job.id,
        state=job.state.value,
        title=known.get("title") or " ".join(job.argv)[:120],
        purpose=known.get("purpose"),
        by=known.get("by"),
        age_s=round(now - job.created_at, 1),
        exit_code=job.exit.exit_code if job.exit else None,
        signal=job.exit.signal if job.exit else None,
    )


def status_line(place: Workplace) -> str:
    """The full line that shows a person where things stand."""
    project = place.project()
    where = ["--project", str(project)] if project else []
    return shlex.join([*program(), "status", *where])


def program() -> list[str]:
    """How this program is started where its folder is not on the PATH of the user's terminal."""
    beside = Path(sys.executable).with_name("mcp-e2e.exe" if sys.platform == "win32" else "mcp-e2e")
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "mcp_e2e"]
