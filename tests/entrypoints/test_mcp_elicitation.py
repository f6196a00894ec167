"""Asking the client's user to clear an incident: only where configured, once, and only the typed code counts.

Real servers over stdio in both protocol eras; three red tests open the breaker.
"""

import json
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from jsonschema import Draft202012Validator
from mcp import Client, StdioServerParameters
from mcp.types import (
    CallToolResult,
    ClientCapabilities,
    ElicitationCapability,
    ElicitRequestFormParams,
    ElicitResult,
    FormElicitationCapability,
    Implementation,
    InputRequiredResult,
    UrlElicitationCapability,
)

from mcp_e2e.entrypoints.mcp.elicitation import _can_ask, _is_right, _message
from mcp_e2e.entrypoints.mcp.schemas import output_schema
from mcp_e2e.entrypoints.mcp.tools import TOOLS
from mcp_e2e.store import breaker as breakers
from tests.entrypoints.listening import listening
from tests.leftovers import end_leftovers

TESTS = """
[[tests]]
id = "red"
command = [{python}, "-c", "raise SystemExit('cause')"]
timeout_s = 30

[[tests]]
id = "green"
command = [{python}, "-c", "open('ran', 'a').write('x')"]
timeout_s = 30
"""
ON = "\n[breaker]\nelicitation = true\n"
NOW_OPEN = {"refused": True, "state": "open", "retryable": False, "owner_action_required": True}
CLEARED = {"refused": True, "state": "half_open", "retryable": True, "owner_action_required": False, "cleared_by": []}

Reply = Callable[[str], Awaitable[ElicitResult]]
Connect = Callable[..., AbstractAsyncContextManager[Client]]


class User:
    """The client's user: what was asked, and the reply to the incident's name."""

    def __init__(self, reply: Reply) -> None:
        self.asked: list[ElicitRequestFormParams] = []
        self._reply = reply

    async def __call__(self, _: object, params: Any) -> ElicitResult:
        self.asked.append(params)
        return await self._reply(params.requested_schema["properties"]["code"]["description"].split()[-1])


def types(text: str) -> Reply:
    """A user who types ``text``; ``{}`` in it is the code."""

    async def reply(incident: str) -> ElicitResult:
        return ElicitResult(action="accept", content={"code": text.format(incident)})

    return reply


def chooses(action: Any, content: dict[str, Any] | None = None) -> Reply:
    async def reply(_: str) -> ElicitResult:
        return ElicitResult(action=action, content=content)

    return reply


async def never(_: str) -> ElicitResult:
    await anyio.sleep_forever()
    raise AssertionError


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A project without a service: one test is red, one is green and leaves a trace."""
    folder = tmp_path / "project"
    folder.mkdir()
    configure(folder, ON)
    yield folder
    end_leftovers(folder)


def configure(project: Path, more: str) -> None:
    (project / "mcp-e2e.toml").write_text(TESTS.format(python=json.dumps(sys.executable)) + more)


@pytest.fixture
def connect(era: str, environ: dict[str, str], project: Path) -> Connect:
    """Start ``mcp-e2e serve`` for a client whose user is ``user``; with None it has no elicitation."""

    @asynccontextmanager
    async def opened(user: User | None) -> AsyncIterator[Client]:
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "mcp_e2e", "serve"], env=environ, cwd=str(project)
        )
        info = Implementation(name="tester", version="1")
        with anyio.fail_after(50):
            async with Client(server, mode=era, client_info=info, elicitation_callback=user) as client:
                yield client

    return opened


async def call(client: Client, name: str, **arguments: Any) -> dict[str, Any]:
    return checked(name, await client.call_tool(name, arguments))


def checked(name: str, result: CallToolResult) -> dict[str, Any]:
    """The data of an answer that fits its schema, also when it refuses."""
    data: dict[str, Any] = result.structured_content
    Draft202012Validator(output_schema(TOOLS[name].answer)).validate(data)
    return data


async def opens(client: Client, slots: int = 3) -> None:
    """Three red tests, planned so that no rule about repeats speaks first."""
    await call(client, "plan_run", tests=["red"], count=slots)
    for _ in range(3):
        data = await call(client, "run_test", checkpoint=True)
        assert data["verdict"] == "failed", data


def logged(project: Path) -> tuple[list[dict[str, Any]], bool]:
    """The breaker's log, newest first, and whether its chain holds."""
    con = sqlite3.connect(project / ".mcp-e2e" / "private" / "state.db")
    con.row_factory = sqlite3.Row
    try:
        return breakers.log(con)
    finally:
        con.close()


