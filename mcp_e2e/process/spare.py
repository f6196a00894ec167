"""A keeper that is ready before it is needed, so that a command starts in milliseconds; one per server.

It waits on a socket for one job: folder, environment and the job's locked file descriptor. End of file instead, and so
the end of its server, however violent, ends it. Whatever goes wrong with it, a keeper started anew does the work.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcp_e2e import __version__
from mcp_e2e.process.stop import ask_to_stop

START_S = 30.0
ACK_S = 30.0
_FIRST_BYTES = 32_768
_KEPT = {"LANG"} if sys.platform != "win32" else {"LANG", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "TEMP", "TMP"}


def keeper_command() -> list[str]:
    """How the keeper program is started: the real interpreter, not a venv's stand-in, without site packages."""
    python = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    return [python, "-I", "-S", str(Path(__file__).with_name("keeper.py"))]


def keeper_environment() -> dict[str, str]:
    """What the interpreter itself needs, on Windows its system folder too; nothing a keeper could hand on."""
    return {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith("LC_")}


class Spare:
    """``prepare`` blocks some 30 ms; ``ask`` hands over a job. Used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ours: socket.socket | None = None
        self._closed = False
        self.wanted = False  # whoever has had one prepared wants the next one too

    def prepare(self) -> None:
        """Have one waiting; does nothing when one is, or where the system has none."""
        self.wanted = True
        if sys.platform != "win32":  # a socket there cannot hand over a lock
            with self._lock:
                if self._ours is None and not self._closed:
                    with contextlib.suppress(OSError, subprocess.SubprocessError):  # then there is none
                        self._ours = _started()

    def ask(self, folder: Path, env: Mapping[str, str], lock: int) -> Mapping[str, Any] | None:
        """The keeper's answer, as it gives to whoever starts it; None when there is none of our version, or it died.

        An empty one when it is silent for ``ACK_S``: it has the lock, and is told to run nothing any more.
        """
        with self._lock:
            ours, self._ours = self._ours, None
        if ours is None:
            return None
        with ours:
            try:
                return _answer(ours, folder, env, lock)
            except TimeoutError:
                ask_to_stop(folder)
                return {}
            except (OSError, ValueError):
                return None

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._ours is not None:
                self._ours.close()
                self._ours = None


if sys.platform == "win32":

    def _answer(_ours: socket.socket, _folder: Path, _env: Mapping[str, str], _lock: int) -> Mapping[str, Any]:
        raise OSError("a socket cannot hand over a lock here")

else:

    def _answer(ours: socket.socket, folder: Path, env: Mapping[str, str], lock: int) -> Mapping[str, Any] | None:
        order = {"program": __version__, "folder": str(folder.absolute()), "env": dict(env)}
        message = json.dumps(order).encode("ascii")
        sent = socket.send_fds(ours, [message[:_FIRST_BYTES]], [lock])
        ours.sendall(message[sent:])
        ours.shutdown(socket.SHUT_WR)
        said = b"".join(iter(lambda: ours.recv(65_536), b""))
        answer = dict(json.loads(said)) if said.endswith(b"\n") else None
        return None if answer and answer.get("error") == "version" else answer


def _started() -> socket.socket:
    ours, theirs = socket.socketpair()
    ours.settimeout(ACK_S)
    with theirs:
        started = subprocess.Popen(
            [*keeper_command(), "--spare"],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            env=keeper_environment(),
        )
    try:
        started.wait(START_S)  # it leaves its launcher at once; the spare itself is nobody's child
    except BaseException:
        started.kill()
        ours.close()
        raise
    return ours
