"""Servers killed in mid-test, and a breaker that no restart closes, through real clients in both protocol eras."""

import os
import re
import signal
from pathlib import Path

import anyio
import psutil
import pytest
from mcp import MCPError

GONE = (MCPError, anyio.BrokenResourceError, anyio.ClosedResourceError)


def server_of(by: str) -> int:
    """The pid of the server process that an answer's ``by`` names."""
    found = re.search(r"\(pid (\d+)\)$", by)
    assert found, by
    return int(found.group(1))


async def run_and_kill(connect, meet) -> str:
    """Begin ``waits`` and kill its server, group and all, while it runs; the id of the attempt."""
    attempt = ""
    try:
        async with connect() as client:
            agent = await meet(client)
            begun = (await agent.call("run_test", test="waits", wait_seconds=0)).structured_content
            while begun["state"] != "running":
                begun = (await agent.call("run_test", test="waits", wait_seconds=0.1)).structured_content
            attempt = begun["attempt"]
            while (await agent.call("job", action="output", id=attempt)).structured_content["state"] != "running":
                await anyio.sleep(0.02)  # it is handed over; its command has yet to begin
            pid = server_of(begun["by"])
            group = os.getpgid(pid)
            assert group != os.getpgid(0), "the client starts a server in a group of its own"
            os.killpg(group, signal.SIGKILL)
    except* GONE:
        pass
    return attempt


async def test_three_killed_servers_lose_nothing(connect, meet, project: Path) -> None:
    """Same service, same place, each verdict once and handed over by repeating the call; no breaker."""
    async with connect() as client:
        agent = await meet(client)
        session = await agent.does("start_session")
        await agent.does("plan_run", tests=["waits"], count=3)
    for slot in (1, 2, 3):
        attempt = await run_and_kill(connect, meet)
        async with connect() as client:
            agent = await meet(client)
            place = (await agent.does("status"))["position"]
            assert (place["slot"], place["done"], place["breaker"]) == (slot, slot - 1, "closed")
            (project / "go").touch()
            verdict = await agent.does("run_test", test="waits")
            assert (verdict["attempt"], verdict["verdict"], verdict["joined"]) == (attempt, "passed", True)
            (project / "go").unlink()
            await agent.does("checkpoint", result="success")
            now = await agent.does("start_session")
            assert (now["pid"], now["generation"]) == (session["pid"], session["generation"])
    async with connect() as client:
        agent = await meet(client)
        report = await agent.does("report")
        assert (report["overall"], report["counts"]["attempts"]) == ("passed", 3)
        assert report["position"]["breaker"] == "closed"
        await agent.does("stop_session")


async def test_no_other_server_and_no_restart_opens_the_way_again(connect, meet, project: Path) -> None:
    """The second server refuses what the first one's reds have stopped, and so do both after a restart."""
    jobs = project / ".mcp-e2e" / "private" / "jobs"
    async with connect() as one, connect() as two:
        first, second = await meet(one), await meet(two)
        for n in (1, 2, 3):
            red = await first.does("run_test", test=f"breaks-{n}", checkpoint=True)
            assert red["verdict"] == "failed"
            if n == 2:
                assert red["position"]["failures_left"] == 1
                assert "One more red test" in red["next_step"]
        before = len(list(jobs.iterdir()))
        refused = await second.fails("run_test", test="asks")
        assert (refused["code"], refused["rule"], refused["owner_action_required"]) == ("refused", "R1", True)
        assert len(list(jobs.iterdir())) == before
    for _ in range(2):
        async with connect() as client:
            agent = await meet(client)
            again = await agent.fails("run_test", test="asks")
            assert again["incident"] == refused["incident"]
            assert again["message"] == refused["message"]
            status = await agent.does("status")
            assert "reset" not in status["breaker"]
            await agent.does("stop_session")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signalled_server_leaves_the_test_running(connect, meet, project: Path, number: int) -> None:
    """An editor that ends its server politely stops no work either."""
    try:
        async with connect() as client:
            agent = await meet(client)
            begun = (await agent.call("run_test", test="waits", wait_seconds=1)).structured_content
            server = psutil.Process(server_of(begun["by"]))
            server.send_signal(number)
            with anyio.fail_after(10):
                while server.is_running() and server.status() != psutil.STATUS_ZOMBIE:
                    await anyio.sleep(0.02)
    except* GONE:
        pass
    async with connect() as client:
        agent = await meet(client)
        (project / "go").touch()
        done = await agent.does("run_test", test="waits")
        assert (done["attempt"], done["verdict"]) == (begun["attempt"], "passed")
        await agent.does("stop_session")
