"""The keeper from its first instruction to its last."""

# ruff: noqa: PTH110

from __future__ import annotations

import os
import sys

from . import child, files, versions
from .adopter import Adopter
from .events import Events
from .job import Keeper
from .quiet import TYPE_CHECKING, dumps, loads, quietly

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

if sys.platform != "win32":
    import fcntl


class Refused(Exception):
    """This keeper may not own the job: ``args`` are the ack's error and message."""


def main(argv: Sequence[str]) -> NoReturn:
    """Never returns; leaves at once after the exit record, so that a free lock follows it closely."""
    _detach()
    _run(argv[1], int(argv[2]) if len(argv) > 2 else None, None, adopts="--adopt" in argv)


def spare() -> NoReturn:
    """As ``main``, with everything ready before the job is known; leaves when its server does."""
    _detach()
    child.become_subreaper()
    order, lock = _order()
    if not order:
        os._exit(0)
    message = loads(order.decode())
    if message["program"] != versions.PROGRAM:
        _answer(error="version", message=f"this keeper is of {versions.PROGRAM}")
        os._exit(0)
    errors = os.open(f"{message['folder']}/keeper.err", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(errors, 2)
    os.close(errors)
    _run(message["folder"], lock, message["env"])


def _order() -> tuple[bytes, int | None]:
    """All that is said on the socket that is our stdin, until its writer closes it, and the lock that came with it."""
    import _socket  # noqa: PLC0415  only a spare needs it

    connection = _socket.socket(fileno=0)
    said, lock = b"", None
    while True:
        data, attached, _, _ = connection.recvmsg(65536, _socket.CMSG_SPACE(4))
        for _, _, descriptor in attached:
            lock = int.from_bytes(descriptor[:4], sys.byteorder)
        if not data:
            connection.detach()
            return said, lock
        said += data


def _run(folder: str, lock_held: int | None, env: dict[str, str] | None, *, adopts: bool = False) -> NoReturn:
    status = 1
    try:
        os.chdir(folder)
        lock = _own(lock_held, adopts=adopts)
        spec = _understood("spec.json")
        _keep(versions.whole_spec(spec), _environment() if env is None else env, adopts=adopts)
        os.close(lock)
        status = 0
    except Refused as refusal:
        _answer(error=refusal.args[0], message=refusal.args[1])
    except Exception as error:
        files.note(_trace())
        _answer(error="spec", message=str(error))
    os._exit(status)


def _detach() -> None:
    """A process of nobody: no kill by parent, group or session of the launcher finds it."""
    with quietly(PermissionError):
        os.setsid()
    if os.fork():
        os._exit(0)


def _own(inherited: int | None, *, adopts: bool) -> int:
    """The lock, held until we end; the launcher took it before the folder became visible.

    ``adopts``: the job has run already, its keeper is gone, its process lives.
    """
    lock = os.open("lock", os.O_RDWR | os.O_CREAT, 0o600) if inherited is None else inherited
    os.set_inheritable(lock, False)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Refused("locked", "another keeper owns this job") from None
    if os.path.exists("exit.json") or os.path.exists("state.json") != adopts:
        raise Refused("used", "this job has already run; a job folder is used once")
    return lock


def _understood(name: str) -> dict[str, Any]:
    stored: dict[str, Any] = files.read(name)
    if why := versions.unreadable(stored):
        raise Refused("spec", f"{name} of the job {why}")
    return stored


def _environment() -> dict[str, str]:
    """It ends with end of file, so half a message starts nothing."""
    data = b""
    while chunk := os.read(0, 65536):
        data += chunk
    env: dict[str, str] = loads(data.decode())["env"]
    return env


def _keep(spec: dict[str, Any], env: dict[str, str], *, adopts: bool) -> None:
    child.become_subreaper()
    files.reserve_record()
    before = versions.whole_state(_understood("state.json")) if adopts else None
    keeper = Adopter(spec, before, Events()) if before else Keeper(spec, env, Events())
    record = keeper.run(lambda: _answer(ok=True))
    files.record_exit(record)
    if record["reason"] == "exec_failed":
        _answer(error="exec", message=record["error"])
    _answer(error="stopped", message="the job was stopped before it began")


_answered = False


def _answer(**fields: Any) -> None:
    """The first answer counts; a launcher that is gone by now must not cost the job."""
    global _answered  # noqa: PLW0603
    if _answered:
        return
    _answered = True
    with quietly(OSError):
        os.write(1, dumps(fields).encode("ascii") + b"\n")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)


def _trace() -> str:
    import traceback  # noqa: PLC0415  slow to import and almost never needed

    return traceback.format_exc()
