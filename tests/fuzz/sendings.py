"""What goes into the port: HTTP requests that are wrong in one place or several, and bytes that are none."""

import random
from collections.abc import Callable
from dataclasses import replace

from tests.fuzz.messages import Message, Messages
from tests.fuzz.requests import (
    BAD_HOSTS,
    BAD_ORIGINS,
    BAD_TOKENS,
    GOOD_HOSTS,
    GOOD_ORIGINS,
    GOOD_TOKENS,
    METHODS,
    PATHS,
    Request,
    Requests,
    Sending,
    plain,
)
from tests.fuzz.values import MIB, deep, text


def sending(seed: int, number: int, port: int, session: str) -> Sending:
    """The input of that number; the same each time, port and session aside."""
    rng = random.Random(f"http {seed} {number}")
    requests = Requests(rng, f"{seed}.{number}", port, session)
    (kind,) = rng.choices(list(_KINDS), [weight for weight, _ in _KINDS.values()])
    return replace(_KINDS[kind][1](requests), kind=kind)


def _sent(request: Request, **more: object) -> Sending:
    return Sending("", (request.written(),), **more)  # type: ignore[arg-type]


def _message(make: Callable[[Messages], Message]) -> Callable[[Requests], Sending]:
    return lambda requests: _sent(requests.around(make(requests.messages)))


def _host(requests: Requests) -> Sending:
    request, host = requests.good(), requests.rng.choice(BAD_HOSTS)
    if requests.rng.random() < 0.3:
        host = requests.rng.choice(GOOD_HOSTS)
        host = host % requests.port if b"%d" in host else host
        return _sent(request.with_header(b"Host", host))
    return _sent(request.with_header(b"Host", host), allowed=False, status=421)


def _hosts(requests: Requests) -> Sending:
    """None of it, or two."""
    hosts = requests.rng.choice(((), (b"localhost", b"evil.example"), (b"evil.example", b"localhost")))
    return _sent(requests.good().with_header(b"Host", *hosts), allowed=False, status=400)


def _origin(requests: Requests) -> Sending:
    request = requests.good()
    if requests.rng.random() < 0.3:
        own = dict(request.headers)[b"Host"]
        return _sent(request.with_header(b"Origin", requests.rng.choice(GOOD_ORIGINS) % own))
    return _sent(request.with_header(b"Origin", requests.rng.choice(BAD_ORIGINS)), allowed=False, status=403)


def _token(requests: Requests) -> Sending:
    request = replace(requests.good(), path=requests.rng.choice((b"/mcp", b"/mcp", *PATHS[:-1])))
    if requests.rng.random() < 0.1:
        return _sent(request.with_header(b"Authorization", GOOD_TOKENS[1]))
    shown = [requests.rng.choice(BAD_TOKENS)] if requests.rng.random() < 0.8 else []
    return _sent(request.with_header(b"Authorization", *shown), allowed=False, status=401)


def _path(requests: Requests) -> Sending:
    """Other paths and methods, with and without a token."""
    rng, request = requests.rng, requests.good()
    request = replace(request, path=rng.choice((b"/mcp", *PATHS)), method=rng.choice((b"POST", *METHODS)))
    if rng.random() < 0.3:
        return _sent(request.with_header(b"Authorization", rng.choice(BAD_TOKENS)), allowed=False)
    if request.method == b"DELETE" and requests.era == "legacy":
        request = request.with_header(b"Mcp-Session-Id", plain(text(rng)))  # ours is needed
    return _sent(request)


def _headers(requests: Requests) -> Sending:
    """One to three headers changed, lost, doubled, or put in; those that let in are left."""
    rng, request = requests.rng, requests.good()
    names = (b"Content-Type", b"Accept", b"Mcp-Session-Id", b"MCP-Protocol-Version", b"Mcp-Method", b"Mcp-Name")
    for _ in range(rng.randrange(1, 4)):
        name = rng.choice((*names, b"Last-Event-ID", b"Mcp-Param-X", b"Content-Encoding", b"Expect", b"Upgrade", b"X"))
        known = [value for key, value in request.headers if key == name]
        values = rng.choice(
            (
                (),
                (*known, *known),
                (*known, b"x"),
                (plain(text(rng)),),
                (
                    rng.choice(
                        (b"2026-07-28", b"1999-01-01", b"", b"*/*", b"text/html", b"gzip", b"100-continue", b"h2c")
                    ),
                ),
                (b"=?base64?SGVsbG8=?=",),
                (rng.choice((b"\xff\xfe", b"a\x0bb", b"\x80" * 70)),),
                (b"a" * rng.choice((3_000, 70_000)),),
            )
        )
        request = request.with_header(name, *values)
    return _sent(request)


def _chunked(requests: Requests) -> Sending:
    """The body in chunks, some of them wrong."""
    rng, request = requests.rng, requests.good()
    body = request.body
    step = rng.choice((7, 100, 5_000)) + len(body) // 300
    parts = [body[at : at + step] for at in range(0, len(body), step)]
    sizes = [b"%x" % len(part) for part in parts]
    if rng.random() < 0.6 and parts:
        wrong = (b"-1", b"zz", b"", b"ffffffffffffffffffff", b"0x5", b"5;" + b"e" * 9_000, b"1" * 50, b" 5")
        sizes[rng.randrange(len(sizes))] = rng.choice(wrong)
    head = replace(request, body=b"").with_header(
        b"Transfer-Encoding", rng.choice((b"chunked", b"chunked", b"gzip, chunked"))
    )
    first = head.written().replace(b"Content-Length: 0\r\n", b"" if rng.random() < 0.8 else b"Content-Length: 5\r\n")
    chunks = (b"%s\r\n%s\r\n" % pair for pair in zip(sizes, parts, strict=True))
    return Sending("", (first, *chunks, rng.choice((b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b""))), ends=True)