def assert_still_open(project: Path, data: dict[str, Any]) -> None:
    assert NOW_OPEN.items() <= data.items(), data
    assert "tell the user" in data["next_step"]
    assert logged(project)[0][0]["state"] == "open"


async def test_off_by_default(connect: Connect, project: Path) -> None:
    """A client that could ask is never asked."""
    configure(project, "")
    user = User(types("{}"))
    async with connect(user) as client:
        await opens(client)
        assert_still_open(project, await call(client, "run_test", test="green"))
        assert_still_open(project, await call(client, "plan_run"))
    assert user.asked == []


async def test_the_typed_code_clears_the_incident(connect: Connect, project: Path) -> None:
    """The refused call stays refused and has not run; the next one runs as a probe; the record says who and how."""
    user = User(types("  {} \n"))
    async with connect(user) as client:
        await opens(client)
        result = await client.call_tool("run_test", {"test": "green"})
        data = checked("run_test", result)
        ran = (project / "ran").exists()
        last = logged(project)[0][0]
        probe = await call(client, "run_test", test="green")

    assert result.is_error
    assert CLEARED.items() <= data.items()
    assert data["code"] == "refused"
    assert "probe" in data["next_step"]
    assert data["next_step"] in result.content[0].text
    assert not ran
    assert (last["state"], last["incident"]) == ("half_open", data["incident"])
    actor = last["actor"]
    assert (actor["via"], actor["client"], actor["by"].split()[0]) == ("elicitation", "tester", "tester")
    assert probe["verdict"] == "passed"
    states, holds = logged(project)
    assert (states[0]["state"], holds) == ("closed", True)
    assert len(user.asked) == 1


async def test_what_the_user_is_shown(connect: Connect) -> None:
    """Incident, evidence, and a form of one string."""
    user = User(chooses("decline"))
    async with connect(user) as client:
        await opens(client)
        incident = (await call(client, "run_test"))["incident"]
    (asked,) = user.asked
    assert incident in asked.message
    assert "exit code 1: cause" in asked.message
    fields = asked.requested_schema["properties"]
    assert [(name, field["type"]) for name, field in fields.items()] == [("code", "string")]
    assert asked.requested_schema["required"] == ["code"]


@pytest.mark.parametrize(
    "reply",
    [
        types("i-000000"),
        types("{}x"),
        chooses("decline"),
        chooses("cancel"),
        chooses("accept"),
        chooses("accept", {"code": None}),
        chooses("accept", {"other": "x"}),
    ],
    ids=["wrong", "longer", "decline", "cancel", "no content", "null", "other field"],
)
async def test_any_other_reply_changes_nothing(connect: Connect, project: Path, reply: Reply) -> None:
    """The refusal is what it would have been, and nobody is asked again."""
    user = User(reply)
    async with connect(user) as client:
        await opens(client)
        assert_still_open(project, await call(client, "run_test", test="green"))
        assert_still_open(project, await call(client, "run_test", test="green"))
        assert_still_open(project, await call(client, "plan_run"))
    assert len(user.asked) == 1
    assert not (project / "ran").exists()


@pytest.mark.parametrize("era", ["legacy"])
async def test_a_failing_handler_changes_nothing(connect: Connect, project: Path) -> None:
    """Its error comes back as an answer to the question."""

    async def raises(_: str) -> ElicitResult:
        raise RuntimeError("no user here")

    user = User(raises)
    async with connect(user) as client:
        await opens(client)
        assert_still_open(project, await call(client, "run_test"))
        assert_still_open(project, await call(client, "run_test"))
    assert len(user.asked) == 1


@pytest.mark.parametrize("era", ["auto"])
async def test_a_failing_handler_ends_the_call_in_its_client(connect: Connect, project: Path) -> None:
    """On 2026-07-28 the server only sees that the call never comes back; the next one is refused, and asks nothing."""

    async def raises(_: str) -> ElicitResult:
        raise RuntimeError("no user here")

    user = User(raises)
    async with connect(user) as client:
        await opens(client)
        with pytest.raises(ExceptionGroup):
            await call(client, "run_test")
        assert_still_open(project, await call(client, "run_test"))
    assert len(user.asked) == 1


