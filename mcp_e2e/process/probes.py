"""Questions about ports of this machine. Answers are facts of the moment, nothing is ever touched."""

import contextlib
import errno
import socket
import sys
from dataclasses import dataclass
from typing import Any

import psutil

from mcp_e2e.model.jobs import ProcessIdentity
from mcp_e2e.process.identity import descendants, is_alive

_LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


@dataclass(frozen=True)
class PortOwner:
    pid: int
    name: str
    cmdline: tuple[str, ...]


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
    try:
        pids = [found.pid for found in psutil.net_connections("tcp") if _listens(found, port)]
    except (psutil.Error, OSError):
        return None
    for pid in pids:
        if pid:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                return PortOwner(pid, process.name(), tuple(process.cmdline()))
    return None


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
