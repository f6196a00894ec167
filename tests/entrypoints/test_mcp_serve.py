"""The whole way: the SDK's client, ``mcp-e2e serve``, a real service, real tests; both eras over stdio and HTTP."""

import base64
import json
from functools import partial

import anyio
import psutil
import pytest
from mcp import MCPError

from tests.entrypoints.conftest import FOUR_WAYS


@FOUR_WAYS
async def test_the_loop_of_an_agent(connect, meet) -> None:
    """Start, plan three slots, run and record each, report: on one life of the service."""
    async with connect() as client:
        agent = await meet(client)
        session = await agent.does("start_session")
        assert (session["state"], session["generation"]) == ("ready", 1)
        plan = await agent.does("plan_run", tests=["asks"], count=3)
        assert (plan["total"], plan["joined"]) == (3, False)
        for slot in (1, 2, 3):
            due = await agent.does("next_test")
            assert (due["slot"], due["test"]) == (slot, "asks")
            attempt = await agent.does("run_test")
            assert (attempt["verdict"], attempt["evidence"]["generation"]) == ("passed", 1)
            point = await agent.does("checkpoint", result="success", note=f"slot {slot}")
            assert (point["slot"], point["position"]["done"]) == (slot, slot)
        report = await agent.does("report")
        assert (report["run"], report["success_rate"]) == (plan["run"], 1.0)
        assert (await agent.does("start_session"))["pid"] == session["pid"]
        assert (await agent.does("stop_session"))["state"] == "stopped"
    assert not psutil.pid_exists(session["pid"])


async def test_a_service_outlives_its_server_and_is_joined_by_the_next(connect, meet) -> None:
    """An editor that closes takes nothing with it; ``by`` says who began the run."""
    async with connect() as client:
        agent = await meet(client)
        before = await agent.does("start_session")
        await agent.does("plan_run", tests=["asks"], count=2)
    assert psutil.pid_exists(before["pid"])
    async with connect() as client:
        agent = await meet(client)
        after = await agent.does("start_session")
        plan = await agent.does("plan_run")
        await agent.does("stop_session")
    assert (after["pid"], after["generation"]) == (before["pid"], before["generation"])
    assert plan["joined"]
    assert plan["begun_by"].startswith("tester")


ERRORS = [
    ("start_session", {"service": "nope"}, {"usage", "not_found"}),
    ("stop_session", {"service": "nope"}, {"usage", "not_found"}),
    ("status", {"verbose": True}, {"usage"}),
    ("plan_run", {"tests": ["nope"]}, {"nothing_selected"}),
    ("next_test", {"run": "x"}, {"usage"}),
    ("run_test", {"test": "nope"}, {"usage", "nothing_selected"}),
    ("checkpoint", {"result": "success"}, {"usage", "contradicts_verdict"}),
    ("report", {"run": "r-nope"}, {"not_found"}),
    ("safe_exec", {"argv": ["/no/such/program"]}, {"launch", "setup"}),
    ("job", {"action": "wait", "id": "nope"}, {"not_found"}),
]


@FOUR_WAYS
async def test_an_error_of_every_tool_fits_its_schema(connect, meet) -> None:
    """Each says what to do, and the server goes on."""
    async with connect() as client:
        agent = await meet(client)
        for name, arguments, codes in ERRORS:
            data = await agent.fails(name, **arguments)
            assert data["code"] in codes, (name, data)
            assert data["message"]
            assert data["remedy"]
        assert "breaker" in await agent.does("status")


@FOUR_WAYS
async def test_three_reds_and_then_every_door_that_starts_work_is_shut(connect, meet) -> None:
    """A failing verdict is no error; the refusal that follows three of them is, and reading still works."""
    async with connect() as client:
        agent = await meet(client)
        await agent.does("plan_run", tests=["breaks-*"])
        for _ in range(3):
            attempt = await agent.does("run_test")
            assert attempt["verdict"] == "failed"
            claimed = await agent.fails("checkpoint", result="success")
            assert claimed["code"] == "contradicts_verdict"
            await agent.does("checkpoint", result="failure", note="broken on purpose")
        for name, arguments in [
            ("start_session", {}),
            ("plan_run", {"tests": ["asks"]}),
            ("run_test", {"test": "asks"}),
            ("safe_exec", {"command": "true"}),
        ]:
            result = await agent.call(name, **arguments)
            data, text = result.structured_content, result.content[0].text
            assert result.is_error, name
            assert (data["code"], data["refused"], data["rule"], data["state"]) == ("refused", True, "R1", "open")
            assert len(text.split()) <= 120
            assert "breaker reset" not in text + json.dumps(data)
        for name in ("status", "report", "next_test", "job", "stop_session"):
            await agent.does(name)


