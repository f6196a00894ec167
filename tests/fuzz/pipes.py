"""The door of stdin and stdout: one server's life under inputs, with a proper question after each."""

import os
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from tests.fuzz.answers import Ledger, Wrong, lists, message
from tests.fuzz.frames import Frames
from tests.fuzz.messages import Id, request
from tests.fuzz.params import HELLO, META
from tests.fuzz.values import written

ANSWER_S = 20.0
SETTLE_S = 60.0
LEAVE_S = 5.0
_CHUNK = 1 << 16
_NOTHING = memoryview(b"")


class Pipes:
    """A client that writes and reads at once, so that neither side can wait for the other.

    ``era`` is that of the connection, opened here; None: it is settled by whatever is put first.
    """

    def __init__(self, process: subprocess.Popen[bytes], era: str | None) -> None:
        self.process, self.era = process, era
        self.ledger = Ledger()
        self._heard: deque[dict[str, Any]] = deque()
        self._part: list[bytes] = []
        self._questions = 0
        assert process.stdin
        assert process.stdout
        self._stdin, self._stdout = process.stdin.fileno(), process.stdout.fileno()
        for fd in (self._stdin, self._stdout):
            os.set_blocking(fd, False)
        if era == "legacy":
            self._shake()
        elif era == "modern":
            self.ask()

    def put(self, given: Frames) -> None:
        self.ledger.ask(given.owed, given.maybe, given.strays)
        for data in given.writes:
            self._write(data)

    def ask(self) -> None:
        """A question that has to be answered rightly. Where nobody knows the era, the server tells it."""
        method = ("tools/list", "resources/templates/list")[self._questions % 30 > 0]
        if self.era is None:
            self.era = "modern" if lists(self._asked(method, {"_meta": META})) else "legacy"
            if self.era == "legacy":
                self._shake()
        said = self._asked(method, {"_meta": META} if self.era == "modern" else {})
        if not lists(said):
            raise Wrong(f"{method} was answered with {str(said)[:400]}")

    def settle(self) -> None:
        """Everything owed is answered."""
        end = time.monotonic() + SETTLE_S
        while owed := self.ledger.open():
            if time.monotonic() > end:
                raise Wrong(f"not answered within {SETTLE_S:g} s: {owed[:5]}")
            self._pump(_NOTHING, 0.2)
            self._heard.clear()

    def leave(self) -> None:
        """The client goes; the server has to end well."""
        assert self.process.stdin
        self.process.stdin.close()
        self._ended(0)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self._ended(128 + signal.SIGTERM)

    def _ended(self, code: int) -> None:
        os.set_blocking(self._stdout, True)
        try:
            assert self.process.stdout
            self.process.stdout.read()
            found = self.process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            raise Wrong(f"the server did not end within {LEAVE_S:g} s") from None
        if found != code:
            raise Wrong(f"the server ended with {found} instead of {code}")

    def _shake(self) -> None:
        self._asked("initialize", HELLO)
        self._write(written({"jsonrpc": "2.0", "method": "notifications/initialized"}).encode() + b"\n")

    def _asked(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._questions += 1
        number = f"question-{self._questions}"
        self.ledger.ask([number])
        self._write(written(request(number, method, params)).encode() + b"\n")
        return self._answer(number)

    def _answer(self, number: Id) -> dict[str, Any]:
        end = time.monotonic() + ANSWER_S
        while True:
            while self._heard:
                said = self._heard.popleft()
                if said.get("id") == number:
                    return said
            if time.monotonic() > end:
                raise Wrong(f"question not answered within {ANSWER_S:g} s")
            self._pump(_NOTHING, 0.5)

    def _write(self, data: bytes) -> None:
        end, rest = time.monotonic() + ANSWER_S, memoryview(data)
        while rest:
            if time.monotonic() > end:
                raise Wrong(f"the server has not read for {ANSWER_S:g} s")
            rest = self._pump(rest, 0.5)

    def _pump(self, data: memoryview, seconds: float) -> memoryview:
        """Write some and read some; what is still to be written."""
        with selectors.DefaultSelector() as ready:
            ready.register(self._stdout, selectors.EVENT_READ)
            if data:
                ready.register(self._stdin, selectors.EVENT_WRITE)
            for key, _ in ready.select(seconds):
                if key.fd == self._stdout:
                    self._hear()
                else:
                    try:
                        data = data[os.write(self._stdin, data[: 1 << 20]) :]
                    except BrokenPipeError:
                        raise Wrong(f"the server is gone: {self.process.wait(LEAVE_S)}") from None
        return data

    def _hear(self) -> None:
        some = os.read(self._stdout, _CHUNK)
        if not some:
            raise Wrong(f"the server has closed stdout and ended with {self.process.wait(LEAVE_S)}")
        for line in self._lines(some):
            said = message(line)
            self.ledger.hear(said)
            self._heard.append(said)

    def _lines(self, some: bytes) -> Iterator[bytes]:
        first, *more = some.split(b"\n")
        self._part.append(first)
        for part in more:
            yield b"".join(self._part)
            self._part = [part]
