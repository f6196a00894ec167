"""What every answer must be, whatever was asked: a message, in bounds, to somebody who asked, once."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from tests.fuzz.messages import Id

REPLY = 8 << 10  # text of a tool's reply, and its data as JSON
ERROR = 32 << 10
VERSION = -32022  # whose answer, the SDK's own, repeats the version that was asked for
MESSAGE = 10 << 20  # whatever it is
TOOLS, TEMPLATES = 10, 6


class Wrong(AssertionError):
    """The server did what it must not."""


def message(line: bytes) -> dict[str, Any]:
    """One message of the server, checked by itself."""
    if len(line) > MESSAGE:
        raise Wrong(f"a message of {len(line)} bytes: {line[:200]!r}")
    try:
        said = json.loads(line)
    except ValueError as error:
        raise Wrong(f"no JSON: {line[:300]!r}") from error
    if not isinstance(said, dict) or said.get("jsonrpc") != "2.0" or not said.keys() & {"method", "result", "error"}:
        raise Wrong(f"no message: {line[:300]!r}")
    if "error" in said:
        _bounded(said)
    elif isinstance(content := said.get("result", {}).get("content"), list):
        _reply(said["result"], content)
    return said


def _bounded(said: dict[str, Any]) -> None:
    error = said["error"]
    if type(error.get("code")) is not int or not isinstance(error.get("message"), str):
        raise Wrong(f"no error as JSON-RPC has it: {str(said)[:300]}")
    if len(json.dumps(error)) > ERROR and error["code"] != VERSION:
        raise Wrong(f"an error of {len(json.dumps(error))} bytes: {str(error)[:300]}")
    if error["code"] == -32603:
        raise Wrong(f"an internal error: {str(error)[:300]}")


def _reply(result: dict[str, Any], content: list[Any]) -> None:
    text = "".join(part.get("text", "") for part in content)
    data = result.get("structuredContent") or {}
    if len(text.encode("utf-8", "surrogatepass")) > REPLY or len(json.dumps(data)) > REPLY:
        raise Wrong(f"a reply of {len(text)} characters, {len(json.dumps(data))} bytes of data: {text[:300]!r}")
    if data.get("code") in {"internal", "store", "config"} or "inside the server" in text:
        raise Wrong(f"a defect: {text[:400]!r}")


class Ledger:
    """Who is owed an answer, over one connection. ``strays``: so many may go to ids that nobody has used."""

    def __init__(self) -> None:
        self._owed: Counter[str] = Counter()
        self._maybe: Counter[str] = Counter()
        self._strays = 0
        self.seen: Counter[str] = Counter()  # what came, in kinds

    def ask(self, owed: Iterable[Id], maybe: Iterable[Id] = (), strays: int = 0) -> None:
        self._owed.update(map(_key, owed))
        self._maybe.update(map(_key, maybe))
        self._strays += strays

    def hear(self, said: dict[str, Any]) -> None:
        """One message; Wrong when it answers what nobody asked, or once too often."""
        self.seen[kind_of(said)] += 1
        if "method" in said:
            if "id" in said:
                raise Wrong(f"a request of the server's own: {str(said)[:300]}")
            return
        if said.get("id") is None:
            if "error" not in said:
                raise Wrong(f"a result for nobody: {str(said)[:300]}")
            return
        key = _key(said["id"])
        for book in (self._owed, self._maybe):
            if book[key] > 0:
                book[key] -= 1
                return
        if self._strays > 0 and key not in self._owed and key not in self._maybe:
            self._strays -= 1
            return
        raise Wrong(f"an answer to what was not asked, or one too many: {str(said)[:300]}")

    def open(self) -> list[str]:
        """What is owed still."""
        return sorted(+self._owed)


def kind_of(said: dict[str, Any]) -> str:
    """A word or two for the tally."""
    if "method" in said:
        return str(said["method"])
    if "error" in said:
        return f"error {said['error']['code']}"
    result = said["result"]
    if not result.get("isError"):
        return "result"
    return f"isError {(result.get('structuredContent') or {}).get('code')}"


def _key(number: Any) -> str:
    return f"{type(number).__name__} {number}"


def lists(said: dict[str, Any]) -> bool:
    """Whether a message is the right answer to a list of tools or of templates."""
    result = said.get("result", {})
    return len(result.get("tools", ())) == TOOLS or len(result.get("resourceTemplates", ())) == TEMPLATES
