"""Run a test command on this machine. A job that exists already is joined, so a new server can take over."""

import shlex
from typing import Any

import anyio
import anyio.to_thread

from mcp_e2e.decisions import verdict
from mcp_e2e.errors import LaunchError, NotFound
from mcp_e2e.executors import artifacts
from mcp_e2e.executors.orders import CommandOrder, Outcome, Watch
from mcp_e2e.model.jobs import Job, JobState
from mcp_e2e.model.runs import Verdict
from mcp_e2e.process import jobs, output

LOOK_S = 0.5
TAIL_BYTES = 6144


async def run_command(order: CommandOrder, watch: Watch) -> Outcome:
    """Start or join the command's job and judge how it ended."""
    try:
        job = await _job(order, watch)
    except LaunchError as error:
        return Outcome(verdict.failed(order.test, Verdict.ERRORED, "execution_error", error.message))
    started_at = job.lives[0].started_at if job.lives else job.created_at
    await watch.started(started_at)
    job = await _follow(order, job, watch)
    return await anyio.to_thread.run_sync(_judge, order, job, started_at)


async def _job(order: CommandOrder, watch: Watch) -> Job:
    try:
        return jobs.look(order.jobs_dir, order.spec.id)
    except NotFound:
        order.folder.mkdir(parents=True, exist_ok=True)
        await watch.submitted()
        return await jobs.launch(order.jobs_dir, order.spec)


async def _follow(order: CommandOrder, job: Job, watch: Watch) -> Job:
    while job.live:
        if await watch.cancelled():
            return await jobs.stop(order.jobs_dir, job.id)
        last = output.tail(job.log, 200).strip().splitlines()
        await watch.progress(message=last[-1][-120:] if last else "no output yet")
        job = await jobs.wait(order.jobs_dir, job.id, LOOK_S)
    return job


def _judge(order: CommandOrder, job: Job, started_at: float) -> Outcome:
    tail = output.tail(job.log, TAIL_BYTES)
    evidence: dict[str, Any] = {
        "command": shlex.join(order.spec.argv),
        "job": job.id,
        "log": str(job.log),
        "log_tail": tail,
        "artifacts": artifacts.found(order.attempt, order.folder),
    }
    record = job.exit
    if job.state is JobState.NEVER_STARTED or record is None:
        why = "the process that watched the command was killed or the machine restarted; how it ended is not known"
        return Outcome(verdict.of_lost(order.test, why), evidence, started_at)
    evidence |= {"exit_code": record.exit_code, "signal": record.signal, "strays_killed": record.strays or None}
    judgement = verdict.of_command(order.test, record, tail)
    return Outcome(judgement, {k: v for k, v in evidence.items() if v is not None}, started_at, record.ended_at)
