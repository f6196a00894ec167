"""HTTP requests around messages, with everything that these need; what is wrong with them comes later."""

import random
from dataclasses import dataclass, field, replace

from tests.fuzz.messages import Message, Messages
from tests.fuzz.params import LATEST, MODERN
from tests.fuzz.project import TOKEN

Headers = list[tuple[bytes, bytes]]
JSON = b"application/json"
GOOD_TOKENS = (f"Bearer {TOKEN}".encode(), f"bearer {TOKEN}".encode())
PATHS = (
    b"/",
    b"/mcp/",
    b"/MCP",
    b"/mcp?x=1",
    b"/mcp%2f",
    b"//mcp",
    b"/../mcp",
    b"/.well-known/oauth-protected-resource",
    b"*",
)
METHODS = (b"GET", b"DELETE", b"PUT", b"HEAD", b"OPTIONS", b"PATCH", b"TRACE", b"BREW", b"post")
GOOD_ORIGINS, BAD_ORIGINS = (
    (b"http://%s", b"https://%s"),
    (b"http://evil.example", b"null", b"", b"http://127.0.0.1", b"*"),
)
GOOD_HOSTS = (b"127.0.0.1:%d", b"localhost:%d", b"LocalHost", b"[::1]:%d", b"127.0.0.1")
BAD_HOSTS = (
    *(
        b"evil.example",
        b"127.0.0.1.evil.example",
        b"localhost@evil.example",
        b"127.0.0.1:1:1",
        b"127.0.0.1:999999",
        b"",
    ),
    *(b"[::1", b"0.0.0.0", b"localhost.", b"2130706433", b"127.1", b"127.0.0.1/x"),
)
BAD_TOKENS = (
    *(b"", b"Bearer", b"Bearer ", b"Bearer x", f"Basic {TOKEN}".encode(), TOKEN.encode(), b"Bearer " + b"x" * 9_000),
    *(f"Bearer {TOKEN[:-1]}".encode(), f"Bearer {TOKEN}x".encode(), f"Bearer {TOKEN.upper()}".encode()),
    *(b"Bearer \xff\xfe\xc3", f"Bearer {TOKEN}, Bearer x".encode(), f"Bearer\t{TOKEN}".encode()),
)


@dataclass(frozen=True)
class Sending:
    """``writes`` go to one connection; where no answer comes soon, and it ``ends``, its sending half is closed.

    ``allowed``: the right token is shown in every request of it; nobody else may get a 2xx. ``status``: what it must be
    answered with, where that is certain. ``answers``: so many requests are in it, at most.
    """

    kind: str
    writes: tuple[bytes, ...]
    allowed: bool = True
    status: int | None = None
    ends: bool = False
    answers: int = 1

    @property
    def data(self) -> bytes:
        return b"".join(self.writes)


@dataclass(frozen=True)
class Request:
    """One request before it is written."""

    headers: Headers
    body: bytes = b""
    method: bytes = b"POST"
    path: bytes = b"/mcp"
    version: bytes = b"HTTP/1.1"
    endings: Headers = field(default_factory=lambda: [(b"Connection", b"close")])

    def written(self) -> bytes:
        lines = [b"%s %s %s" % (self.method, self.path, self.version)]
        length = [(b"Content-Length", b"%d" % len(self.body))]
        lines += [b"%s: %s" % header for header in [*self.headers, *length, *self.endings]]
        return b"\r\n".join(lines) + b"\r\n\r\n" + self.body

    def with_header(self, name: bytes, *values: bytes) -> "Request":
        """With these in the place of all headers of that name."""
        others = [header for header in self.headers if header[0].lower() != name.lower()]
        return replace(self, headers=[*others, *((name, value) for value in values)])


class Requests:
    """Sendings from ``rng`` to a server at ``port``, some in the open ``session`` of the handshake era."""

    def __init__(self, rng: random.Random, name: str, port: int, session: str) -> None:
        self.rng, self.port, self._session = rng, port, session
        self.era = rng.choice(("legacy", "modern", "modern"))
        self.messages = Messages(rng, name, self.era)

    def around(self, message: Message) -> Request:
        """A request with everything that the message needs."""
        headers = [(b"Host", b"127.0.0.1:%d" % self.port), (b"Authorization", GOOD_TOKENS[0])]
        headers += [(b"Content-Type", JSON), (b"Accept", JSON + b", text/event-stream")]
        said = message.envelope if isinstance(message.envelope, dict) else {}
        method, params = said.get("method"), said.get("params")
        if self.era == "legacy":
            if method != "initialize":
                headers.append((b"Mcp-Session-Id", self._session.encode()))
            headers.append((b"MCP-Protocol-Version", LATEST.encode()))
        else:
            headers += [(b"MCP-Protocol-Version", MODERN.encode()), (b"Mcp-Method", plain(method))]
            named = [params.get(each) for each in ("name", "uri", "taskId")] if isinstance(params, dict) else []
            headers += [(b"Mcp-Name", plain(each)) for each in named if isinstance(each, str)][:1]
        return Request(headers, message.body.encode("utf-8", "surrogatepass"))

    def good(self, message: Message | None = None) -> Request:
        return self.around(message or self.messages.good())


def plain(said: object) -> bytes:
    """What can be a header's value."""
    words = str(said).encode("utf-8", "replace")[:4_000]
    return bytes(byte for byte in words if 0x20 < byte < 0x7F) or b"x"
