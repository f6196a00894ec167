"""Ten lines a tool at most: the parsed arguments go to one use-case, its answer comes back."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from mcp.server import ServerRequestContext

from mcp_e2e.bootstrap import App
from mcp_e2e.entrypoints.mcp import arguments as given
from mcp_e2e.model import answers
from mcp_e2e.model.runs import Caller

Context = ServerRequestContext[App, Any]
Progress = Callable[[float, float | None, str], Awaitable[None]]


@dataclass(frozen=True)
class Visit:
    """A call's surroundings: what it may use, who asks, how long it waits unless it says and at most, where progress
    goes, whether the client knows of links."""

    app: App
    caller: Caller
    patience_s: float
    progress: Progress
    at_most_s: float = math.inf
    links: bool = True

    def asked(self, seconds: float | None) -> float:
        """How long the client is ready to wait."""
        return self.patience_s if seconds is None else seconds

    def wait(self, seconds: float | None) -> float:
        return min(self.asked(seconds), self.at_most_s)


async def start_session(at: Visit, args: given.StartSession) -> answers.SessionAnswer:
    return await at.app.sessions.start(
        at.caller, service=args.service, wait_seconds=at.wait(args.wait_seconds), progress=at.progress
    )


async def stop_session(at: Visit, args: given.StopSession) -> answers.SessionAnswer:
    return await at.app.sessions.stop(at.caller, service=args.service)


async def status(at: Visit, _args: given.Nothing) -> answers.StatusAnswer:
    return await at.app.status.show(at.caller)


async def plan_run(at: Visit, args: given.PlanRun) -> answers.PlanAnswer:
    return await at.app.runs.plan(
        at.caller, tests=args.tests, count=args.count, mode=args.mode, new=args.new, reason=args.reason
    )


async def next_test(at: Visit, _args: given.Nothing) -> answers.NextAnswer:
    return await at.app.runs.next(at.caller)


async def run_test(at: Visit, args: given.RunTest) -> answers.AttemptAnswer:
    return await at.app.attempts.run(
        at.caller,
        test=args.test,
        params=args.params,
        checkpoint=args.checkpoint,
        timeout_s=args.timeout_s,
        wait_seconds=at.wait(args.wait_seconds),
        progress=at.progress,
    )


async def checkpoint(at: Visit, args: given.Checkpoint) -> answers.CheckpointAnswer:
    return await at.app.runs.checkpoint(at.caller, result=args.result, note=args.note, test=args.test)


async def report(at: Visit, args: given.Report) -> answers.ReportAnswer:
    return await at.app.reports.show(at.caller, run=args.run, format=args.format)


async def safe_exec(at: Visit, args: given.SafeExec) -> answers.ExecAnswer:
    return await at.app.execs.run(
        at.caller,
        command=args.command,
        argv=args.argv,
        cwd=args.cwd,
        env=args.env,
        confirm=args.confirm,
        timeout_s=args.timeout_s,
        wait_seconds=at.wait(args.wait_seconds),
        progress=at.progress,
    )


async def job(at: Visit, args: given.Job) -> answers.JobAnswer:
    patience = at.wait(args.wait_seconds) if args.action == "wait" else args.wait_seconds or 0.0
    return await at.app.execs.job(
        at.caller, action=args.action, id=args.id, offset=args.offset, grep=args.grep, wait_seconds=patience
    )
