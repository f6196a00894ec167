"""The quick start's answers: those of the live server, given once, and none where there is doubt."""

import itertools
import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from mcp_e2e.entrypoints.mcp import record, recorded, server
from mcp_e2e.entrypoints.mcp.opening import HANDSHAKES, METHODS, Opening
from mcp_e2e.entrypoints.mcp.stdio import converse
from tests.entrypoints.wire import MODERN, VERSION

STALE = "what the server answers first has changed: record it anew with `make opening`"
LISTS = METHODS[3:]
WHO = {"name": "raw", "version": "1"}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": WHO}
ODD_ENVELOPES: list[dict[str, Any]] = [
    {VERSION: "2099-01-01"},
    {VERSION: 7},
    {"io.modelcontextprotocol/clientCapabilities": {"roots": []}},
    {"io.modelcontextprotocol/clientInfo": {"name": "half"}},
    {"io.modelcontextprotocol/clientInfo": None},
    {"progressToken": 1.5},
]
ODD_HELLOS: list[dict[str, Any]] = [
    {"clientInfo": {"name": "raw"}},
    {"clientInfo": WHO | {"icons": [{"mimeType": "image/png"}]}},
    {"clientInfo": WHO | {"icons": {}}},
    {"capabilities": None},
    {"capabilities": {"roots": {"listChanged": {}}}},
    {"capabilities": {"experimental": {"x": 1}}},
    {"protocolVersion": None},
    {"protocolVersion": 20251125},
]
FULL = {
    "capabilities": {
        "roots": {"listChanged": True},
        "sampling": {"tools": {}, "context": {}},
        "elicitation": {"form": {}, "url": {}},
        "experimental": {"x": {"y": [1]}},
        "extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html"]}},
    },
    "clientInfo": WHO
    | {"title": "Raw", "websiteUrl": "https://example.org", "icons": [{"src": "data:,", "sizes": []}]},
    "_meta": {"progressToken": "p"},
}


@pytest.fixture(scope="module")
def results() -> recorded.Results:
    return recorded.load()


def test_what_is_recorded_is_what_the_live_server_answers() -> None:
    """By every version and method, for these files and this SDK."""
    kept = json.loads(Path(recorded.PATH).read_text("utf-8"))
    live = anyio.run(record.record)
    assert kept["answers"] == live["answers"], STALE
    assert kept["of"] == live["of"], STALE


def test_a_changed_text_is_seen(monkeypatch) -> None:
    """The comparison above would not notice a server that answers from the record."""
    before = anyio.run(record.record)["answers"]
    monkeypatch.setattr(server, "INSTRUCTIONS", "changed")
    assert anyio.run(record.record)["answers"] != before


def test_every_version_and_method_is_recorded(results) -> None:
    """Handshakes have no discovery, 2026-07-28 neither handshake nor ping."""
    assert set(results) == {*HANDSHAKES, "2026-07-28"}
    assert all(set(results[version]) == {*METHODS} - {"server/discover"} for version in HANDSHAKES)
    assert set(results["2026-07-28"]) == {"server/discover", *LISTS}


@pytest.mark.parametrize("damage", ["version", "sdk", "sources", "file", "shape"])
def test_a_record_of_anything_else_is_not_used(monkeypatch, tmp_path, damage) -> None:
    """Other code, another SDK, a damaged or missing file: the slow way, without a word."""
    kept = json.loads(Path(recorded.PATH).read_text("utf-8"))
    copy = tmp_path / "opening.json"
    monkeypatch.setattr(recorded, "PATH", str(copy))
    copy.write_text(json.dumps(kept))
    assert recorded.load()
    match damage:
        case "version":
            monkeypatch.setattr(recorded, "__version__", "9")
        case "sdk":
            kept["of"]["mcp"] = "2.2.9"
        case "sources":
            kept["of"]["sources"] = "00000000"
        case "shape":
            kept = [kept]
    copy.write_text(json.dumps(kept)[: 100 if damage == "file" else None])
    assert recorded.load() == {}


def line(number: int | str, method: str, params: Any = ...) -> bytes:
    said = {"jsonrpc": "2.0", "id": number, "method": method} | ({} if params is ... else {"params": params})
    return json.dumps(said).encode()


def told(method: str) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "method": method}).encode()


async def answers(lines: list[bytes], opening: Opening) -> dict[Any, list[Any]]:
    """All that a client is answered, by request: at once, then by the live server."""
    found: dict[Any, list[Any]] = {}

    def heard(answer: dict[str, Any]) -> None:
        found.setdefault(answer["id"], []).append(answer.get("result") or answer.get("error"))

    for each in lines:
        if (said := opening.answer(each)) is not None:
            heard(json.loads(said))
    sent, read = anyio.create_memory_object_stream[SessionMessage | Exception](len(lines))
    write, received = anyio.create_memory_object_stream[SessionMessage](2 * len(lines))
    for each in lines:
        try:
            sent.send_nowait(SessionMessage(jsonrpc_message_adapter.validate_json(each, by_name=False)))
        except ValueError as error:
            sent.send_nowait(error)
    async with anyio.create_task_group() as group:
        group.start_soon(converse, server.build_server(record._without_project), read, write, opening.given)
        await anyio.wait_all_tasks_blocked()
        sent.close()
    with received:
        while received.statistics().current_buffer_used:
            heard(received.receive_nowait().message.model_dump(by_alias=True, exclude_unset=True))
    assert not opening.given, "an answer was given that the server does not give"
    return found


