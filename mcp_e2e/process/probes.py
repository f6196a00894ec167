"""Questions about ports of this machine. Answers are facts of the moment, nothing is ever touched."""

import contextlib
import errno
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import psutil

from mcp_e2e.model.jobs import ProcessIdentity
from mcp_e2e.process.identity import descendants, identity, is_alive

_LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
_ASKING_S = 2.0


@dataclass(frozen=True)
class PortOwner:
    """A process that listens; ``cwd`` and ``path``, its $PATH, are empty where this user may not see them."""

    pid: int
    name: str
    cmdline: tuple[str, ...]
    port: int = 0
    cwd: str = ""
    path: str = ""
    process: ProcessIdentity | None = None
    created_at: float = 0.0


def free_port() -> int:
    """A port free on 127.0.0.1 at this moment; somebody else may take it before you do."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Whether a server could bind it on both loopback addresses now."""
    return all(_can_bind(family, host, port) for family, host in _LOOPBACK)


def port_owner(port: int) -> PortOwner | None:
    """Who listens there; None for nobody and for another user's process. Some 40 ms."""
    return next(iter(listeners(port)), None)


def listeners(port: int | None = None) -> list[PortOwner]:
    """All that listen on ``port``, or on any; not those of other users. Some 40 ms."""
    return [owner for pid, at in _listening(port) if pid and (owner := _owner(pid, at))]


def _listening(port: int | None) -> list[tuple[int | None, int]]:
    """Process and port of each; the process is None where it is another user's."""
    try:
        found: Iterable[tuple[int | None, Any]] = [(each.pid, each) for each in psutil.net_connections("tcp")]
    except psutil.AccessDenied:  # macOS tells only root of all at once, but everybody of each process of theirs
        found = _one_by_one()
    except (psutil.Error, OSError):
        return []
    listen = ((pid, each) for pid, each in found if each.laddr and _listens(each, port or each.laddr.port))
    return list(dict.fromkeys((pid, each.laddr.port) for pid, each in listen))


def _one_by_one() -> Iterator[tuple[int, Any]]:
    """Process and connection of each process that may be asked, within ``_ASKING_S``."""
    until = time.monotonic() + _ASKING_S
    for process in psutil.process_iter():
        if time.monotonic() > until:
            return
        with contextlib.suppress(psutil.Error, OSError):
            yield from ((process.pid, each) for each in process.net_connections("tcp"))


def _owner(pid: int, port: int) -> PortOwner | None:
    try:
        process = psutil.Process(pid)
        name, cmdline, created_at = process.name(), tuple(process.cmdline()), process.create_time()
    except psutil.Error:
        return None
    cwd = path = ""
    with contextlib.suppress(psutil.Error, OSError):
        cwd = process.cwd()
        path = process.environ().get("PATH", "")
    return PortOwner(pid, name, cmdline, port, cwd, path, identity(pid), created_at)


def command_lines(root: ProcessIdentity) -> list[tuple[str, ...]]:
    """Of every process of this tree that may be asked."""
    found = []
    for process in (root, *descendants(root)):
        with contextlib.suppress(psutil.Error):
            found.append(tuple(psutil.Process(process.pid).cmdline()))
    return found


def strangers_on(root: ProcessIdentity, port: int) -> list[PortOwner]:
    """Who else listens there than a process of this tree; pid 0 stands for another user's. Some 40 ms."""
    ours = {process.pid for process in (root, *descendants(root))}
    others = [pid or 0 for pid, _ in _listening(port) if pid not in ours]
    return [_owner(pid, port) or PortOwner(pid, "a program that cannot be seen", (), port) for pid in others]


def owns_port(root: ProcessIdentity, port: int) -> bool:
    """Whether a process of this tree listens there. With the keeper as root (Linux) daemons of the job count too."""
    return listener(root, port) is not None


def listener(root: ProcessIdentity, port: int) -> ProcessIdentity | None:
    """The process of this tree that listens there; None when there is none."""
    if not is_alive(root):
        return None
    return next((process for process in (root, *descendants(root)) if _pid_listens(process.pid, port)), None)


def _pid_listens(pid: int, port: int) -> bool:
    try:
        return any(_listens(found, port) for found in psutil.Process(pid).net_connections("tcp"))
    except (psutil.Error, OSError):
        return False


def _listens(found: Any, port: int) -> bool:
    return bool(found.status == psutil.CONN_LISTEN and found.laddr and found.laddr.port == port)


def _can_bind(family: socket.AddressFamily, host: str, port: int) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if sys.platform != "win32":  # there it would allow what is taken; here it ignores closing connections only
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # a machine without IPv6
    return True
