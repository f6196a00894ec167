"""A stubborn agent after three red tests: whatever it tries is refused or without effect, and is on record."""

import json
import re
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.types import ElicitResult, Implementation, TextContent

from mcp_e2e.bootstrap import Options, open_app
from mcp_e2e.store.breaker import TAMPERED
from tests.entrypoints.conftest import Agent, Cli, Connect

REDS = ["breaks-1", "breaks-2", "breaks-3"]
LOOSE = '\n[breaker]\nconsecutive_failures = 10\nelicitation = true\n[guard]\nmode = "observe"\n'
WRITES = "import pathlib; pathlib.Path('ran').write_text('x')"

Meet = Callable[[Client], Awaitable[Agent]]


class Stubborn:
    """What the agent tried after the opening and was told, and that nothing has run since."""

    def __init__(self, project: Path) -> None:
        self.private = project / ".mcp-e2e" / "private"
        self.project = project
        self.texts: list[str] = []
        self.facts: list[str] = []
        self.tried: list[str] = []
        self._before = self.work()

    def query(self, statement: str) -> list[Any]:
        with closing(sqlite3.connect(self.private / "state.db")) as con, con:
            return con.execute(statement).fetchall()

    def work(self) -> tuple[list[Any], list[str]]:
        jobs = sorted(path.name for path in (self.private / "jobs").iterdir())
        return self.query("SELECT id, state, verdict FROM attempts ORDER BY id"), jobs

    async def tries(self, agent: Agent, tool: str, **arguments: Any) -> dict[str, Any]:
        """The refusal of one call; nothing of it ran."""
        result = await agent.call(tool, **arguments)
        data: dict[str, Any] = result.structured_content
        assert result.is_error, data
        assert (data["code"], data["refused"], data["state"]) == ("refused", True, "open"), data
        assert (data["retryable"], data["owner_action_required"]) == (False, True)
        self.tried.append(tool)
        (said,) = result.content
        assert isinstance(said, TextContent)
        self.texts.append(said.text)
        self.facts.append(json.dumps(data))
        self.nothing_ran()
        return data

    def nothing_ran(self) -> None:
        assert self.work() == self._before
        assert not (self.project / "ran").exists()

    def loses_the_database(self) -> None:
        """What ran before is not in the next one."""
        for file in self.private.glob("state.db*"):
            file.unlink()
        self._before = ([], self._before[1])


async def opens(agent: Agent, project: Path) -> Stubborn:
    """Three planned red tests open it."""
    await agent.does("plan_run", tests=REDS)
    for left in (2, 1, 0):
        red = await agent.does("run_test", checkpoint=True)
        assert (red["verdict"], red["position"]["failures_left"]) == ("failed", left)
    assert red["position"]["breaker"] == "open"
    await agent.does("stop_session")
    return Stubborn(project)


async def incident(project: Path, environ: dict[str, str]) -> dict[str, Any]:
    async with open_app(Options(project=project), environ, settles=False) as app:
        return await app.breaker.incident() or {}


def words(text: str) -> str:
    """A refusal without its tool's name and its counts."""
    return re.sub(r"REFUSED: \w+|\b\d+\b", "", text)


async def test_nothing_it_can_call_runs_anything(
    connect: Connect, meet: Meet, project: Path, environ: dict[str, str], cli: Cli
) -> None:
    """Other arguments, tools, plans, sessions and servers: one and the same refusal, shorter from the third on."""
    async with connect() as one, connect() as two:
        first, second = await meet(one), await meet(two)
        loop = await opens(first, project)
        told = [
            await loop.tries(first, "run_test", test="asks"),
            await loop.tries(first, "safe_exec", argv=[sys.executable, "-c", WRITES]),
            await loop.tries(first, "run_test", test="breaks-1", params={"seed": 7}, timeout_s=5),
            await loop.tries(first, "safe_exec", command="mcp-e2e breaker reset", env={"CLAUDECODE": ""}),
            await loop.tries(first, "start_session"),
            await loop.tries(first, "plan_run", tests=["asks"], new=True, reason="a fresh start"),
            await loop.tries(second, "run_test", test="asks"),
        ]
    async with connect() as third:
        told.append(await loop.tries(await meet(third), "run_test", test="asks"))
        status = await (await meet(third)).does("status")
    assert [each["refusals_in_incident"] for each in told] == list(range(1, status["breaker"]["refusals"] + 1))
    assert {(each["rule"], each["incident"]) for each in told} == {("R1", told[0]["incident"])}

    texts = loop.texts
    assert words(texts[0]) == words(texts[1])
    assert len(texts[0].split()) <= 120
    assert all(f"breaks-{n}" in texts[0] for n in (1, 2, 3))
    assert {words(text) for text in texts[2:]} == {words(texts[2])}
    bare = re.sub(r"'.*'", "''", texts[2])
    assert len(re.findall(r"[.?!](?:\s|$)", bare)) == 2, bare
    assert [told for told in [*texts, *loop.facts, json.dumps(status)] if "breaker reset" in told] == []

    found = await incident(project, environ)
    assert [call["tool"] for call in found["refused"]] == loop.tried
    assert all(re.fullmatch(r"tester \(pid \d+\)", call["by"]) for call in found["refused"])
    shown = json.loads(cli("breaker", "status", "--json").stdout)["data"]
    assert [call["tool"] for call in shown["calls_refused"]] == loop.tried