NOT_A_NUMBER = line(905, "initialize", HELLO | {"capabilities": {"experimental": {"x": {"y": float("nan")}}}})
AT_ONCE = 30  # conversations; each waits until all of them are quiet
MESSAGES = [
    *((method, ...) for method in (*LISTS, "ping")),
    *((method, {"_meta": MODERN}) for method in (*METHODS[1:], "tools/none")),
    ("initialize", HELLO),
    *(("initialize", HELLO | {"protocolVersion": version}) for version in (*HANDSHAKES, "2026-07-28", "x")),
    ("initialize", HELLO | FULL),
    *(("initialize", HELLO | odd) for odd in ODD_HELLOS),
    ("initialize", HELLO | {"_meta": MODERN}),
    ("initialize", {}),
    ("tools/list", {"_meta": MODERN | {"io.modelcontextprotocol/clientInfo": WHO, "progressToken": 3}}),
    *(("tools/list", {"_meta": MODERN | odd}) for odd in ODD_ENVELOPES),
    ("tools/list", {"_meta": {VERSION: "2026-07-28"}}),
    ("tools/list", {"cursor": "2"}),
    ("tools/list", {"cursor": None}),
    ("tools/list", {"_meta": {"progressToken": "t"}}),
    ("tools/list", {"_meta": None}),
    ("tools/list", None),
    ("tools/list", []),
    ("tools/none", ...),
    (None, told("notifications/initialized")),
    (None, told("notifications/none")),
    (None, b'{"jsonrpc": "2.0", "id": 900, "method": "tools/list", "params": {"_meta": {"x": NaN}}}'),
    (None, NOT_A_NUMBER),
    (None, b"no json"),
    (None, b""),
    (None, b"[1]"),
    (None, b"[" * 5000),
    (None, b'{"jsonrpc": "2.0", "id": 901, "result": {}}'),
    (None, b'{"jsonrpc": "2.0", "id": 902.5, "method": "ping"}'),
    (None, b'{"jsonrpc": "2.0", "id": true, "method": "ping"}'),
    (None, b'{"jsonrpc": "1.0", "id": 903, "method": "ping"}'),
    (None, b'\xff{"jsonrpc": "2.0", "id": 904, "method": "ping"}'),
]


def lines_of(messages: list[tuple[Any, Any]]) -> list[bytes]:
    """Ids are numbers and texts in turn."""
    ids = itertools.cycle((int, str))
    numbered = [(next(ids)(number), *message) for number, message in enumerate(messages)]
    return [params if method is None else line(number, method, params) for number, method, params in numbered]


async def both(results: recorded.Results, conversations: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """The answers in every conversation: with the quick start, and without."""
    found: list[dict[str, Any]] = [{}, {}]

    async def have(answered: dict[str, Any], name: str, opening: Opening) -> None:
        answered[name] = await answers(lines_of(conversations[name]), opening)

    names = list(conversations)
    for begin in range(0, len(names), AT_ONCE):
        async with anyio.create_task_group() as group:
            for answered, recording in zip(found, (results, {}), strict=True):
                for name in names[begin : begin + AT_ONCE]:
                    group.start_soon(have, answered, name, Opening(recording))
    return found


@settings(max_examples=3, deadline=None)
@given(st.lists(st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=6), min_size=8, max_size=8))
def test_whatever_a_client_opens_with_is_answered_as_without_the_quick_start(results, conversations) -> None:
    """Every request once, in either era, whatever else comes between."""
    quick, slow = anyio.run(both, results, {repr(each): each for each in conversations})
    assert quick == slow


def test_each_message_first_and_after_a_handshake(results) -> None:
    """The same, for all of them in the two places that matter most."""
    before = [], [("initialize", HELLO), (None, told("notifications/initialized"))]
    conversations = [[*opening, message, ("tools/list", ...)] for opening in before for message in MESSAGES]
    bare, modern, found = ("ping", ...), ("tools/list", {"_meta": MODERN}), ("server/discover", {"_meta": MODERN})
    notice, hello = (None, told("notifications/initialized")), ("initialize", HELLO)
    conversations += [
        [modern, bare],
        [bare, modern],
        [found, bare, found],
        [notice, found, hello],
        [found, modern, hello],
    ]
    quick, slow = anyio.run(both, results, {repr(each): each for each in conversations})
    assert quick == slow


@pytest.mark.parametrize("version", HANDSHAKES)
def test_a_whole_handshake_needs_no_sdk(results, version) -> None:
    """What common clients ask first, and as much as one may say of itself."""
    opening = Opening(results)
    assert opening.answer(line(1, "initialize", HELLO | FULL | {"protocolVersion": version}))
    assert opening.answer(told("notifications/initialized")) is None
    for number, method in enumerate(("ping", *LISTS), 2):
        assert json.loads(opening.answer(line(number, method)) or b"{}")["result"] == results[version][method]
    assert not opening.waits


def test_discovery_and_lists_of_the_new_era_need_no_sdk(results) -> None:
    """Also when the client says who it is."""
    opening = Opening(results)
    meta = MODERN | {"io.modelcontextprotocol/clientInfo": WHO}
    for number, method in enumerate(("server/discover", *LISTS, "server/discover")):
        said = json.loads(opening.answer(line(number, method, {"_meta": meta})) or b"{}")
        assert said["result"] == results["2026-07-28"][method]


def test_after_a_request_that_waits_all_wait(results) -> None:
    """So that nothing is answered by a state that the waiting request may change."""
    opening = Opening(results)
    opening.answer(line(1, "initialize", HELLO))
    assert opening.answer(line(2, "tools/call", {"name": "status"})) is None
    assert opening.answer(line(3, "tools/list")) is None
    assert opening.waits
