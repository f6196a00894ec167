"""The keeper from its first instruction to its last, on POSIX."""

# ruff: noqa: PTH110

from __future__ import annotations

import os
import sys

assert sys.platform != "win32"  # there it is program_windows.py

from . import cgroup, child, handshake, locking, versions
from .events import Events
from .job import Keeper
from .quiet import TYPE_CHECKING, loads, quietly

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

if sys.platform == "linux":
    from .adopter import Adopter


def main(argv: Sequence[str]) -> NoReturn:
    """Never returns; leaves at once after the exit record, so that a free lock follows it closely."""
    _detach()
    _run(argv[1], int(argv[2]) if len(argv) > 2 else None, None, adopts="--adopt" in argv)


def spare() -> NoReturn:
    """As ``main``, with everything ready before the job is known; leaves when its server does."""
    _detach()
    child.become_subreaper()
    cgroup.parent()
    order, lock = _order()
    if not order:
        os._exit(0)
    message = loads(order.decode())
    if message["program"] != versions.PROGRAM:
        handshake.answer(error="version", message=f"this keeper is of {versions.PROGRAM}")
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
    def work() -> None:
        os.chdir(folder)
        lock = _own(lock_held, adopts=adopts)
        spec = handshake.understood("spec.json")
        _keep(versions.whole_spec(spec), handshake.environment() if env is None else env, adopts=adopts)
        os.close(lock)

    handshake.answered(work)


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
    if not locking.exclusive(lock):
        raise handshake.Refused("locked", "another keeper owns this job")
    if os.path.exists("exit.json") or os.path.exists("state.json") != adopts:
        raise handshake.Refused("used", "this job has already run; a job folder is used once")
    return lock


def _keep(spec: dict[str, Any], env: dict[str, str], *, adopts: bool) -> None:
    child.become_subreaper()
    handshake.keep(lambda: _keeper(spec, env, adopts=adopts))


def _keeper(spec: dict[str, Any], env: dict[str, str], *, adopts: bool) -> Keeper:
    if sys.platform == "linux" and adopts:
        return Adopter(spec, versions.whole_state(handshake.understood("state.json")), Events())
    return Keeper(spec, env, Events())
