"""The door's translation: whatever a use-case does, the client gets an answer that fits the tool's output schema.

The use-cases here are one function that answers or raises what a test wants; the server, both protocol eras and the
client are real.
"""

import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from jsonschema import Draft202012Validator
from mcp import Client
from mcp.types import CallToolResult, Implementation

from mcp_e2e.decisions import refusal
from mcp_e2e.entrypoints.mcp.calls import PATIENCE_S, failed, patience
from mcp_e2e.entrypoints.mcp.progress import heartbeat
from mcp_e2e.entrypoints.mcp.schemas import output_schema
from mcp_e2e.entrypoints.mcp.server import build_server
from mcp_e2e.entrypoints.mcp.tools import TOOLS
from mcp_e2e.errors import ConfigError, Contradiction, E2EError, Refused, UsageError
from mcp_e2e.model.answers import AttemptAnswer, Position, StatusAnswer
from mcp_e2e.model.calls import Breaker, BreakerState, Call, Limits, Red, Ruling, Window
from mcp_e2e.model.runs import Caller

POSITION = Position(
    run="r1", slot=1, done=0, total=3, passed=0, failed=0, consecutive_failures=0, failures_left=3, breaker="closed"
)
REFUSAL = {
    "refused": True,
    "rule": "R1",
    "state": "open",
    "incident": "i1",
    "evidence": ["portrait failed: blank"],
    "retryable": False,
    "retry_after_s": None,
    "owner_action_required": True,
    "allowed_tools": ["status"],
    "cleared_by": ["a person"],
    "refusals_in_incident": 2,
    "next_step": "Stop and tell the user.",
}

Work = Callable[..., Any]
Connect = Callable[[Work], AbstractAsyncContextManager[Client]]


@pytest.fixture
def connect(era: str) -> Connect:
    """Open a client of a server whose ``status`` and ``run_test`` do ``work``."""

    @asynccontextmanager
    async def opened(work: Work) -> AsyncIterator[Client]:
        app = SimpleNamespace(
            caller=Caller("mcp", 1, "lease"),
            status=SimpleNamespace(show=work),
            attempts=SimpleNamespace(run=work),
            runs=SimpleNamespace(here=nowhere),
            misused=nowhere,
        )

        @asynccontextmanager
        async def lifespan(_: object) -> AsyncIterator[Any]:
            yield app

        info = Implementation(name="claude-code", version="1")
        async with Client(build_server(lifespan), mode=era, client_info=info) as client:
            yield client

    return opened


async def nowhere(*_: Any) -> None:
    """Outside of a run there is no position, and without a ledger nothing is noted."""


def raises(error: Exception) -> Work:
    async def work(*_: Any, **__: Any) -> Any:
        raise error

    return work


def checked(name: str, result: CallToolResult) -> tuple[dict[str, Any], str]:
    """The structured and the spoken half of an answer that fits its schema."""
    Draft202012Validator(output_schema(TOOLS[name].answer)).validate(result.structured_content)
    return result.structured_content, result.content[0].text


async def test_an_answer_comes_as_data_and_as_text(connect: Connect) -> None:
    """Each suffices alone; absent fields are left out."""

    async def work(*_: Any, **__: Any) -> AttemptAnswer:
        return AttemptAnswer(
            next_step="Call checkpoint.",
            position=POSITION,
            attempt="a1",
            test="portrait",
            state="done",
            verdict="failed",
        )

    async with connect(work) as client:
        result = await client.call_tool("run_test", {})
    data, text = checked("run_test", result)
    assert not result.is_error
    assert data["verdict"] == "failed"
    assert "eta_s" not in data
    assert all(word in text for word in ("failed", "portrait", "Call checkpoint."))


