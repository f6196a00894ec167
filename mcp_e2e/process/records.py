"""What a job's lock and files say, as values; and the spec as it is stored."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from mcp_e2e.errors import NotFound, StoreError
from mcp_e2e.model.jobs import (
    LIVE_JOB_STATES,
    ExitRecord,
    Job,
    JobSpec,
    JobState,
    Life,
    ProcessIdentity,
    Stream,
)
from mcp_e2e.process.identity import boot_id, is_alive
from mcp_e2e.process.keeping import versions
from mcp_e2e.process.locks import FileLock

T = TypeVar("T")
BUSY_LOOKS = 100
_LONGEST = 255  # bytes, on all common file systems
_PHASES = {
    "starting": JobState.STARTING,
    "running": JobState.RUNNING,
    "backoff": JobState.BACKOFF,
    "stopping": JobState.STOPPING,
    "ended": JobState.STOPPING,  # the exit record is on its way
}


def stored_spec(spec: JobSpec, created_at: float) -> dict[str, Any]:
    """Everything but the values of the environment."""
    return {
        "schema": versions.SCHEMA,
        "id": spec.id,
        "kind": spec.kind,
        "argv": list(spec.argv),
        "cwd": str(spec.cwd),
        "env_names": sorted(spec.env),
        "labels": dict(spec.labels),
        "timeout_s": spec.timeout_s,
        "stop_grace_s": spec.stop_grace_s,
        "merge_streams": spec.merge_streams,
        "restart": asdict(spec.restart),
        "first_generation": spec.first_generation,
        "confinement": {**asdict(spec.confinement), "read_only": [str(path) for path in spec.confinement.read_only]},
        "limits": asdict(spec.limits),
        "ready": asdict(spec.ready) if spec.ready else None,
        "liveness": asdict(spec.liveness) if spec.liveness else None,
        "liveness_every_s": spec.liveness_every_s,
        "log_keep_bytes": spec.log_keep_bytes,
        "idle_stop_s": spec.idle_stop_s,
        "leases": str(spec.leases) if spec.leases else None,
        "created_at": created_at,
    }


def look(jobs_dir: Path, job_id: str) -> Job:
    """The job at this moment. About 0.1 ms.

    Raises:
        NotFound: an id that was never launched here.
        StoreError: it belongs to a version whose files mean something else than this one knows.
    """
    if not _is_plain(job_id):
        raise NotFound(f"no job {job_id!r} here", job=job_id)
    folder = jobs_dir / job_id
    held = FileLock.is_held(folder / "lock")  # before the files: a job that ends meanwhile must not look lost
    spec = _read(folder / "spec.json")
    if spec is None:
        raise NotFound(f"no job {job_id!r} here", job=job_id)
    state, end = _read(folder / "state.json"), _read(folder / "exit.json")
    for name, stored in (("spec.json", spec), ("state.json", state)):
        if stored is not None and (why := versions.unreadable(stored)):
            raise StoreError(
                f"nothing is known of job {job_id} and nothing is done to it: its {name} {why}",
                remedy="Use the version of mcp_e2e that started it, there or here, to look at it and to stop it.",
                job=job_id,
            )
    spec, state = versions.whole_spec(spec), state and versions.whole_state(state)
    process, keeper = _identity(state and state["process"]), _identity(state and state["keeper"])
    now = _state(held, state, end, process)
    return Job(
        id=job_id,
        state=now,
        folder=folder,
        log=folder / "log",
        kind=spec["kind"],
        argv=tuple(spec["argv"]),
        cwd=spec["cwd"],
        labels=spec["labels"],
        created_at=spec["created_at"],
        keeper=keeper,
        process=process,
        layers=tuple(state["layers"]) if state else (),
        generation=state["generation"] if state else 0,
        lives=tuple(_of(Life, life) for life in state["lives"]) if state else (),
        retry_at=state["retry_at"] if state else None,
        exit=_exit(end) if end else None,
        lost_to=_lost_to(keeper) if now is JobState.LOST else None,
    )


def list_jobs(jobs_dir: Path, *, ended_since: float = 0.0, most_ended: int | None = None) -> list[Job]:
    """All jobs of the folder, oldest first; what is half made, half removed or of another version is skipped.

    Those with an exit record of before ``ended_since``, or older than ``most_ended`` others that have one, are left
    out unread: a long past costs little.
    """
    return _listed(jobs_dir, ended_since, most_ended)[0]


def strange_jobs(jobs_dir: Path) -> list[str]:
    """Why ``list_jobs`` leaves some out that are there: a sentence for each that is of another version."""
    return _listed(jobs_dir, 0.0, 0)[1]


def _listed(jobs_dir: Path, ended_since: float, most_ended: int | None) -> tuple[list[Job], list[str]]:
    found, strange, ended = [], [], 0
    for name in reversed(job_ids(jobs_dir)):
        recorded = _recorded_at(jobs_dir / name)
        if recorded is not None and (recorded < ended_since or ended == most_ended):
            continue
        try:
            found.append(look(jobs_dir, name))
        except NotFound:
            continue
        except StoreError as error:
            strange.append(error.message)
        ended += recorded is not None
    return found[::-1], strange[::-1]


def job_ids(jobs_dir: Path) -> list[str]:
    """Of whatever may be a job, oldest first; none where there is no folder."""
    try:
        names = os.listdir(jobs_dir)  # noqa: PTH208  much quicker
    except FileNotFoundError:
        return []
    return sorted(name for name in names if not name.startswith("."))


def _recorded_at(folder: Path) -> float | None:
    try:
        return os.stat(folder / "exit.json").st_mtime  # noqa: PTH116  as above
    except OSError:
        return None


def stop_grace_s(job: Job) -> float:
    """As its spec says, in seconds."""
    spec = _read(job.folder / "spec.json") or {}
    return float(spec.get("stop_grace_s", 10.0))


def may_have_leftovers(job: Job) -> bool:
    """Its keeper died in this boot without ending the tree."""
    keeper = job.keeper
    if job.state not in (JobState.ORPHAN, JobState.LOST) or keeper is None or keeper.boot_id != boot_id():
        return False
    return not is_alive(keeper)  # a copied folder has a free lock, and yet its keeper lives


def _state(
    held: bool, state: Mapping[str, Any] | None, end: Mapping[str, Any] | None, process: ProcessIdentity | None
) -> JobState:
    if end is not None:
        return JobState.EXITED
    if held:
        return _PHASES[state["phase"]] if state else JobState.STARTING
    if state is None:
        return JobState.NEVER_STARTED
    return JobState.ORPHAN if process is not None and is_alive(process) else JobState.LOST


def _lost_to(keeper: ProcessIdentity | None) -> Literal["keeper_killed", "reboot"]:
    return "reboot" if keeper is None or keeper.boot_id != boot_id() else "keeper_killed"


def _identity(stored: Mapping[str, Any] | None) -> ProcessIdentity | None:
    return _of(ProcessIdentity, stored) if stored else None


def _exit(stored: Mapping[str, Any]) -> ExitRecord:
    streams = {name: _of(Stream, stored[name]) if stored[name] else None for name in ("stdout", "stderr")}
    return _of(ExitRecord, {**stored, **streams})


def _of(kind: type[T], stored: Mapping[str, Any]) -> T:
    """What this version knows of it: a newer keeper may say more, an older one less."""
    known = {part.name for part in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in stored.items() if name in known})


def _is_plain(job_id: str) -> bool:
    """Whether it can be the name of a folder, and of none elsewhere."""
    if not job_id.isprintable() or job_id.startswith(".") or "/" in job_id or "\\" in job_id:
        return False
    return 0 < len(job_id.encode()) <= _LONGEST


if sys.platform == "win32":

    def _bytes(path: Path) -> bytes:
        """A file that is just being replaced cannot be opened there for a moment, which must not look like none."""
        for _ in range(BUSY_LOOKS):
            with contextlib.suppress(PermissionError):
                return path.read_bytes()
            time.sleep(0.005)
        return path.read_bytes()

else:

    def _bytes(path: Path) -> bytes:
        return path.read_bytes()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(_bytes(path))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


__all__ = [
    "LIVE_JOB_STATES",
    "job_ids",
    "list_jobs",
    "look",
    "may_have_leftovers",
    "stop_grace_s",
    "stored_spec",
    "strange_jobs",
]
