"""A server process of a race on one project: it does what its standard input says and tells what came of it.

``python -m tests.usecases.guard_child PROJECT NUMBER``. Each order is a line of JSON, each answer another. Calls go
through the real gate, attempts and verdicts through the real store and settlement; only the test itself is left out.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from mcp_e2e.bootstrap import App, Options, open_app
from mcp_e2e.decisions.verdict import Judgement, failed
from mcp_e2e.errors import Refused
from mcp_e2e.executors.orders import Outcome
from mcp_e2e.model.runs import Attempt, AttemptState, Verdict
from mcp_e2e.process import jobs
from mcp_e2e.usecases.catalogue import work
from mcp_e2e.usecases.gate import Passage
from mcp_e2e.usecases.placing import place
from mcp_e2e.usecases.settlement import settled

GREEN, CALLS = 600, 1000  # calls while tests pass, and calls in all


def is_test(at: int) -> bool:
    """Whether a child's call number ``at`` is a test; the others are commands. From GREEN on many are, and all fail."""
    return at % (50 if at < GREEN else 2) == 0


def say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


async def order() -> dict[str, Any]:
    line = await to_thread.run_sync(sys.stdin.readline)
    if not line:
        sys.exit(0)
    found: dict[str, Any] = json.loads(line)
    return found


class Child:
    def __init__(self, app: App, number: int) -> None:
        self.app, self.place, self.number = app, app._place, number
        self.gate = app.attempts._gate

    async def race(self, first: int, last: int) -> None:
        """Fail at commands, each in a new way, and at planned tests; go on when refused."""
        refused = 0
        for at in range(first, last):
            try:
                if is_test(at):
                    await self.test(f"t{self.number}-{at}", Verdict.PASSED if at < GREEN else Verdict.FAILED)
                else:
                    await self.command(at)
            except Refused:
                refused += 1
        say(refused=refused)

    async def command(self, at: int) -> None:
        line = {"command": f"make target-{self.number}-{at}"}
        async with self.gate.enter(self.app.caller, "safe_exec", line) as passage:
            passage.outcome = "error"
            passage.told = {"exit_code": 2, "output": f"no rule to make target-{self.number}-{at}"}

    async def test(self, test: str, verdict: Verdict) -> None:
        """A planned test whose verdict is already known."""
        selects = {"test": test, "params": {}}
        entry = self.gate.enter(self.app.caller, "run_test", {"test": test}, work=selects, planned=True)
        async with entry as passage:
            attempt = await self.begin(passage, test)
        await self.end(attempt, verdict)

    async def begin(self, passage: Passage, test: str, *, job: bool = False) -> Attempt:
        caller = self.place.identified(self.app.caller)
        draft = Attempt(
            id=f"a-{passage.call_id}",
            run="",
            slot=0,
            n=0,
            test=test,
            work=json.dumps(work(test, {})),
            params={},
            service=None,
            timeout_s=60.0,
            lease=caller.lease,
            by=caller.shown,
            state=AttemptState.QUEUED,
            created_at=self.place.now(),
            job=jobs.new_job_id() if job else None,
            call=passage.call_id,
            world=passage.call.world,
        )
        added = await self.place.run(lambda con: place(con, draft, test))
        assert added is not None
        assert added.id == draft.id
        passage.bound = True
        return added

    async def end(self, attempt: Attempt, verdict: Verdict) -> None:
        judgement = Judgement(verdict)
        if verdict is not Verdict.PASSED:
            judgement = failed(attempt.test, verdict, "assertion", f"AssertionError in {attempt.test}")
        limits, now = self.place.limits(), self.place.now()
        again = await self.place.run(lambda con: settled(con, attempt, Outcome(judgement), limits, now))
        assert again is None
        await self.place.keep_incident()

    async def hold(self, test: str, *, begin: bool, job: bool) -> None:
        """Be judged, begin the attempt if told to, and wait for the order how it ends. Who kills us comes between."""
        try:
            entry = self.gate.enter(
                self.app.caller, "run_test", {"test": test}, work={"test": test, "params": {}}, planned=False
            )
            async with entry as passage:
                attempt = await self.begin(passage, test, job=job) if begin else None
                say(let_in=True, call=passage.call_id, attempt=attempt.id if attempt else None)
                ends = Verdict((await order())["verdict"])
            if attempt is not None:
                await self.end(attempt, ends)
            say(ended=True)
        except Refused as refused:
            say(let_in=False, rule=refused.facts["rule"])


async def main(project: Path, number: int) -> None:
    async with open_app(Options(project=project), os.environ, client_name=f"child-{number}") as app:
        await app._place.open()
        child = Child(app, number)
        say(ready=app.caller.lease)
        while True:
            todo = await order()
            match todo.pop("do"):
                case "race":
                    await child.race(**todo)
                case "hold":
                    await child.hold(**todo)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), int(sys.argv[2]))