async def test_switched_on_after_the_opening(connect: Connect, project: Path) -> None:
    """The limits in force are those of the first red: an agent's edit of the configuration changes nothing."""
    configure(project, "")
    user = User(types("{}"))
    async with connect(user) as client:
        await opens(client)
        configure(project, ON)
        assert_still_open(project, await call(client, "run_test", test="green"))
    async with connect(user) as client:
        assert_still_open(project, await call(client, "run_test", test="green"))
    assert user.asked == []


async def test_an_edited_record_allows_nothing(connect: Connect, project: Path) -> None:
    """Neither the incident's file nor the sealed log switches the question on by being edited."""
    configure(project, "")
    user = User(types("{}"))
    private = project / ".mcp-e2e" / "private"
    async with connect(user) as client:
        await opens(client)
        (file,) = (private / "incidents").glob("i-*.json")
        file.write_text(file.read_text().replace('"elicitation": false', '"elicitation": true'))
        assert_still_open(project, await call(client, "run_test"))
    con = sqlite3.connect(private / "state.db")
    with con:
        con.execute("UPDATE breaker SET body = replace(body, '\"elicitation\": false', '\"elicitation\": true')")
    con.close()
    async with connect(user) as client:
        data = await call(client, "run_test")
    assert NOW_OPEN.items() <= data.items()
    assert user.asked == []


async def test_a_client_without_the_capability(connect: Connect, project: Path) -> None:
    """It gets the plain refusal; another client of the project may still ask its user."""
    async with connect(None) as client:
        await opens(client)
        assert_still_open(project, await call(client, "run_test"))
    user = User(types("{}"))
    async with connect(user) as client:
        assert CLEARED.items() <= (await call(client, "run_test")).items()


async def test_too_late(connect: Connect, project: Path) -> None:
    """The right code after the call's own patience counts for nothing."""

    async def slow(incident: str) -> ElicitResult:
        await anyio.sleep(1.6)
        return await types("{}")(incident)

    user = User(slow)
    async with connect(user) as client:
        await opens(client)
        assert_still_open(project, await call(client, "run_test", wait_seconds=1.3))
        await anyio.sleep(0.5)
        assert_still_open(project, await call(client, "run_test"))
    assert len(user.asked) == 1


async def test_a_call_that_does_not_wait_keeps_the_question_for_another(connect: Connect, project: Path) -> None:
    """Nobody could have answered it."""
    user = User(types("{}"))
    async with connect(user) as client:
        await opens(client)
        assert_still_open(project, await call(client, "run_test", wait_seconds=0))
        assert user.asked == []
        assert CLEARED.items() <= (await call(client, "run_test")).items()


async def test_a_pending_question_holds_up_nothing_else(connect: Connect, project: Path) -> None:
    """Other calls are answered, a second refused one asks nothing, and the server leaves with its client."""
    user = User(never)
    async with connect(user) as client, anyio.create_task_group() as group:
        await opens(client)
        group.start_soon(client.call_tool, "run_test", {})
        while not user.asked:
            await anyio.sleep(0.02)
        with anyio.fail_after(8):
            assert (await call(client, "status"))["breaker"]["state"] == "open"
            assert_still_open(project, await call(client, "run_test"))
            group.cancel_scope.cancel()
        left = anyio.current_time()
    assert anyio.current_time() - left < 5
    assert len(user.asked) == 1


@pytest.mark.parametrize("era", ["legacy"])
async def test_a_user_who_never_answers_costs_the_wait_only(connect: Connect, project: Path) -> None:
    """The refusal comes when the call's patience ends."""
    user = User(never)
    async with connect(user) as client:
        await opens(client)
        begun = anyio.current_time()
        assert_still_open(project, await call(client, "run_test", wait_seconds=2))
        assert 1 < anyio.current_time() - begun < 6


@pytest.mark.parametrize("era", ["auto"])
async def test_a_repeated_call_runs_nothing(connect: Connect, project: Path) -> None:
    """Whatever it brings back: the first reply counts, and the same answer is given again."""
    user = User(never)
    async with connect(user) as client:
        await opens(client)
        first = await client.session.call_tool("run_test", {"test": "green"}, allow_input_required=True)
        assert isinstance(first, InputRequiredResult)
        incident = first.input_requests["incident"].params.message.split("type ")[1].split(".")[0]

        async def again(name: str, state: str, code: str, **arguments: Any) -> dict[str, Any]:
            replies = {"incident": ElicitResult(action="accept", content={"code": code})}
            result = await client.session.call_tool(name, arguments, input_responses=replies, request_state=state)
            return checked(name, result)

        for name, state, arguments in (
            ("run_test", "forged", {"test": "green"}),
            ("run_test", first.request_state, {"test": "red"}),
            ("plan_run", first.request_state, {}),
        ):
            assert (await again(name, state, incident, **arguments))["code"] == "usage"
        cleared = await again("run_test", first.request_state, incident, test="green")
        assert CLEARED.items() <= cleared.items()
        assert await again("run_test", first.request_state, incident, test="green") == cleared
        assert await again("run_test", first.request_state, "i-000000", test="green") == cleared
    assert [state["state"] for state in logged(project)[0]].count("half_open") == 1
    assert not (project / "ran").exists()


