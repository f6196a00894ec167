"""One connection: HTTP/1.1 as uvicorn speaks it, with what that lacks, a deadline for requests and a bound on number.

A client that sends a byte now and then would hold its connection for ever; enough of them would hold them all.
"""

import asyncio
import sys
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_S = 15.0  # from a request's first byte, or the connection's begin, to its last byte
MOST = 512  # connections, where the process may have twice as many files open


if sys.platform == "win32":
    ALLOWED = MOST
else:
    import resource

    _files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    ALLOWED = MOST if _files == resource.RLIM_INFINITY else min(MOST, _files // 2)  # databases, keepers need some too


class BoundedProtocol(H11Protocol):
    """``owed_since``: since when the client owes (the rest of) a request; None while it waits for an answer."""

    most = ALLOWED
    request_s = REQUEST_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owed_since: float | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._owes(True)
        if len(self.connections) > self.most:
            self._longest_owing().hang_up()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._owes(self.conn.their_state in {h11.IDLE, h11.SEND_BODY})

    def connection_lost(self, exc: Exception | None) -> None:
        self._owes(False)
        super().connection_lost(exc)

    def hang_up(self) -> None:
        self._owes(False)
        self.connections.discard(self)
        self.transport.abort()

    def _owes(self, owes: bool) -> None:
        """The deadline runs from the first moment of owing; further bytes do not move it."""
        if owes and self._deadline is None:
            self.owed_since = self.loop.time()
            self._deadline = self.loop.call_later(self.request_s, self.hang_up)
        elif not owes and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = self.owed_since = None

    def _longest_owing(self) -> "BoundedProtocol":
        """Whoever has kept us waiting longest; the newcomer itself where all others are at work."""
        owing = [each for each in self.connections if isinstance(each, BoundedProtocol) and each.owed_since is not None]
        return min(owing, key=lambda each: each.owed_since or 0.0)
