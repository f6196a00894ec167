"""An agent without a model on a real server of its own: random calls, and every answer kept for the reckoning."""

import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import Implementation

from tests.soak.project import MARKER, SERVICES, TESTS, Project

GONE = (MCPError, anyio.BrokenResourceError, anyio.ClosedResourceError)
SILENT_S = 120.0
NAME = "MCP_E2E_SOAK_ACTOR"
STEADY = 2  # so many of the first stay on one server, whose memory is watched


@dataclass
class Book:
    """What all actors were told, and what must not have happened."""

    calls: Counter[str] = field(default_factory=Counter)  # tool and how it was answered
    verdicts: dict[str, set[str]] = field(default_factory=dict)  # attempt: verdicts that were answered
    recorded: dict[tuple[str, int], set[str]] = field(default_factory=dict)  # run and slot: recorded results
    execs: dict[str, set[tuple[str, int | None]]] = field(default_factory=dict)  # ended job: state and exit code
    tokens: dict[str, str] = field(default_factory=dict)  # command's token: its job, as answered
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Phase:
    """``calm``: nothing new is begun; ``leave``: clients go."""

    calm: anyio.Event = field(default_factory=anyio.Event)
    leave: anyio.Event = field(default_factory=anyio.Event)


@asynccontextmanager
async def connected(project: Project, name: str, era: str) -> AsyncIterator[Client]:
    """A client of a new server; ``name`` is found in the server's environment."""
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "mcp_e2e", "serve", "--project", str(project.root)],
        env={MARKER: str(project.root), NAME: name},
        cwd=project.root,
    )
    with (project.root.parent / "servers.log").open("a", encoding="utf-8") as log:
        async with Client(
            stdio_client(server, errlog=log), mode=era, client_info=Implementation(name=name, version="1")
        ) as client:
            yield client


