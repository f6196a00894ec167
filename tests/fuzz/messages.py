"""JSON-RPC messages, well-formed and otherwise, of both protocol eras; every one can be answered without any harm."""

import random
import re
from dataclasses import dataclass
from typing import Any

from tests.fuzz.params import CAPABILITIES, ERAS, LISTS, META, PARAMS, TASKS
from tests.fuzz.values import anything, mutated, written

Id = str | int
_PAIR, _HALF = re.compile(r"\\ud[89ab]..\\ud[c-f].."), re.compile(r"\\ud[89a-f]")  # half a pair is no text to the SDK
UNKNOWN = (
    *("", "x", "tools/Call", "tools/list ", "rpc.discover", "$/cancel", "tasks/get"),
    *("sampling/createMessage", "notifications/initialized", "a" * 9_000, "\u00e9\x00\n", "tools/list\u0000"),
)
_METHODS = [*PARAMS, *PARAMS, *["tools/call"] * 18, *["resources/read"] * 6, *["completion/complete"] * 3]
_NOTICES = ("notifications/initialized", "notifications/cancelled", "notifications/progress", "notifications/x", "ping")


@dataclass(frozen=True)
class Message:
    """One JSON text. ``owed``: its id, when it is a request that has to be answered exactly once.

    ``maybe``: ids whose answer may as well not come, but not twice. ``strays``: as many answers may have another id.
    ``envelope``: what it was written from.
    """

    body: str
    owed: tuple[Id, ...] = ()
    maybe: tuple[Id, ...] = ()
    strays: int = 0
    envelope: Any = None


def request(number: Id, method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


class Messages:
    """Messages from ``rng``. No id is used twice within a ``name``, but where that is the very point."""

    def __init__(self, rng: random.Random, name: str, era: str) -> None:
        self.rng, self._name, self._era = rng, name, era
        self._count = 0

    def number(self) -> Id:
        self._count += 1
        words = f"{self._name}-{self._count}"
        kind = self.rng.randrange(20)
        if kind == 0:
            return words + "\u00e9" * self.rng.choice((1, 5_000))
        return int.from_bytes(words.encode()) if kind == 1 else words  # far above 64 bits

    def params(self, method: str) -> dict[str, Any]:
        """What ``method`` takes, right and complete; mostly of our era."""
        params = PARAMS[method](self.rng)
        era = self._era if self.rng.random() < 0.93 else self.rng.choice(ERAS)
        if era == "modern" and method != "initialize":
            tasks = method.startswith("tasks/") or self.rng.random() < 0.2
            params["_meta"] = META | ({CAPABILITIES: {"extensions": {TASKS: {}}}} if tasks else {})
        elif self.rng.random() < 0.2:
            params["_meta"] = {"progressToken": self.rng.choice(("t", 7))}
        return params

    def good(self, method: str | None = None) -> Message:
        """A request that has to be answered; a stream of notices, whose answer is its end, aside."""
        method = method or self.rng.choice(_METHODS)
        return self._asked(method, self.params(method))

    def bent(self) -> Message:
        """A known method, its parameters changed in one to three places."""
        method = self.rng.choice(_METHODS)
        params: Any = self.params(method)
        inner = "arguments" if method == "tools/call" and self.rng.random() < 0.7 else None
        for _ in range(self.rng.choice((1, 1, 2, 3))):
            params = {**params, inner: mutated(self.rng, params[inner])} if inner else mutated(self.rng, params)
        return self._asked(method, params, sure=False)

    def unknown(self) -> Message:
        return self._asked(self.rng.choice(UNKNOWN), self.rng.choice(({}, {"_meta": dict(META)}, {"a": 1})))

    def notice(self) -> Message:
        method = self.rng.choice(_NOTICES)
        params = self.rng.choice((None, {}, {"requestId": anything(self.rng)}, anything(self.rng)))
        return self._of({"jsonrpc": "2.0", "method": method, "params": params})

    def response(self) -> Message:
        """An answer to nothing that was asked."""
        said = self.rng.choice(({"result": {}}, {"error": {"code": 1, "message": "x"}}, {"result": anything(self.rng)}))
        return self._of({"jsonrpc": "2.0", "id": self.rng.choice((1, "x", None, 2**70, self.number())), **said})

    def envelope(self) -> Message:
        """A request whose outermost object is not right."""
        good = self.good()
        said = mutated(self.rng, good.envelope)
        if self.rng.random() < 0.4:
            number = self.rng.choice((None, 1.5, True, {}, [], "", -1, 2**70, "\ud800", anything(self.rng)))
            said = {**good.envelope, "id": number}
        return Message(written(said), maybe=(*good.owed, *good.maybe), strays=1, envelope=said)

    def cancelled(self) -> Message:
        """A request and its cancellation, one after the other, or the cancellation of nothing."""
        good = self.good()
        number = self.rng.choice((*good.owed, *good.maybe))
        note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}}
        if self.rng.random() < 0.3:
            return self._of(note)
        return Message(f"{good.body}\n{written(note)}", maybe=(number,), envelope=good.envelope)

    def twins(self) -> Message:
        """Several requests with one id, in flight together."""
        first = self.good(self.rng.choice(LISTS))
        return Message("\n".join([first.body] * 3), owed=first.owed * 3, envelope=first.envelope)

    def batch(self) -> Message:
        """An array of requests; no version of the protocol that is served here has it."""
        goods = [self.good(self.rng.choice(LISTS)) for _ in range(self.rng.randrange(4))]
        return Message(f"[{','.join(good.body for good in goods)}]", maybe=sum((good.owed for good in goods), ()))

    def wide(self, size: int) -> Message:
        """A request of about so many bytes: an argument, a name, an address, a member or its method is long."""
        unit = self.rng.choice(("a", "\u00e9", "\\"))
        long = unit * (size // len(written(unit)[1:-1]))
        method, params = self.rng.choice(
            (
                ("tools/call", {"name": "checkpoint", "arguments": {"result": "success", "note": long}}),
                ("tools/call", {"name": "status", "arguments": {long: 1}}),
                ("tools/call", {"name": long, "arguments": {}}),
                ("resources/read", {"uri": f"e2e://runs/{long}"}),
                ("prompts/get", {"name": long}),
                ("completion/complete", {"ref": {"type": "ref/prompt", "name": "run-e2e"}, "argument": {"name": long}}),
                ("tools/list", {"cursor": long}),
                ("tools/list", {"_meta": {**META, long: 1}}),
                (long, {}),
            )
        )
        if self._era == "modern":
            params.setdefault("_meta", dict(META))
        return self._asked(method, params)

    def _asked(self, method: str, params: Any, *, sure: bool = True) -> Message:
        number = self.number()
        said = request(number, method, params)
        body = written(said)
        known = sure and method != "subscriptions/listen" and not _HALF.search(_PAIR.sub("", body))
        return Message(body, owed=(number,) if known else (), maybe=() if known else (number,), envelope=said)

    def _of(self, said: Any) -> Message:
        return Message(written(said), envelope=said)
