"""What a refusal by the open breaker costs beside a trivial call that is allowed, over stdio on one server.

    python benchmarks/refusal.py --calls 200

The breaker is opened by three red tests; then refusals and allowed calls take turns, so that all meet the same
machine. Ends with status 1 when a refusal takes more than twice as long as the slowest of the allowed kinds.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

from mcp_e2e.demo.agent import Agent, Reply, connected
from mcp_e2e.demo.project import Project
from mcp_e2e.settings.discover import FILE_NAME

MOST = 2.0
REDS = 3
CONFIG = """\
[project]
state_dir = ".mcp-e2e"

[[tests]]
id = "red"
command = ["sh", "-c", "echo AssertionError: no; exit 1"]
"""
REFUSED = ("safe_exec", "run_test")
ALLOWED = ("job output", "next_test", "job list")

Measured = dict[str, list[float]]


def write(root: Path, *, git: bool) -> Project:
    """A project of one red test, in a checkout or in a plain folder."""
    root.mkdir()
    (root / FILE_NAME).write_text(CONFIG, encoding="utf-8")
    (root / "app.py").write_text("answer = 41\n", encoding="utf-8")
    if git:
        (root / ".gitignore").write_text("server.log\n", encoding="utf-8")
        who = ("-c", "user.name=b", "-c", "user.email=b@example.org")
        for words in (("init", "-q"), ("add", "--all"), (*who, "commit", "-qm", "b")):
            subprocess.run(["git", *words], cwd=root, check=True, stdout=subprocess.DEVNULL)
    return Project(root)


async def opened(agent: Agent) -> str:
    """Open the breaker as an agent does; the id of a job that can be looked at."""
    job = (await agent.do("safe_exec", argv=["seq", "5000"])).data["job"]
    (await agent.do("plan_run", tests=["red"], count=REDS + 1)).must(total=REDS + 1)
    for _ in range(REDS):
        (await agent.do("run_test", checkpoint=True)).must(verdict="failed")
    return str(job)


class Calls:
    """Every call differs from the one before, as the calls of an agent that tries its luck do."""

    def __init__(self, agent: Agent, job: str) -> None:
        self._agent, self._job = agent, job
        self._turn = itertools.count()

    async def refused(self, tool: str) -> Reply:
        at = next(self._turn)
        arguments = {"command": f"make it{at}"} if tool == "safe_exec" else {"test": "red", "params": {"seed": at}}
        reply = await self._agent.ask(tool, **arguments)
        reply.must(refused=True)
        return reply

    async def allowed(self, name: str) -> Reply:
        """A look whose answer has changed or was never asked for, so that it is really looked at."""
        if name == "job output":
            return self._fresh(await self._agent.ask("job", action="output", id=self._job, offset=next(self._turn)))
        if name == "job list":  # the list does not change: an argument that selects another look, and is not used
            return self._fresh(await self._agent.ask("job", action="list", offset=next(self._turn)))
        return await self._agent.ask("next_test")

    async def throttled(self) -> Reply:
        reply = await self._agent.ask("status")
        reply.holds("answered from the last result", expected=True, seen="look_again_after_s" in reply.data)
        return reply

    def _fresh(self, reply: Reply) -> Reply:
        reply.holds("allowed", expected=(False, None), seen=(reply.is_error, reply.data.get("look_again_after_s")))
        return reply
