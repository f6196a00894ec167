"""Where the server listens: what a person writes, the sockets behind it, and the names it answers to."""

import errno
import re
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from mcp_e2e.errors import ConfigError, PortTaken, UsageError

ALLOWED_HOSTS = "MCP_E2E_HTTP_ALLOWED_HOSTS"
_BACKLOG = 256
_LOCAL = frozenset({"127.0.0.1", "localhost", "[::1]"})
_WRITTEN = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_NAME = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]")


@dataclass(frozen=True)
class Address:
    """``host`` without brackets; ``port`` 0 stands for a free one."""

    host: str
    port: int

    @property
    def shown(self) -> str:
        """The host as URLs and ``Host`` headers have it."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def loopback(self) -> bool:
        """Whether only programs of this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_address(text: str) -> Address:
    """``HOST:PORT`` or ``[IPv6]:PORT``. Raises UsageError."""
    found = _WRITTEN.fullmatch(text.strip())
    if found is None or int(found["port"]) > 65535 or not _is_host(found["six"]):
        raise UsageError(
            f"--http needs HOST:PORT, not {text!r}",
            remedy="For programs on this machine: --http 127.0.0.1:8765 (or [::1]:8765; port 0: a free one).",
        )
    return Address((found["six"] or found["name"]).lower(), int(found["port"]))


def _is_host(six: str | None) -> bool:
    try:
        return six is None or ip_address(six).version == 6
    except ValueError:
        return False


def bind(address: Address) -> list[socket.socket]:
    """Listening sockets, one for each address of the host, all on one port.

    Raises:
        PortTaken: another program listens there.
        UsageError: the host is none of this machine.
    """
    port, sockets, refused = address.port, list[socket.socket](), list[OSError]()
    for family, host in _addresses(address):
        try:
            sockets.append(_listening(family, host, port))
        except OSError as error:
            refused.append(error)
        else:
            port = port or sockets[0].getsockname()[1]
    taken = next((error for error in refused if error.errno in {errno.EADDRINUSE, errno.EACCES}), None)
    if sockets and (taken is None or not address.port):
        return sockets
    for each in sockets:
        each.close()
    raise _unusable(address, taken or refused[0])


def _listening(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    """TCP is named: asyncio sends small answers at once (TCP_NODELAY) only on sockets that say so."""
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":  # there it would let another program take the port over
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _addresses(address: Address) -> Iterator[tuple[socket.AddressFamily, str]]:
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise _unusable(address, error) from error
    seen = {(family, str(where[0])): None for family, _, _, _, where in found}
    yield from seen


def _unusable(address: Address, error: OSError) -> UsageError | PortTaken:
    where = f"{address.shown}:{address.port}"
    if error.errno == errno.EADDRINUSE:
        other = f"--http {address.shown}:0"
        return PortTaken(f"another program listens on {where}", remedy=f"Choose another port, or a free one: {other}")
    return UsageError(
        f"{where} cannot be listened on: {error.strerror or error}",
        remedy="Name an address of this machine and a port above 1023, for example --http 127.0.0.1:8765.",
    )


def allowed_hosts(address: Address, more: str) -> frozenset[str]:
    """The names by which clients may call the server: the local ones, the bound one, and ``more``, with commas.

    Raises ConfigError when ``more`` has anything but names and addresses in it.
    """
    named = [name.strip().lower() for name in more.split(",") if name.strip()]
    for name in named:
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{ALLOWED_HOSTS} has {name!r}, which is no host name or address",
                remedy=f"Write names without scheme and port, IPv6 in brackets: {ALLOWED_HOSTS}=box.local,[fd00::7]",
            )
    return _LOCAL | {address.shown, *named}