@pytest.mark.parametrize("era", ["auto"])
async def test_a_wrong_reply_cannot_be_mended(connect: Connect, project: Path) -> None:
    """The question is used up, though its state is known."""
    async with connect(User(never)) as client:
        await opens(client)
        first = await client.session.call_tool("run_test", {}, allow_input_required=True)
        incident = first.input_requests["incident"].params.message.split("type ")[1].split(".")[0]
        for code in ("i-000000", incident):
            replies = {"incident": ElicitResult(action="accept", content={"code": code})}
            result = await client.session.call_tool(
                "run_test", {}, input_responses=replies, request_state=first.request_state
            )
            assert_still_open(project, checked("run_test", result))


async def test_a_new_incident_is_a_new_question(connect: Connect, project: Path) -> None:
    """A red probe opens again, under the limits a person has left configured."""
    user = User(types("{}"))
    async with connect(user) as client:
        await opens(client, slots=5)
        first = await call(client, "run_test", test="red")
        assert CLEARED.items() <= first.items()
        assert (first["position"]["breaker"], first["position"]["consecutive_failures"]) == ("half_open", 0)
        assert (await call(client, "run_test", test="red"))["verdict"] == "failed"
        second = await call(client, "run_test", test="red")
        assert CLEARED.items() <= second.items()
    assert first["incident"] != second["incident"]
    assert len(user.asked) == 2


@pytest.mark.parametrize(
    ("declared", "can"),
    [
        (None, False),
        (ClientCapabilities(), False),
        (ClientCapabilities(elicitation=ElicitationCapability()), True),
        (ClientCapabilities(elicitation=ElicitationCapability(form=FormElicitationCapability())), True),
        (ClientCapabilities(elicitation=ElicitationCapability(url=UrlElicitationCapability())), False),
    ],
    ids=["nothing", "no elicitation", "older form", "form", "url only"],
)
@pytest.mark.parametrize(("version", "channel"), [("2025-11-25", True), ("2025-11-25", False), ("2026-07-28", False)])
def test_who_can_be_asked(declared: Any, can: bool, version: str, channel: bool) -> None:
    """Whoever shows forms; before 2026-07-28 only where the server has a way back to the client."""
    session: Any = SimpleNamespace(client_capabilities=declared, protocol_version=version, can_send_request=channel)
    assert _can_ask(session) is (can and (channel or version == "2026-07-28"))


@pytest.mark.parametrize("typed", ["i-abc12", "I-ABC123", "", "i-abc123\u0000", "\ud800", "ï-abc123"])
def test_only_the_code_is_the_code(typed: str) -> None:
    """Whatever was typed, comparing it never fails."""
    assert not _is_right(ElicitResult(action="accept", content={"code": typed}), "i-abc123")


def test_evidence_is_shown_in_one_short_line() -> None:
    """What a test printed can neither draw on the user's screen nor push the question out of it."""
    message = _message("i-abc123", ["red failed:\n\x1b[2J\x1b[31m" + "x" * 5000])
    assert message.isprintable()
    assert len(message) < 600
    assert message.count("i-abc123") == 2


async def test_each_client_of_one_http_server_is_asked_once(environ: dict[str, str], project: Path) -> None:
    """There one process has many: what one user leaves unanswered another may answer, in either era."""
    configure(project, ON)
    first, second = User(chooses("decline")), User(types("{}"))
    async with (
        listening(environ, project) as server,
        server.client("legacy", "first", elicitation_callback=first) as one,
        server.client("auto", "second", elicitation_callback=second) as other,
    ):
        await opens(one)
        for _ in range(2):
            assert_still_open(project, await call(one, "run_test"))
        assert CLEARED.items() <= (await call(other, "run_test")).items()
    assert (len(first.asked), len(second.asked)) == (1, 1)
