"""What a client asks first, answered before the SDK is loaded: by what the live server once answered.

Every line goes to the SDK as well, in order, and what it answers to requests answered here is dropped; so its state is
as if it had answered all. The first request that is not plainly one of the recorded ones ends this: it and all that
come after it are left to the SDK. Part of the quick start: nothing but cheap modules of the standard library may be
imported here.
"""

import json
from collections.abc import Mapping
from typing import Any

from mcp_e2e.entrypoints.mcp.recorded import Results

_VERSION = "io.modelcontextprotocol/protocolVersion"
_CAPABLE = "io.modelcontextprotocol/clientCapabilities"
_CLIENT = "io.modelcontextprotocol/clientInfo"
HANDSHAKES = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = ("2026-07-28",)
METHODS = (
    "initialize",
    "server/discover",
    "ping",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
)

Id = int | str


class _Each:
    """The shape of a list's items or a mapping's values."""

    def __init__(self, kind: type, of: Any) -> None:
        self.kind, self.of = kind, of


_ANYTHING: Mapping[str, Any] = {"*": None}
_CAPABILITIES = {
    "roots": {"listChanged": bool},
    "sampling": {"context": {}, "tools": {}},
    "elicitation": {"form": {}, "url": {}},
    "experimental": _Each(dict, _ANYTHING),
    "extensions": _Each(dict, _ANYTHING),
}
_ICON = {"src": str, "mimeType": str, "sizes": _Each(list, str)}
_WHO = {
    "name": str,
    "version": str,
    "title": str,
    "description": str,
    "websiteUrl": str,
    "icons": _Each(list, _ICON),
}
_TOKEN = {"progressToken": (str, int)}
_HANDSHAKE = {"protocolVersion": str, "capabilities": _CAPABILITIES, "clientInfo": _WHO, "_meta": _TOKEN}
_BARE = {"_meta": _TOKEN}
_ENVELOPED = {"_meta": {_VERSION: str, _CAPABLE: _CAPABILITIES, _CLIENT: _WHO, **_TOKEN}}


class Opening:
    """One client's first requests. ``given``: what each was answered; ``waits``: one is left to the SDK."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._era: tuple[str, ...] = ()  # settled by the first request, discovery aside
        self._version = ""  # agreed on by a handshake
        self._only_discovery = True
        self.given: dict[Id | None, Any] = {}
        self.waits = False

    def answer(self, line: bytes) -> bytes | None:
        """The answer to one line, or None when it needs none or is left to the SDK."""
        if self.waits:
            return None
        try:
            message = _parsed(line)
            if "id" not in message:  # a notification
                self._only_discovery = False
                return None
            result = self._result(message)
            answer = {"jsonrpc": "2.0", "id": message["id"], "result": result}
            said = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        except Exception:  # no JSON, not of that shape, not recorded
            self.waits = True
            return None
        self.given[message["id"]] = result
        return said

    def _result(self, message: dict[str, Any]) -> Any:
        """What the server answers. Raises where that is not certain."""
        _require(message.keys() <= {"jsonrpc", "id", "method", "params"} and message["jsonrpc"] == "2.0")
        _require(type(message["id"]) in (int, str) and message["id"] not in self.given)
        method, params = message["method"], message.get("params", {})
        if method == "initialize":
            version = self._shaken(params)
        elif _VERSION in params.get("_meta", ()):
            version = self._enveloped(method, params)
        else:
            version = self._bare(method, params)
        return self._results[version][method]

    def _shaken(self, params: dict[str, Any]) -> str:
        _require(not self._version and self._era != MODERN and params.keys() >= {*_HANDSHAKE} - {"_meta"})
        _require(_fits(params, _HANDSHAKE) and _names(params["clientInfo"]))
        asked = params["protocolVersion"]
        self._era, self._version = HANDSHAKES, asked if asked in HANDSHAKES else HANDSHAKES[-1]
        return self._version

    def _bare(self, method: str, params: dict[str, Any]) -> str:
        """Before the handshake a client may only ping."""
        _require(self._era != MODERN and _fits(params, _BARE) and bool(self._version or method == "ping"))
        self._era = HANDSHAKES
        return self._version or HANDSHAKES[-1]

    def _enveloped(self, method: str, params: dict[str, Any]) -> str:
        _require(self._era != HANDSHAKES and _fits(params, _ENVELOPED) and _CAPABLE in params["_meta"])
        _require(_names(params["_meta"].get(_CLIENT, {"name": "", "version": ""})))
        if method != "server/discover" or not self._only_discovery:
            self._era, self._only_discovery = MODERN, False
        version: str = params["_meta"][_VERSION]
        _require(version in MODERN)
        return version


def _parsed(line: bytes) -> dict[str, Any]:
    """The message. Raises also where parsers might differ: halves of surrogates, deep nesting."""
    _require(line.count(b"{") + line.count(b"[") < 100 and b"\\ud" not in line.lower())
    message = json.loads(line.decode())
    _require(type(message) is dict)
    return message  # type: ignore[no-any-return]


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError("left to the SDK")


def _names(who: dict[str, Any]) -> bool:
    return "name" in who and "version" in who and all("src" in icon for icon in who.get("icons", ()))


def _fits(value: Any, shape: Any) -> bool:
    """Whether a JSON value has that shape; no member is required, and none beside the shape's is admitted."""
    if shape is _ANYTHING:
        return type(value) is dict
    if isinstance(shape, _Each):
        items = value.values() if type(value) is dict else value
        return type(value) is shape.kind and all(_fits(item, shape.of) for item in items)
    if isinstance(shape, dict):
        return type(value) is dict and all(name in shape and _fits(value[name], shape[name]) for name in value)
    return type(value) in (shape if isinstance(shape, tuple) else (shape,))
