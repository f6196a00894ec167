"""Jobs from the outside: start one, look at it, wait for it, end it. The keeper does the rest."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import anyio
import anyio.to_thread

from mcp_e2e.errors import LaunchError, StoreError
from mcp_e2e.model.jobs import Job, JobSpec, JobState, ProcessIdentity
from mcp_e2e.process import launch_windows
from mcp_e2e.process.identity import is_alive
from mcp_e2e.process.locks import FileLock
from mcp_e2e.process.records import list_jobs, look, may_have_leftovers, stored_spec, strange_jobs
from mcp_e2e.process.spare import Spare, keeper_command, keeper_environment
from mcp_e2e.process.stop import ask_to_stop, end_strays, stop

ACK_S = 30.0  # for a busy machine; a keeper answers within some 30 ms
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_issuing = threading.Lock()
_latest = 0


def new_job_id() -> str:
    """``j-`` and 12 letters: 8 of the time in milliseconds, so that ids sort by age, and 4 at random.

    No process gives one twice, nor one that sorts before its last.
    """
    global _latest  # noqa: PLW0603
    with _issuing:
        _latest = max(_latest + 1, int(time.time() * 1000) << 20 | secrets.randbits(20))
        return "j-" + _base32(_latest, 12)


async def launch(jobs_dir: Path, spec: JobSpec, spare: Spare | None = None) -> Job:
    """Starts the job, by ``spare`` if it can, and answers when its program has been executed, not when it is ready.

    Not cut short by cancellation. Raises LaunchError naming the program and the system's reason (the exit record
    exists by then), also for an id that is taken.
    """
    await anyio.to_thread.run_sync(_launch, jobs_dir, spec, spare)
    return look(jobs_dir, spec.id)


async def adopt(jobs_dir: Path, job_id: str) -> bool:
    """Gives a service whose keeper was killed a new one, which restarts and stops it as before (Linux).

    False when it has one, is no such service, or somebody else was quicker; always on other systems.
    """
    job = look(jobs_dir, job_id)
    if sys.platform == "linux" and job.state is JobState.ORPHAN and may_have_leftovers(job):
        return await anyio.to_thread.run_sync(_adopt, jobs_dir / job_id)
    return False


def _adopt(folder: Path) -> bool:
    lock = FileLock(folder / "lock")
    if not lock.try_acquire():
        return False
    held = lock.detach()
    try:
        return bool(_start_keeper(folder, {}, held, "--adopt").get("ok"))
    finally:
        os.close(held)


async def wait(jobs_dir: Path, job_id: str, timeout_s: float) -> Job:
    """Until the job has ended or ``timeout_s`` is over, whichever comes first; raises NotFound."""
    end, pause = time.monotonic() + timeout_s, 0.02
    while (job := look(jobs_dir, job_id)).live and (left := end - time.monotonic()) > 0:
        if job.keeper is not None and await _keeper_ended(job.keeper, left):
            continue
        await anyio.sleep(min(pause, left))
        pause = min(pause * 1.5, 0.2)
    return job


if sys.platform == "linux":

    async def _keeper_ended(keeper: ProcessIdentity, timeout_s: float) -> bool:
        """False when it lives on, is long gone, or cannot be watched: then look again a little later."""
        try:
            handle = os.pidfd_open(keeper.pid)
        except (AttributeError, OSError):
            return False
        try:
            if not is_alive(keeper):
                return False
            with anyio.move_on_after(timeout_s):
                await anyio.wait_readable(handle)
                return True
        finally:
            os.close(handle)
        return False

else:

    async def _keeper_ended(_keeper: ProcessIdentity, _timeout_s: float) -> bool:
        return False


def _launch(jobs_dir: Path, spec: JobSpec, spare: Spare | None) -> None:
    if not spec.argv:
        raise LaunchError("there is no program to start", remedy="Give at least one argument.", job=spec.id)
    answer = _answered(jobs_dir, spec, spare)
    if not answer.get("ok"):
        _refuse(jobs_dir / spec.id, spec, answer)


if sys.platform == "win32":

    def _answered(jobs_dir: Path, spec: JobSpec, _spare: Spare | None) -> Mapping[str, Any]:
        return launch_windows.launched(jobs_dir, spec)

else:

    def _answered(jobs_dir: Path, spec: JobSpec, spare: Spare | None) -> Mapping[str, Any]:
        lock = _prepare(jobs_dir, spec)
        folder = jobs_dir / spec.id
        try:
            answer = spare.ask(folder, spec.env, lock) if spare else None
            return _start_keeper(folder, spec.env, lock) if answer is None else answer
        finally:
            os.close(lock)


def _prepare(jobs_dir: Path, spec: JobSpec) -> int:
    """The job's folder, visible only when whole and locked; answers the held lock."""
    new = jobs_dir / f".new-{spec.id}-{secrets.token_hex(4)}"
    lock = FileLock(new / "lock")
    try:
        new.mkdir(parents=True, mode=0o700)
        (new / "spec.json").write_text(json.dumps(stored_spec(spec, time.time())), "ascii")
        (new / "keeper.err").touch(0o600)  # where its keeper, whichever that will be, says what is wrong
        lock.try_acquire()
        new.rename(jobs_dir / spec.id)
    except OSError as error:
        lock.release()
        shutil.rmtree(new, ignore_errors=True)
        if (jobs_dir / spec.id).exists():
            raise LaunchError(f"job {spec.id} exists already", remedy="Take a new job id.", job=spec.id) from error
        raise StoreError(f"job {spec.id} cannot be written to {jobs_dir}: {error.strerror}") from error
    return lock.detach()


def _start_keeper(folder: Path, env: Mapping[str, str], lock: int, *how: str) -> Mapping[str, Any]:
    """Starts the keeper and returns its answer; an empty one when it died or was silent for ``ACK_S``."""
    message = json.dumps({"env": dict(env)}).encode("ascii")
    try:
        with (folder / "keeper.err").open("ab") as errors:
            keeper = subprocess.Popen(
                [*keeper_command(), str(folder.absolute()), str(lock), *how],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                pass_fds=[lock],
                start_new_session=True,
                cwd="/",
                env=keeper_environment(),
            )
    except OSError as error:  # no more processes, descriptors or memory
        return {"error": "keeper", "message": error.strerror}
    try:
        said = keeper.communicate(message, timeout=ACK_S)[0]
    except subprocess.TimeoutExpired:
        if not how:  # an adopter must not be told to end what runs
            ask_to_stop(folder)
        keeper.kill()
        keeper.communicate()
        return {}
    return json.loads(said) if said.endswith(b"\n") else {}


def _refuse(folder: Path, spec: JobSpec, answer: Mapping[str, Any]) -> NoReturn:
    if answer.get("error") == "exec":
        raise LaunchError(f"cannot start {spec.argv[0]!r}: {answer['message']}", job=spec.id, program=spec.argv[0])
    told = answer.get("message") or (folder / "keeper.err").read_text("utf-8", "replace").strip()[-500:]
    raise LaunchError(
        f"the keeper of {spec.argv[0]!r} did not start it: {told or 'no answer'}",
        remedy=f"Read {folder / 'keeper.err'}, then call again.",
        job=spec.id,
    )


def _base32(number: int, width: int) -> str:
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(width)))


__all__ = ["adopt", "end_strays", "launch", "list_jobs", "look", "new_job_id", "stop", "strange_jobs", "wait"]