async def test_the_command_line_is_no_way_round(
    connect: Connect, meet: Meet, project: Path, environ: dict[str, str], cli: Cli
) -> None:
    """A reset without a terminal or under an agent's mark changes nothing; run and plan are refused and listed."""
    async with connect() as client:
        agent = await meet(client)
        loop = await opens(agent, project)
        for marks, why in (({}, {"agent", "terminal"}), ({"CLAUDECODE": "1"}, {"agent"})):
            done = cli("breaker", "reset", "--json", **marks)
            assert (done.returncode, json.loads(done.stdout)["error"]["rule"] in why) == (6, True), done.stdout
        for line in (["run", "asks"], ["plan", "asks"], ["run", "--all"]):
            assert cli(*line, CLAUDECODE="1").returncode == 6, line
        shown = cli("breaker", "status", CLAUDECODE="1")
        assert "open" in shown.stdout
        assert "breaker reset" not in shown.stdout + shown.stderr
        loop.nothing_ran()
        await loop.tries(agent, "run_test", test="asks")
    async with connect() as client:
        await loop.tries(await meet(client), "run_test", test="asks")
    found = await incident(project, environ)
    assert [call["by"].split()[0] for call in found["refused"]] == ["mcp-e2e"] * 3 + ["tester"] * 2
    assert "reset_at" not in found


@pytest.fixture
def yielding(era: str, environ: dict[str, str], project: Path) -> tuple[Connect, list[str]]:
    """Servers for a client that answers every question with what it asks for; and the questions."""
    asked: list[str] = []

    async def answers(context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        code = params.requested_schema["properties"]["code"]["description"].split()[-1]
        return ElicitResult(action="accept", content={"code": code})

    @asynccontextmanager
    async def opened() -> AsyncIterator[Client]:
        line = ["-m", "mcp_e2e", "serve"]
        server = StdioServerParameters(command=sys.executable, args=line, env=environ, cwd=str(project))
        info = Implementation(name="tester", version="1")
        with anyio.fail_after(50):
            async with Client(server, mode=era, client_info=info, elicitation_callback=answers) as client:
                yield client

    return opened, asked


async def test_editing_the_limits_changes_nothing(
    yielding: tuple[Connect, list[str]], meet: Meet, project: Path, environ: dict[str, str]
) -> None:
    """Neither ten failures, nor a watching guard, nor a client that would clear the incident by itself."""
    connect, asked = yielding
    async with connect() as client:
        agent = await meet(client)
        loop = await opens(agent, project)
        with (project / "mcp-e2e.toml").open("a") as config:
            config.write(LOOSE)
        await loop.tries(agent, "run_test", test="asks")
        await loop.tries(agent, "safe_exec", argv=[sys.executable, "-c", WRITES])
    async with connect() as client:
        agent = await meet(client)
        await loop.tries(agent, "run_test", test="asks")
        assert (await agent.does("status"))["breaker"]["state"] == "open"
    assert asked == []
    assert len((await incident(project, environ))["refused"]) == 3


CLOSED = "json_set(body, '$.state', 'closed', '$.reds', json('[]'))"
COUNTER = "WHERE name = 'breaker'"
LAST = "seq = (SELECT max(seq) FROM breaker)"
EDITS = {
    "last row deleted": [f"DELETE FROM breaker WHERE {LAST}"],
    "all rows deleted": ["DELETE FROM breaker"],
    "row put in": [
        f"INSERT INTO breaker SELECT seq + 1, at, 'closed', {CLOSED}, '{{}}', seal FROM breaker WHERE {LAST}"
    ],
    "state changed": [f"UPDATE breaker SET state = 'closed', body = {CLOSED} WHERE {LAST}"],
    "past changed": [f"UPDATE breaker SET body = {CLOSED}"],
    "rolled back": [f"DELETE FROM breaker WHERE {LAST}", f"UPDATE sqlite_sequence SET seq = seq - 1 {COUNTER}"],
    "forgotten": ["DELETE FROM breaker", f"DELETE FROM sqlite_sequence {COUNTER}"],
}


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("era", ["auto"])
@pytest.mark.usefixtures("cli")  # which ends the service that a call let through would start
async def test_editing_the_database_is_found_and_said(
    connect: Connect, meet: Meet, project: Path, environ: dict[str, str], name: str
) -> None:
    """The breaker stays open for running and for new servers, and its evidence says that somebody was at it."""
    async with connect() as client:
        agent = await meet(client)
        loop = await opens(agent, project)
        for statement in EDITS[name]:
            loop.query(statement)
        refused = await loop.tries(agent, "run_test", test="asks")
        assert TAMPERED in str(refused["evidence"])
    async with connect() as client:
        agent = await meet(client)
        await loop.tries(agent, "run_test", test="asks")
        status = await agent.does("status")
        assert (status["breaker"]["state"], status["breaker"]["refusals"]) == ("open", 2)
        assert TAMPERED in status["breaker"]["evidence"]
    assert [call["tool"] for call in (await incident(project, environ))["refused"]] == loop.tried


async def test_deleting_the_database_opens_it_again(
    connect: Connect, meet: Meet, project: Path, environ: dict[str, str]
) -> None:
    """The incident's file outlives it, with its evidence and its name."""
    async with connect() as client:
        loop = await opens(await meet(client), project)
        name = (await loop.tries(await meet(client), "run_test", test="asks"))["incident"]
    for _ in range(2):
        loop.loses_the_database()
        async with connect() as client:
            agent = await meet(client)
            assert (await loop.tries(agent, "run_test", test="asks"))["incident"] == name
    assert [call["tool"] for call in (await incident(project, environ))["refused"]] == ["run_test"]