async def test_the_caller_is_the_client_by_name_and_this_process(connect: Connect) -> None:
    """Both eras carry the name, each in its own way; a known client is waited for longer."""
    seen: dict[str, Any] = {}

    async def work(caller: Caller, **given: Any) -> AttemptAnswer:
        seen.update(given, caller=caller)
        return AttemptAnswer(next_step="x", attempt="a1", test="t", state="done")

    async with connect(work) as client:
        await client.call_tool("run_test", {"test": "t"})
    assert (seen["caller"].name, seen["caller"].pid, seen["caller"].lease) == ("claude-code", os.getpid(), "lease")
    assert seen["wait_seconds"] == 240


@pytest.mark.parametrize(
    ("client", "seconds"), [("claude-code", 240.0), ("", PATIENCE_S), ("cursor-vscode", PATIENCE_S)]
)
def test_unknown_clients_are_answered_before_they_give_up(client: str, seconds: float) -> None:
    """Most give up at 60 seconds."""
    assert patience(client) == seconds


async def test_an_anticipated_failure_says_code_message_and_remedy(connect: Connect) -> None:
    """With its facts beside them, and the remedy as the next step unless it brings its own."""
    error = ConfigError("mcp-e2e.toml, line 3: unknown key 'prot'.", file="/p/mcp-e2e.toml", line=3, near=None)
    async with connect(raises(error)) as client:
        result = await client.call_tool("run_test", {})
    data, text = checked("run_test", result)
    assert result.is_error
    assert (data["code"], data["message"], data["remedy"]) == ("config", error.message, error.advice)
    assert (data["next_step"], data["line"]) == (error.advice, 3)
    assert "near" not in data
    assert error.message in text
    assert text.count(error.advice) == 1


async def test_a_refusal_is_passed_on_word_for_word(connect: Connect) -> None:
    """Its list of evidence fits a schema in which evidence of a verdict is an object."""
    async with connect(raises(Refused("run_test was not run", text="REFUSED: stop.", **REFUSAL))) as client:
        result = await client.call_tool("run_test", {})
    data, text = checked("run_test", result)
    assert result.is_error
    assert text == "REFUSED: stop."
    assert REFUSAL.items() <= data.items()
    assert data["code"] == "refused"


async def test_a_defect_of_ours_shows_no_traceback(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """The agent learns that it is not its fault; the log has the rest."""
    async with connect(raises(RuntimeError("secret 4711"))) as client:
        result = await client.call_tool("status", {})
    data, text = checked("status", result)
    assert result.is_error
    assert data["code"] == "internal"
    assert "4711" not in json.dumps(data) + text
    assert "4711" in caplog.text


async def test_wrong_arguments_reach_no_use_case(connect: Connect) -> None:
    """And the answer carries a correct call."""
    async with connect(raises(AssertionError("it ran"))) as client:
        result = await client.call_tool("run_test", {"wait": 3})
    data, text = checked("run_test", result)
    assert result.is_error
    assert (data["code"], data["example"]) == ("usage", 'run_test({"wait_seconds": 3})')
    assert 'run_test({"wait_seconds": 3})' in text


async def test_an_unknown_tool_is_an_answer_too(connect: Connect) -> None:
    """A protocol error would not reach the model."""
    async with connect(raises(AssertionError("it ran"))) as client:
        result = await client.call_tool("runtest", {})
    assert result.is_error
    assert result.structured_content["code"] == "usage"
    assert "run_test" in result.structured_content["next_step"]


def test_a_usage_error_without_a_remedy_of_its_own_gets_an_example() -> None:
    """A better remedy is not watered down by one."""
    data, _ = checked("job", failed("job", UsageError("grep '(' is no pattern")))
    assert data["example"].startswith("job(")
    data, _ = checked("job", failed("job", UsageError("api is a service", remedy="Use stop_session.")))
    assert "example" not in data


def test_a_fact_of_another_type_than_the_answers_field_goes_beside_it() -> None:
    """Else one client would reject the whole error."""
    data, _ = checked("start_session", failed("start_session", E2EError("x", log_tail=["a"], pid=3)))
    assert (data["log_tail_"], data["pid"]) == (["a"], 3)


def test_an_errors_own_next_step_and_position_stand() -> None:
    """The use-case knows more than the class."""
    error = Contradiction("success over failed", next_step="Run it again.", position=POSITION.shown())
    data, _ = checked("checkpoint", failed("checkpoint", error))
    assert (data["next_step"], data["position"]["run"]) == ("Run it again.", "r1")


async def test_an_answer_is_at_most_8_kilobytes(connect: Connect) -> None:
    """The whole is on disk."""

    async def work(*_: Any, **__: Any) -> StatusAnswer:
        return StatusAnswer(next_step="x", warnings=["w" * 5000] * 5)

    async with connect(work) as client:
        result = await client.call_tool("status", {})
    data, _ = checked("status", result)
    assert len(json.dumps(data)) <= 8192


async def test_progress_reaches_the_client_while_the_call_waits(connect: Connect) -> None:
    """What the work says, with a value that only grows."""
    heard: list[tuple[float, str | None]] = []

    async def work(*_: Any, progress: Any, **__: Any) -> AttemptAnswer:
        await progress(5, 20, "sampling")
        return AttemptAnswer(next_step="x", attempt="a1", test="t", state="done")

    async def listen(value: float, _total: float | None, message: str | None) -> None:
        heard.append((value, message))

    async with connect(work) as client:
        await client.call_tool("run_test", {}, progress_callback=listen)
    assert [message for _, message in heard] == ["sampling 25% (0 s)"]


async def test_cancelling_a_call_ends_the_waiting(connect: Connect) -> None:
    """The use-case sees a cancelled wait, and nothing else is told."""
    waiting, ended = anyio.Event(), anyio.Event()

    async def work(*_: Any, **__: Any) -> AttemptAnswer:
        waiting.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()
        raise AssertionError

    with anyio.fail_after(10):
        async with connect(work) as client, anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "run_test", {})
            await waiting.wait()
            group.cancel_scope.cancel()
        await ended.wait()


