"""The door of a port: what a plain socket gets back, and whether it may have got that."""

import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tests.fuzz.answers import Wrong, kind_of, lists, message
from tests.fuzz.messages import request
from tests.fuzz.params import HELLO, LATEST, META, MODERN
from tests.fuzz.project import TOKEN
from tests.fuzz.requests import JSON, Request, Sending
from tests.fuzz.values import written

ANSWER_S = 20.0
SOON_S = 0.05
_HEAD = re.compile(rb"HTTP/1\.1 (\d{3})[^\r\n]*\r\n")
_KNOWN_5XX = {503}


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    def messages(self) -> Iterator[bytes]:
        """The JSON texts in it, of one answer or of a stream."""
        if self.headers.get("content-type", "").startswith("text/event-stream"):
            for line in self.body.splitlines():
                if line.startswith(b"data:") and (data := line[5:].strip()):
                    yield data
        elif self.body and self.headers.get("content-type", "").startswith("application/json"):
            yield self.body


def connect(port: int) -> socket.socket:
    """A connection whose every wait has a deadline."""
    return socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S)


def exchange(port: int, sending: Sending) -> list[Response]:
    """All that one connection gets back until it is closed or complete; streams are left at their first event."""
    with connect(port) as link:
        try:
            for data in sending.writes:
                link.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was refused before it was whole
        except TimeoutError:
            raise Wrong(f"the server has not read for {ANSWER_S:g} s") from None
        got = b"".join(_received(link, sending))
    return list(responses(got))


def _received(link: socket.socket, sending: Sending) -> Iterator[bytes]:
    end, got = time.monotonic() + ANSWER_S, b""
    waits = sending.ends
    while time.monotonic() < end:
        link.settimeout(SOON_S if waits else ANSWER_S)
        try:
            data = link.recv(1 << 16)
        except ConnectionResetError:
            return
        except TimeoutError:
            if not waits:
                break
            waits = False
            link.shutdown(socket.SHUT_WR)
            continue
        if not data:
            return
        yield data
        got += data
        if _streams(sending.data, got):
            return
    raise Wrong(f"neither answered nor closed within {ANSWER_S:g} s: {got[:300]!r}")


def _streams(sent: bytes, got: bytes) -> bool:
    """A stream that ends only with the server; what was asked for tells."""
    endless = sent.startswith(b"GET") or b"subscriptions/listen" in sent
    return endless and b"text/event-stream" in got


def responses(data: bytes) -> Iterator[Response]:
    """HTTP/1.1 as our server writes it. The last one may be cut short. Raises Wrong for anything else."""
    while data:
        begun = _HEAD.match(data)
        head, found, rest = data.partition(b"\r\n\r\n")
        if begun is None or not found:
            raise Wrong(f"no HTTP: {data[:300]!r}")
        pairs = (line.split(":", 1) for line in head.decode("latin-1").split("\r\n")[1:])
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        if headers.get("transfer-encoding") == "chunked":
            body, data = _unchunked(rest)
        else:
            length = int(headers.get("content-length", len(rest)))  # without: all until the end
            body, data = rest[:length], rest[length:]
        yield Response(int(begun[1]), headers, body)


def _unchunked(data: bytes) -> tuple[bytes, bytes]:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return body, data[2:]
        body, data = body + data[:length], data[length + 2 :]
    return body, b""


def judge(sending: Sending, got: list[Response], seen: Counter[str]) -> None:
    """Whether this may be the answer. Raises Wrong."""
    if len(got) > sending.answers:
        raise Wrong(f"{len(got)} answers to {sending.answers} requests")
    for each in got:
        seen[f"{each.status}"] += 1
        if each.status >= 500 and each.status not in _KNOWN_5XX:
            raise Wrong(f"{each.status}: {each.body[:300]!r}")
        if not sending.allowed and (each.status < 400 or b"jsonrpc" in each.body):
            raise Wrong(f"let in: {each.status} {each.body[:300]!r}")
        for text in each.messages():
            if b"jsonrpc" in text:
                seen[kind_of(message(text))] += 1
    if sending.status is not None and [each.status for each in got] not in ([sending.status], []):
        raise Wrong(f"answered with {[each.status for each in got]} instead of {sending.status}")
    if sending.status in {401, 403, 421} and not got and len(sending.data) < 1 << 16:
        raise Wrong(f"not answered; {sending.status} was due")


class Client:
    """Somebody who does everything right, in both eras."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._asked = 0
        self.session = ""

    def ask(self) -> None:
        """Two questions that have to be answered rightly, one in each era; a session that is lost is opened anew."""
        self._asked += 1
        method = ("tools/list", "resources/templates/list")[self._asked % 30 > 0]
        headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
        self._right(method, self.send(method, {"_meta": META}, headers))
        if not self.session or (answer := self._in_session(method)).status == 404:
            self.open()
            answer = self._in_session(method)
        self._right(method, answer)

    def open(self) -> None:
        """A session of the handshake era."""
        answer = self.send("initialize", HELLO, {})
        if answer.status != 200:
            raise Wrong(f"no session: {answer.status} {answer.body[:300]!r}")
        self.session = answer.headers["mcp-session-id"]

    def close(self, session: str) -> None:
        self.send("", {}, {"Mcp-Session-Id": session}, verb=b"DELETE")

    def send(self, method: str, params: dict[str, object], headers: dict[str, str], verb: bytes = b"POST") -> Response:
        plain = {"Host": f"127.0.0.1:{self._port}", "Authorization": f"Bearer {TOKEN}", "Content-Type": JSON.decode()}
        all_headers = plain | {"Accept": f"{JSON.decode()}, text/event-stream"} | headers
        body = written(request(f"right-{self._asked}", method, params)).encode() if method else b""
        pairs = [(name.encode(), value.encode()) for name, value in all_headers.items()]
        got = exchange(self._port, Sending("right", (Request(pairs, body, verb).written(),)))
        if len(got) != 1:
            raise Wrong(f"{len(got)} answers to one question")
        return got[0]

    def _in_session(self, method: str) -> Response:
        return self.send(method, {}, {"Mcp-Session-Id": self.session, "MCP-Protocol-Version": LATEST})

    def _right(self, method: str, answer: Response) -> None:
        if answer.status != 200 or not any(lists(message(text)) for text in answer.messages()):
            raise Wrong(f"{method} was answered with {answer.status} {answer.body[:300]!r}")
