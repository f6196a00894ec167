"""Starting a keeper on Windows, where a lock cannot be handed over: the keeper takes it, then shows the job.

Why no other process can misread what it sees: ``keeping/owning.py``. The one thing done here after the keeper
is to show a job whose keeper has died before it could, so that it is found never started, as on POSIX.
"""

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mcp_e2e.errors import LaunchError, StoreError
from mcp_e2e.model.jobs import JobSpec
from mcp_e2e.process.keeping import files
from mcp_e2e.process.keeping.windows import structures as api
from mcp_e2e.process.records import stored_spec
from mcp_e2e.process.spare import keeper_command, keeper_environment
from mcp_e2e.process.stop import ask_to_stop

ACK_S = 30.0
DETACHED = api.CREATE_NO_WINDOW | api.CREATE_NEW_PROCESS_GROUP | api.CREATE_BREAKAWAY_FROM_JOB
Popen = Callable[..., "subprocess.Popen[bytes]"]


def launched(jobs_dir: Path, spec: JobSpec, popen: Popen = subprocess.Popen) -> Mapping[str, Any]:
    """The keeper's answer; an empty one when it died or was silent for ``ACK_S``."""
    folder = prepare(jobs_dir, spec)
    try:
        with (folder / "keeper.err").open("ab") as errors:
            keeper = start(folder, errors.fileno(), popen)
    except OSError as error:  # no more processes, handles or memory
        return {"error": "keeper", "message": error.strerror}
    said = _exchange(keeper, json.dumps({"env": dict(spec.env)}).encode("ascii"))
    if said is None:
        ask_to_stop(folder)  # it may be about to take the lock and to show the job; whatever it does, it runs nothing
        return {}
    answer: Mapping[str, Any] = json.loads(said) if said.endswith(b"\n") else {}
    if not answer.get("ok"):
        keeper.wait(ACK_S)
        _show(folder)
    return answer


def _exchange(keeper: "subprocess.Popen[bytes]", message: bytes) -> bytes | None:
    """All that it says until it closes its end; None when that takes too long. ``communicate`` waits for its death."""
    said: list[bytes] = []

    def talk() -> None:
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        with contextlib.suppress(OSError), keeper.stdin:  # it may be dead by now
            keeper.stdin.write(message)
        with keeper.stdout:
            said.append(keeper.stdout.read())

    talking = threading.Thread(target=talk, daemon=True)
    talking.start()
    talking.join(ACK_S)
    return said[0] if said else None


def prepare(jobs_dir: Path, spec: JobSpec) -> Path:
    """The job's folder, not to be seen as a job yet. A folder with an open file in it could not be renamed there."""
    folder = jobs_dir / spec.id
    try:
        folder.mkdir(parents=True, mode=0o700)
        (folder / "keeper.err").touch(0o600)
        (folder / files.UNSEEN_SPEC).write_text(json.dumps(stored_spec(spec, time.time())), "ascii")
    except FileExistsError as error:
        raise LaunchError(f"job {spec.id} exists already", remedy="Take a new job id.", job=spec.id) from error
    except OSError as error:
        raise StoreError(f"job {spec.id} cannot be written to {jobs_dir}: {error.strerror}") from error
    return folder


def start(folder: Path, errors: int, popen: Popen) -> "subprocess.Popen[bytes]":
    """Out of the client's job object; where that refuses, within it, and the keeper is told so. Raises OSError."""
    command = [*keeper_command(), str(folder.absolute())]
    how: dict[str, Any] = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": errors,
        "cwd": str(folder.absolute()),
        "env": keeper_environment(),
    }
    try:
        return popen(command, creationflags=DETACHED, **how)
    except PermissionError:
        within = DETACHED & ~api.CREATE_BREAKAWAY_FROM_JOB
        return popen([*command, "--no-breakaway"], creationflags=within, **how)


def _show(folder: Path) -> None:
    """Its keeper is dead: nobody else can do it, and nobody is to hold its lock."""
    with contextlib.suppress(FileNotFoundError):
        files.replace(str(folder / files.UNSEEN_SPEC), str(folder / "spec.json"))