async def test_the_heartbeat_repeats_the_last_message_with_growing_values() -> None:
    """Silent work is not dead work."""
    said: list[tuple[float, str]] = []
    thrice = anyio.Event()

    async def send(value: float, message: str) -> None:
        said.append((value, message))
        if len(said) >= 4:
            thrice.set()

    with anyio.fail_after(10):
        async with heartbeat(send, "run_test", every_s=0.02) as progress:
            await progress(0, None, "booting")
            await thrice.wait()
    values = [value for value, _ in said]
    assert values == sorted(set(values))
    assert all(message.startswith("booting (") for _, message in said)


async def test_a_flood_of_progress_is_thinned_and_cut() -> None:
    """A sampler reports each step; an interface shows 200 characters."""
    said: list[str] = []

    async def send(_value: float, message: str) -> None:
        said.append(message)

    async with heartbeat(send, "run_test") as progress:
        for step in range(1000):
            await progress(step, 1000, "x" * 500)
    assert len(said) < 100
    assert max(map(len, said)) <= 200


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("state", [BreakerState.OPEN, BreakerState.HALF_OPEN])
def test_a_refusal_of_any_tool_fits_its_schema(name: str, state: BreakerState) -> None:
    """Also of those that no rule refuses today: the form is one and the same."""
    reds = tuple(Red(f"a-{n}", "portrait", "failed", "exit code 1", 1.0, "claude (pid 7)") for n in range(3))
    window = Window(Breaker(state, 1, Limits(), reds, "i-1", 3.0, "R1"))
    call = Call(name, name, {}, 10.0, "claude (pid 7)", "lease")
    ruling = Ruling("refuse", "R1", tuple(red.message for red in reds), ("a person, in a terminal",))
    facts = refusal.facts(window, ruling, status_line="mcp-e2e status")
    text = refusal.text(window, call, ruling, status_line="mcp-e2e status")

    said, spoken = checked(name, failed(name, Refused(refusal.message(window, call, ruling), text=text, **facts)))

    assert spoken == text
    assert (said["refused"], said["code"], said["rule"]) == (True, "refused", "R1")
    assert set(said) >= {"incident", "evidence", "allowed_tools", "cleared_by", "refusals_in_incident", "next_step"}
