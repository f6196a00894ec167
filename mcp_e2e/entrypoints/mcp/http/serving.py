"""Serving over HTTP: the start, what is said about it, and above all the end, within three seconds."""

import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType

import uvicorn
from mcp.server.lowlevel import Server
from starlette.routing import BaseRoute

from mcp_e2e.bootstrap import App, Options, open_app
from mcp_e2e.entrypoints.mcp.ending import SIGNALS
from mcp_e2e.entrypoints.mcp.http.address import ALLOWED_HOSTS, Address, allowed_hosts, bind
from mcp_e2e.entrypoints.mcp.http.app import PATH, http_app
from mcp_e2e.entrypoints.mcp.http.bearer import Bearer, find_bearer
from mcp_e2e.entrypoints.mcp.http.protocol import BoundedProtocol
from mcp_e2e.entrypoints.mcp.http.streams import Streams
from mcp_e2e.entrypoints.mcp.server import Lifespan, build_server
from mcp_e2e.entrypoints.mcp.stdio import log_to_stderr
from mcp_e2e.entrypoints.mcp.subscriptions import Subscriptions
from mcp_e2e.errors import ConfigError, StoreError, UsageError
from mcp_e2e.process.locks import Lease

STOP_S = 2.5  # from the signal to the end of the process, whatever hangs
STOPPED = "stopped; services and jobs live on"
_GRACE_S = 0.3  # for streams that end by themselves

Say = Callable[[str], None]
Close = Callable[[], None]


async def serve_http(
    options: Options,
    environ: Mapping[str, str],
    address: Address,
    *,
    auth: bool = True,
    say: Say,
    routes: Sequence[BaseRoute] = (),
) -> int:
    """Serve until a signal comes, and answer 128 + its number.

    Raises:
        UsageError: the address is none of this machine, or everybody could reach a server without a token.
        PortTaken: another program listens there.
        ConfigError: a variable of the environment is wrong; never for the configuration file.
    """
    if not auth and not address.loopback:
        raise UsageError(
            f"--no-auth on {address.shown} would let every machine that reaches it run commands here",
            remedy="Leave --no-auth out, or listen on 127.0.0.1, localhost or [::1].",
        )
    log_to_stderr(sys.stderr)
    sockets = bind(address)
    bound = Address(address.host, sockets[0].getsockname()[1])
    async with open_app(options, environ, client_name="mcp", door="mcp") as app, _private(app) as private:
        known = _known(app, environ)
        hosts = allowed_hosts(bound, known.get(ALLOWED_HOSTS, ""))
        bearer = await find_bearer(known, private / "http-token") if auth else None
        if bearer is not None:
            app.hide(bearer.token)
        subscriptions = Subscriptions()
        server = build_server(_lent(app), subscriptions)
        token = bearer.token if bearer else None
        door = http_app(server, hosts=hosts, token=token, routes=routes, opened=subscriptions.opened)
        with Lease.take(private / "http", _told(bound, bearer)):
            _announce(bound, bearer, say)
            number = await run_http(door, sockets, [subscriptions.close])
    say(STOPPED)
    return 128 + number


async def run_http(door: Streams, sockets: list[socket.socket], closers: Sequence[Close] = ()) -> int:
    """Serve ``door`` until a signal comes; its number. ``closers`` are called first when the end begins."""
    serving = Serving(configured(door), door, closers)
    await serving.serve(sockets=sockets)
    return serving.number


def configured(door: Streams) -> uvicorn.Config:
    """uvicorn with what we want of it: HTTP/1.1 alone, no logs but of defects, nobody else's word on who asks."""
    return uvicorn.Config(
        door,
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )


class Serving(uvicorn.Server):
    """uvicorn's server, ended by our signals and in our order."""

    def __init__(self, config: uvicorn.Config, door: Streams, closers: Sequence[Close]) -> None:
        super().__init__(config)
        self._door = door
        self._closers = closers
        self.number = 0

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Also SIGHUP; and a signal that has ended the server is not raised once more."""
        before = {number: signal.signal(number, self._heed) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _heed(self, number: int, _frame: FrameType | None) -> None:
        if not self.should_exit:
            self.number, self.should_exit = number, True
            timer = threading.Timer(STOP_S, os._exit, (128 + number,))
            timer.daemon = True
            timer.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for close in self._closers:
            close()
        await self._door.end(_GRACE_S)
        await super().shutdown(sockets)


@asynccontextmanager
async def _private(app: App) -> AsyncIterator[Path]:
    """The private part of the state folder; a folder for this one time where the configuration tells of none."""
    try:
        folder = await app.private()
    except (ConfigError, StoreError):
        with tempfile.TemporaryDirectory(prefix="mcp-e2e-http-", ignore_cleanup_errors=True) as once:
            yield Path(once)
    else:
        yield folder


def _known(app: App, environ: Mapping[str, str]) -> Mapping[str, str]:
    try:
        return app.settings().environment(environ)
    except ConfigError:  # every call that needs the file says so; a server starts all the same
        return environ


def _lent(app: App) -> Lifespan:
    """A lifespan with an App that is open already."""

    @asynccontextmanager
    async def lifespan(_: Server[App]) -> AsyncIterator[App]:
        yield app

    return lifespan


def _url(bound: Address) -> str:
    return f"http://{bound.shown}:{bound.port}{PATH}"


def _told(bound: Address, bearer: Bearer | None) -> dict[str, object]:
    """What other programs read in ``private/http/``: one file per server, locked while it lives."""
    return {
        "url": _url(bound),
        "pid": os.getpid(),
        "token": bearer.place if bearer else None,
        "since": round(time.time(), 3),
    }


def _announce(bound: Address, bearer: Bearer | None, say: Say) -> None:
    token = f"bearer token: {bearer.place}" if bearer else "no token: every program on this machine may use it"
    say(f"MCP at {_url(bound)} ({token})")
    if not bound.loopback:
        say(
            f"Warning: plain HTTP on {bound.shown} carries the token in the clear; use it in networks you trust, or "
            f"behind TLS. Names that clients may call it by, besides this one: {ALLOWED_HOSTS}."
        )
