"""What goes into a server's stdin: messages, and bytes that were to be some."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.fuzz.messages import Id, Message, Messages
from tests.fuzz.values import MIB, deep


@dataclass(frozen=True)
class Frames:
    """``writes`` go to the pipe one by one. ``owed``, ``maybe``, ``strays`` as of messages."""

    kind: str
    writes: tuple[bytes, ...]
    owed: tuple[Id, ...] = ()
    maybe: tuple[Id, ...] = ()
    strays: int = 0

    @property
    def data(self) -> bytes:
        return b"".join(self.writes)


def frames(seed: int, number: int, era: str, *, giants: bool = False) -> Frames:
    """The input of that number, mostly of that era; the same each time. ``giants``: some have ten MiB."""
    rng = random.Random(f"stdio {seed} {number}")
    messages = Messages(rng, f"{seed}.{number}", era)
    (kind,) = rng.choices(list(_KINDS), [weight for weight, _ in _KINDS.values()])
    if kind == "giant" and not giants:
        kind = "wide"
    return _KINDS[kind][1](kind, rng, messages)


def _line(kind: str, message: Message) -> Frames:
    return Frames(
        kind, (message.body.encode("utf-8", "surrogatepass") + b"\n",), message.owed, message.maybe, message.strays
    )


def _broken(kind: str, rng: random.Random, messages: Messages) -> Frames:
    """A good line with some bytes lost, turned or put in; a good one of its own behind it."""
    first, second = messages.good(), messages.good()
    data = bytearray(first.body.encode())
    for _ in range(rng.choice((1, 1, 2, 9))):
        place = rng.randrange(len(data))
        data[place : place + rng.choice((0, 0, 1, 5))] = rng.choice(
            (b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b'"', b"{", b"\\", b"\r", b"\x1b", b"", rng.randbytes(3))
        )
    cut = rng.randrange(len(data)) if rng.random() < 0.3 else len(data)
    line = bytes(data[:cut]) + b"\n"
    return Frames(
        kind, (line, second.body.encode() + b"\n"), second.owed, (*first.owed, *first.maybe, *second.maybe), 1
    )


def _noise(kind: str, rng: random.Random, _: Messages) -> Frames:
    data = rng.choice(
        (
            rng.randbytes(rng.randrange(400)),
            b"\n" * rng.randrange(60),
            b"\x00" * rng.choice((1, 5_000)),
            b"\xff\xfe" + "{}".encode("utf-16-le"),
            b"GET /mcp HTTP/1.1\r\nHost: x\r\n\r\n",
            b"Content-Length: 2\r\n\r\n{}",
            b"\xef\xbb\xbf{}",
            *(b"null", b"7", b'"x"', b"[]", b"{}", b"{", b"[" * 90_000, b'{"jsonrpc":"2.0"}', b"\r", b"}\n{"),
        )
    )
    return Frames(kind, (data + b"\n",))


def _together(kind: str, rng: random.Random, messages: Messages) -> Frames:
    """Several messages in one write."""
    many = [messages.good() for _ in range(rng.randrange(2, 6))]
    owed, maybe = sum((each.owed for each in many), ()), sum((each.maybe for each in many), ())
    return Frames(kind, ("".join(f"{each.body}\n" for each in many).encode("utf-8", "surrogatepass"),), owed, maybe)


def _split(kind: str, rng: random.Random, messages: Messages) -> Frames:
    """One message in many writes: at some places, or at each byte."""
    whole = _line(kind, messages.good())
    data, step = whole.data, rng.choice((1, 7, 50))
    step = max(step, len(data) // 300)
    return Frames(kind, tuple(data[at : at + step] for at in range(0, len(data), step)), whole.owed, whole.maybe)


def _spaced(kind: str, rng: random.Random, messages: Messages) -> Frames:
    """White space where JSON allows it, and a Windows line end."""
    good = messages.good()
    body = good.body.encode("utf-8", "surrogatepass")
    return Frames(kind, (b" \t" + body + rng.choice((b"\r\n", b" \n", b"\n\n\n")),), good.owed, good.maybe)


def _deep(kind: str, rng: random.Random, messages: Messages) -> Frames:
    good = messages.good("tools/call")
    depth = rng.choice((60, 150, 400, 3_000, 100_000))
    body = good.body.replace('"arguments":{', '"arguments":{"deep":' + deep(rng, depth) + ",", 1).replace(",}", "}")
    if rng.random() < 0.2:
        body = deep(rng, depth)
    return Frames(kind, (body.encode("utf-8", "surrogatepass") + b"\n",), (), (*good.owed, *good.maybe))


def _wide(kind: str, rng: random.Random, messages: Messages) -> Frames:
    return _line(kind, messages.wide(rng.choice((5_000, 50_000, 200_000))))


def _giant(kind: str, rng: random.Random, messages: Messages) -> Frames:
    """Ten MiB in one line: valid, broken at its end, or no JSON at all."""
    if rng.random() < 0.3:
        return Frames(kind, (rng.choice((b"a", b"[", b"\xff", b'"')) * (10 * MIB) + b"\n",))
    whole = _line(kind, messages.wide(10 * MIB))
    if rng.random() < 0.4:
        return Frames(kind, (whole.data[:-3] + b"\n",), (), (*whole.owed, *whole.maybe))
    return whole


def _of(make: Callable[[Messages], Message]) -> Callable[[str, random.Random, Messages], Frames]:
    return lambda kind, _, messages: _line(kind, make(messages))


_KINDS: dict[str, tuple[float, Callable[[str, random.Random, Messages], Frames]]] = {
    "good": (16, _of(Messages.good)),
    "bent": (36, _of(Messages.bent)),
    "envelope": (10, _of(Messages.envelope)),
    "broken": (12, _broken),
    "noise": (5, _noise),
    "unknown": (2, _of(Messages.unknown)),
    "notice": (4, _of(Messages.notice)),
    "response": (2, _of(Messages.response)),
    "cancelled": (3, _of(Messages.cancelled)),
    "twins": (1, _of(Messages.twins)),
    "batch": (1, _of(Messages.batch)),
    "together": (2, _together),
    "split": (2, _split),
    "spaced": (1, _spaced),
    "deep": (1, _deep),
    "wide": (0.3, _wide),
    "giant": (3, _giant),
}