def _length(requests: Requests) -> Sending:
    """A Content-Length that is not so."""
    rng, request = requests.rng, requests.good()
    real = len(request.body)
    said = rng.choice(
        (b"%d" % (real + 9), b"%d" % max(0, real - 9), b"-1", b"x", b"", b"9" * 30, b"%d, %d" % (real, real))
    )
    data = request.written().replace(b"Content-Length: %d" % real, b"Content-Length: " + said, 1)
    if rng.random() < 0.2:
        data = data.replace(b"Content-Length: ", b"Content-Length: 3\r\nContent-Length: ", 1)
    return Sending("", (data,), ends=True)


def _large(requests: Requests) -> Sending:
    """Over four MiB, told beforehand or not."""
    rng = requests.rng
    request = requests.around(requests.messages.wide(rng.choice((4 * MIB + 2_000, 5 * MIB, 10 * MIB))))
    if rng.random() < 0.3:
        return _sent(request.with_header(b"Authorization", b"Bearer x"), allowed=False, status=401)
    if rng.random() < 0.5:
        return _sent(request, status=413)
    head = replace(request, body=b"").with_header(b"Transfer-Encoding", b"chunked")
    first = head.written().replace(b"Content-Length: 0\r\n", b"")
    return Sending("", (first + b"%x\r\n" % len(request.body), request.body, b"\r\n0\r\n\r\n"), status=413)


def _pipelined(requests: Requests) -> Sending:
    """Several requests before the first answer; the token is in all of them or in none."""
    rng, allowed = requests.rng, requests.rng.random() < 0.7
    many = [requests.good() for _ in range(rng.randrange(2, 5))]
    if not allowed:
        many = [each.with_header(b"Authorization", b"Bearer x") for each in many]
    data = b"".join(replace(each, endings=[]).written() for each in many[:-1]) + many[-1].written()
    return Sending("", (data,), allowed, answers=len(many))


def _old(requests: Requests) -> Sending:
    """Another version of HTTP."""
    version = requests.rng.choice((b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/9.9", b"HTTP/1.1.1", b"", b"http/1.1"))
    return _sent(replace(requests.good(), version=version), ends=True)


def _broken(requests: Requests) -> Sending:
    """A good request with bytes lost, turned or put in."""
    rng = requests.rng
    data = bytearray(requests.good().with_header(b"Authorization", b"Bearer x").written())
    for _ in range(rng.choice((1, 2, 9))):
        place = rng.randrange(len(data))
        data[place : place + rng.choice((0, 1, 5))] = rng.choice(
            (b"\x00", b"\xff", b"\r", b"\n", b":", b" ", b"", rng.randbytes(3))
        )
    cut = rng.randrange(len(data)) if rng.random() < 0.4 else len(data)
    return Sending("", (bytes(data[:cut]),), allowed=False, ends=True, answers=9)


def _noise(requests: Requests) -> Sending:
    rng = requests.rng
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(200)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + rng.randbytes(30)
    many = b"GET / HTTP/1.1\r\n" + b"".join(b"H%d: x\r\n" % n for n in range(rng.choice((200, 5_000))))
    data = rng.choice(
        (
            *(hello, preface, many, rng.randbytes(rng.randrange(1, 600)), b"\r\n" * 400, b"\x00" * 5_000, b"{}\n"),
            *(b"GET " + b"/a" * 40_000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"a" * 200_000, b""),
        )
    )
    return Sending("", (data,), allowed=False, ends=True, answers=999)


def _split(requests: Requests) -> Sending:
    data = requests.good().written()
    step = max(requests.rng.choice((1, 50)), len(data) // 200)
    return Sending("", tuple(data[at : at + step] for at in range(0, len(data), step)))


def _body(requests: Requests) -> Sending:
    """No message in it: broken JSON, deep JSON, two messages, other bytes."""
    rng, request = requests.rng, requests.good()
    body = bytearray(request.body)
    place = rng.randrange(len(body))
    body[place : place + rng.choice((0, 1, 9))] = rng.choice((b"\x00", b"\xff", b"\xed\xa0\x80", b'"', b"{", b"\\"))
    others = (
        b"",
        b"null",
        b"[]",
        b"7",
        b"\xff\xfe{\x00}\x00",
        request.body * 2,
        deep(rng, 50_000).encode(),
        rng.randbytes(99),
    )
    return _sent(replace(request, body=rng.choice((bytes(body), bytes(body[:place]), bytes(body), *others))))


_KINDS: dict[str, tuple[float, Callable[[Requests], Sending]]] = {
    "good": (12, lambda requests: _sent(requests.good())),
    "bent": (22, _message(Messages.bent)),
    "envelope": (6, _message(Messages.envelope)),
    "unknown": (1, _message(Messages.unknown)),
    "notice": (3, _message(Messages.notice)),
    "response": (2, _message(Messages.response)),
    "batch": (1, _message(Messages.batch)),
    "host": (5, _host),
    "hosts": (1, _hosts),
    "origin": (4, _origin),
    "token": (8, _token),
    "path": (6, _path),
    "headers": (9, _headers),
    "chunked": (4, _chunked),
    "length": (3, _length),
    "large": (0.3, _large),
    "pipelined": (2, _pipelined),
    "old": (1, _old),
    "broken": (6, _broken),
    "noise": (3, _noise),
    "split": (1, _split),
    "body": (5, _body),
}