class Actor:
    """``live`` until the phase says otherwise, with a new server in place of each that was killed."""

    def __init__(self, number: int, project: Project, book: Book, phase: Phase, seed: int) -> None:
        self.number = number
        self.name = f"actor{number:02}"
        self._project, self._book, self._phase = project, book, phase
        self._random = random.Random(f"{seed} {number}")
        self._turn = 0
        self._running: list[str] = []  # jobs that may still run
        self._acts: tuple[tuple[int, Callable[[Client], Awaitable[None]]], ...] = (
            (40, self._test),
            (34, self._exec),
            (10, self._job),
            (6, self._look),
            (5, self._start),
            (2, self._stop),
            (3, self._plan),
        )

    async def live(self) -> None:
        while not self._phase.leave.is_set():
            era = self._random.choice(("auto", "legacy"))
            try:
                async with connected(self._project, self.name, era) as client:
                    self._book.calls[f"connected {era}"] += 1
                    await self._work(client)
            except* GONE:
                self._book.calls["server gone"] += 1

    async def _work(self, client: Client) -> None:
        while not self._phase.calm.is_set():
            weights, acts = zip(*self._acts, strict=True)
            await self._random.choices(acts, weights)[0](client)
            if self._random.random() < 0.01 and self.number >= STEADY:
                return  # leaves politely, and comes again
        await self._phase.leave.wait()

    async def ask(self, client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
        """One call; what it answered is counted, and a defect or silence noted."""
        try:
            with anyio.fail_after(SILENT_S):
                result = await client.call_tool(tool, arguments)
        except TimeoutError:
            self._book.wrong.append(f"{self.name}: {tool} {arguments} was not answered within {SILENT_S:g} s")
            raise anyio.ClosedResourceError from None
        data: dict[str, Any] = result.structured_content or {}
        how = str(data.get("code")) if result.is_error else "ok"
        self._book.calls[f"{tool} {how}"] += 1
        if how in {"internal", "store", "config", "None"} or not data:
            self._book.wrong.append(f"{self.name}: {tool} {arguments} answered {data or result}")
        if how != "ok":
            with (self._project.root.parent / "answers.log").open("a", encoding="utf-8") as log:
                log.write(f"{time.time():.2f} {self.name} {tool} {arguments} {data}\n")
        if how == "refused":
            self._book.calls[f"refused by {data.get('rule')}"] += 1
        return data

    async def _test(self, client: Client) -> None:
        test = self._random.choice(sorted(TESTS)) if self._random.random() < 0.1 else None
        given = {"test": test} if test else {}
        wait, checkpoint = self._random.choice((0, 0.3, 2, 6)), self._random.random() < 0.7
        data = await self.ask(client, "run_test", wait_seconds=wait, checkpoint=checkpoint, **given)
        self._note_verdict(data)
        if data.get("verdict") and not data.get("checkpointed"):
            await self._record(client, data)
        elif data.get("code") == "usage" or data.get("position", {}).get("current") is None:
            await self._plan(client)  # no run, or nothing is left to do in it

    def _note_verdict(self, data: dict[str, Any]) -> None:
        if data.get("verdict"):
            self._book.verdicts.setdefault(data["attempt"], set()).add(data["verdict"])
            place = data.get("position") or {}
            if place.get("breaker", "closed") != "closed":
                self._book.wrong.append(f"{self.name}: the breaker is {place['breaker']}")

    async def _record(self, client: Client, test: dict[str, Any]) -> None:
        result = "success" if test["verdict"] == "passed" else "skipped"
        data = await self.ask(client, "checkpoint", result=result, test=test["test"])
        if "slot" in data:
            self._book.recorded.setdefault((data["run"], data["slot"]), set()).add(data["result"])

    async def _plan(self, client: Client) -> None:
        self._turn += 1
        self._project.edit(self._random.randrange(1 << 30))
        tests = self._random.sample(sorted(TESTS), self._random.randint(1, len(TESTS)))
        more = {"new": True, "reason": f"turn {self._turn} of {self.name}"} if self._random.random() < 0.05 else {}
        await self.ask(client, "plan_run", tests=tests, count=self._random.randint(len(tests), 12), **more)

    async def _exec(self, client: Client) -> None:
        self._turn += 1
        token = f"{self.name}-{self._turn}"
        mark = f"echo {token} >> .marks/execs; echo ran {token}"
        nap = round(self._random.uniform(0.2, 3), 2)
        tail = self._random.choice(
            (
                "",
                "",
                "",
                f"; sleep {nap}; echo done",
                f"; sleep {nap} & sleep {nap}; wait",
                "; sleep 300 & sleep 0.3",
                "; (sleep 300 & sleep 300) & sleep 1",
                "; seq 30000",
            )
        )
        self._book.tokens.setdefault(token, "")
        wait = self._random.choice((0, 1, 5, 10))
        data = await self.ask(client, "safe_exec", command=mark + tail, wait_seconds=wait)
        if "job" in data:
            self._book.tokens[token] = data["job"]
            self._running.append(data["job"])
        self._note_end(data)

    def _note_end(self, data: dict[str, Any]) -> None:
        if data.get("job") and data.get("state") in {"exited", "lost"}:
            self._book.execs.setdefault(data["job"], set()).add((data["state"], data.get("exit_code")))

    async def _job(self, client: Client) -> None:
        if not self._running or self._random.random() < 0.2:
            await self.ask(client, "job", action="list")
            return
        job = self._random.choice(self._running)
        action = self._random.choice(("wait", "wait", "output", "cancel"))
        more = {"wait_seconds": 3} if action == "wait" else {}
        data = await self.ask(client, "job", action=action, id=job, **more)
        self._note_end(data)
        if data.get("state") in {"exited", "lost"}:
            self._running.remove(job)

    async def _look(self, client: Client) -> None:
        await self.ask(client, self._random.choice(("status", "next_test", "report")))

    async def _start(self, client: Client) -> None:
        await self.ask(client, "start_session", service=self._random.choice(SERVICES), wait_seconds=10)

    async def _stop(self, client: Client) -> None:
        """The calm service's keeper is one whose memory is watched from beginning to end."""
        await self.ask(client, "stop_session", service="api")
