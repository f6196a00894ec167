"""A client among many: calls of every kind, each answer checked against its schema and for what only it can hold."""

from typing import Any

import anyio
import httpx2
from jsonschema import Draft202012Validator
from mcp import Client
from mcp.client.subscriptions import SubscriptionLost

from tests.soak import ears
from tests.soak.actor import GONE, Book, Phase
from tests.soak.doors import Door
from tests.soak.reader import Reader
from tests.soak.shared import PLANNED, SHAKY, Shared
from tests.soak.tide import Tide

LOST = (*GONE, SubscriptionLost, httpx2.TransportError, OSError)
KEPT = 20  # of its own jobs and attempts, to ask for again


class Visitor(Reader):
    """``ear``: its subscription, where it has one. ``pace``: mean seconds between two of its calls."""

    def __init__(
        self,
        number: int,
        name: str,
        era: str,
        door: Door,
        book: Book,
        tide: Tide,
        seed: int,
        pace: float,
        listens: bool,
    ) -> None:
        super().__init__(number, door.project, book, Phase(), seed)
        self.name, self.era, self.door = name, era, door
        self.ear = ears.Ear(name, door) if listens else None
        self.client: Client | None = None
        self._tide, self._pace = tide, pace
        self._schemas: dict[str, Draft202012Validator] = {}
        self._acts = (
            (14, self._test),
            (12, self._exec),
            (8, self._job),
            (12, self._look),
            (3, self._skip),
            (3, self._start),
            (1, self._plan),
            (18, self._read),
            (6, self._prompt),
            (6, self._complete),
            (4, self._tools),
        )

    async def live(self) -> None:
        while not self._tide.leave.is_set():
            try:
                await self._visit()
            except* LOST as lost:
                self._note_loss(lost)

    async def _visit(self) -> None:
        heed = self.ear.heed if self.ear else _deaf
        async with self.door.connected(self.name, self.era, heed) as client:
            self._book.calls[f"connected {self.era}"] += 1
            await self._tools(client)
            async with anyio.create_task_group() as tasks:
                if self.ear:
                    tasks.start_soon(self.ear.follow, client)
                self.client = client
                try:
                    await self._work(client)
                finally:
                    self.client = None
                tasks.cancel_scope.cancel()

    def _note_loss(self, lost: BaseExceptionGroup[Any]) -> None:
        now = self._tide.now()
        self._book.calls["server lost"] += 1
        if not self.door.excused(now):
            self._book.wrong.append(
                f"{self.name} ({self.era}) lost its server, which nobody had killed: {leaves(lost)}"
            )

    async def _work(self, client: Client) -> None:
        await anyio.sleep(self._random.uniform(0, self._pace))
        while not self._tide.leave.is_set():
            async with self._tide.call():
                if self._tide.leave.is_set():
                    return
                weights, acts = zip(*self._acts, strict=True)
                act = self._random.choices(acts, weights)[0]
                self._book.calls["acts"] += 1
                await act(client)
            with anyio.move_on_after(self._pace * self._random.uniform(0.5, 1.5)):
                await self._tide.leave.wait()

    async def ask(self, client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
        data = await super().ask(client, tool, **arguments)
        for problem in self._schemas[tool].iter_errors(data):
            self._say(f"{tool} {arguments}: the answer does not fit the schema: {problem.message}")
        for service in data.get("services", ()) if tool == "status" else ():
            if service.get("generation", 0) > 1:
                self._say(f"status shows a service that was started again: {service}")
        return data

    async def _tools(self, client: Client) -> None:
        tools = (await client.list_tools(cache_mode="bypass")).tools
        self._must(len(tools) == 10, f"tools/list shows {[tool.name for tool in tools]}")
        self._schemas = self._schemas or {tool.name: Draft202012Validator(tool.output_schema or {}) for tool in tools}

    async def _test(self, client: Client) -> None:
        """Join or begin what is due; a red is recorded with the call, and its input mended."""
        data = await self.ask(client, "run_test", wait_seconds=self._random.choice((0, 1, 6)), checkpoint=True)
        self._note_verdict(data)
        if data.get("verdict") == "failed":
            self._turn += 1
            self._shared.feed(self.number * 10_000 + self._turn, good=True)
        if data.get("test") == SHAKY and data.get("verdict") == "passed":
            self._attempts = [*self._attempts[-KEPT:], data["attempt"]]
        if data.get("code") == "usage" or data.get("position", {}).get("current") is None:
            await self._plan(client)

    @property
    def _shared(self) -> Shared:
        assert isinstance(self._project, Shared)
        return self._project

    async def _plan(self, client: Client) -> None:
        """After an edit, as an agent would; now and then the input of the shaky test is a bad one."""
        self._turn += 1
        number = self.number * 10_000 + self._turn
        self._shared.edit(number)
        if self._random.random() < 0.5:
            self._shared.feed(number, good=False)
        await self.ask(client, "plan_run", tests=[*PLANNED], count=self._random.randint(3, 12))

    async def change(self, client: Client) -> None:
        """One change that everybody has to hear of."""
        await self.ask(client, "plan_run", tests=["quick"], new=True, reason="a change that all have to hear of")

    async def _start(self, client: Client) -> None:
        await self.ask(client, "start_session", service="api", wait_seconds=10)

    async def _skip(self, client: Client) -> None:
        data = await self.ask(client, "next_test")
        if data.get("test") == "slow":
            done = await self.ask(client, "checkpoint", result="skipped", test="slow", note=f"{self.name} {self._turn}")
            if "slot" in done:
                self._book.recorded.setdefault((done["run"], done["slot"]), set()).add(done["result"])

    async def _exec(self, client: Client) -> None:
        self._turn += 1
        word = f"{self.name}-{self._turn}-{self._random.randrange(1 << 30):08x}"
        tail = self._random.choice(("", "", "; sleep 1; echo done", "; seq 2000"))
        self._book.tokens.setdefault(word, "")
        command = f"echo {word} >> .marks/execs; echo ran {word}{tail}"
        data = await self.ask(client, "safe_exec", command=command, wait_seconds=self._random.choice((0, 5, 10)))
        if "job" not in data:
            return
        self._book.tokens[word] = data["job"]
        self._words = dict([*self._words.items(), (data["job"], word)][-KEPT:])
        self._note_end(data)
        if data["state"] == "exited":
            self._must(
                data["stdout"].startswith(f"ran {word}\n"), f"safe_exec of {word} answered {data['stdout']!r:.200}"
            )

    async def _job(self, client: Client) -> None:
        if not self._words or self._random.random() < 0.3:
            await self.ask(client, "job", action="list")
            return
        job, word = self._random.choice(list(self._words.items()))
        data = await self.ask(client, "job", action="output", id=job, offset=0)
        self._note_end(data)
        if data.get("state") == "exited":
            self._must(f"ran {word}\n" in data.get("output", ""), f"output of {job} ({word}): {data}")

    async def _look(self, client: Client) -> None:
        tool = self._random.choice(("status", "next_test", "report"))
        data = await self.ask(client, tool)
        if tool == "status":
            self._must(data.get("project") == str(self._project.root), f"status of {data.get('project')}")


async def _deaf(_: Any) -> None:
    return None


def leaves(group: BaseException) -> list[str]:
    """The exceptions of a group, without their nesting."""
    if isinstance(group, BaseExceptionGroup):
        return [leaf for each in group.exceptions for leaf in leaves(each)]
    return [f"{type(group).__name__}: {group}"]