async def test_a_broken_file_is_answered_and_mended_without_a_restart(connect, meet, project) -> None:
    """``serve`` always starts; the file is read again at the next call."""
    file = project / "mcp-e2e.toml"
    right = file.read_text()
    file.write_text(right.replace("port = 0", "prot = 0"))
    async with connect() as client:
        agent = await meet(client)
        assert "prot" in json.dumps((await agent.does("status"))["config_error"])
        data = await agent.fails("run_test", test="asks")
        assert data["code"] == "config"
        file.write_text(right)
        assert "config_error" not in await agent.does("status")
        assert (await agent.does("plan_run", tests=["asks"]))["total"] == 1


@FOUR_WAYS
async def test_a_command_runs_in_the_background_and_is_followed(connect, meet) -> None:
    """A JSON-looking command stays a string on the whole way."""
    async with connect() as client:
        agent = await meet(client)
        begun = (await agent.call("safe_exec", command="echo one; echo two", wait_seconds=0)).structured_content
        await agent.does("job", action="wait", id=begun["job"])
        output = await agent.does("job", action="output", id=begun["job"], grep="tw")
        assert "two" in json.dumps(output)
        said = await agent.does("safe_exec", command='printf %s "[1, 2]"')
        assert (said["exit_code"], said["stdout"].strip()) == (0, "[1, 2]")


@FOUR_WAYS
async def test_cancelling_a_call_stops_the_waiting_and_not_the_test(connect, meet, project) -> None:
    """The next call joins the attempt and hands over its verdict."""
    async with connect() as client:
        agent = await meet(client)
        await agent.does("plan_run", tests=["waits"])
        async with anyio.create_task_group() as group:

            async def leave(_value: float, _total: float | None, message: str | None) -> None:
                if "running" in (message or ""):
                    group.cancel_scope.cancel()

            group.start_soon(partial(client.call_tool, "run_test", {}, progress_callback=leave))
        running = (await agent.call("run_test", wait_seconds=0)).structured_content
        assert (running["state"], running["joined"]) == ("running", True)
        (project / "go").touch()
        ended = await agent.does("run_test")
        assert (ended["attempt"], ended["verdict"]) == (running["attempt"], "passed")
        await agent.does("stop_session")


async def test_resources_tell_the_same_as_the_tools(connect, meet) -> None:
    """Status, runs, report, logs and artifacts, each under its address."""
    async with connect() as client:
        agent = await meet(client)
        plan = await agent.does("plan_run", tests=["asks"], count=1)
        attempt = await agent.does("run_test", checkpoint=True)
        artifact = attempt["evidence"]["artifacts"][0]

        async def read(uri):
            content = (await client.read_resource(uri)).contents[0]
            assert content.uri == uri
            return content

        listed = [resource.uri for resource in (await client.list_resources()).resources]
        for uri in listed:
            assert json.loads((await read(uri)).text) is not None
        assert plan["run"] in (await read("e2e://runs")).text
        assert plan["run"] in (await read(f"e2e://runs/{plan['run']}")).text
        report = await read(f"e2e://runs/{plan['run']}/report")
        assert (report.mime_type, "asks" in report.text) == ("text/markdown", True)
        assert (await read("e2e://sessions/api/log")).mime_type == "text/plain"
        blob = await read(artifact["uri"])
        assert base64.b64decode(blob.blob) == b"pong"
        for uri in ("e2e://runs/r-nope", "e2e://nothing", "e2e://jobs/../log", "e2e://attempts/a/artifacts/../../x"):
            with pytest.raises(MCPError) as caught:
                await client.read_resource(uri)
            assert caught.value.code == -32602, uri
        await agent.does("stop_session")


async def test_prompts_are_served_and_checked(connect) -> None:
    """Arguments are filled in; a missing one is -32602 in both eras."""
    async with connect() as client:
        names = [prompt.name for prompt in (await client.list_prompts()).prompts]
        assert names == ["debug-failure", "resume-run", "run-e2e", "set-up"]
        prompt = await client.get_prompt("debug-failure", {"test": "portrait"})
        assert "portrait" in prompt.messages[0].content.text
        with pytest.raises(MCPError) as caught:
            await client.get_prompt("debug-failure", {})
        assert caught.value.code == -32602


@FOUR_WAYS
async def test_the_server_says_who_it_is(connect) -> None:
    """Name, version and capabilities, the same in both eras."""
    async with connect() as client:
        assert (client.server_info.name, client.server_info.version) == ("e2e", "0.1.0")
        assert client.server_capabilities.resources.subscribe is True
        assert len(client.instructions) <= 1500
