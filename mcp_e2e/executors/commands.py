"""Run a test command on this machine as a job of its own."""

import shlex
from typing import Any

import anyio
import anyio.to_thread

from mcp_e2e.decisions import verdict
from mcp_e2e.errors import LaunchError, NotFound, ServiceUnavailable, SetupError, Unsupported
from mcp_e2e.executors import artifacts
from mcp_e2e.executors.orders import CommandWork, Outcome, Watch
from mcp_e2e.model.jobs import Job, JobSpec, JobState
from mcp_e2e.model.runs import Verdict
from mcp_e2e.process import jobs, output, sandbox

LOOK_S = 0.5
TAIL_BYTES = 6144


async def start_command(work: CommandWork, spec: JobSpec, watch: Watch) -> None:
    """Start the command as ``spec``.

    Raises:
        SetupError: the system does not start it.
        Withdrawn: it must not begin any more.
    """
    work.folder.mkdir(parents=True, exist_ok=True)
    await watch.submitted()
    try:
        await jobs.launch(work.jobs_dir, spec)
    except (LaunchError, Unsupported) as error:
        raise SetupError(f"{work.test}: {error.message}") from error


async def follow_command(work: CommandWork, watch: Watch) -> Outcome:
    """Wait for the job's end, whoever started it, and judge it.

    Raises:
        SetupError: the system did not start it.
    """
    try:
        job = jobs.look(work.jobs_dir, work.job)
    except NotFound:
        return Outcome(verdict.of_lost(work.test, "the server was killed before the command began"))
    started_at = job.lives[0].started_at if job.lives else job.created_at
    await watch.started(started_at)
    try:
        job = await jobs.end_strays(work.jobs_dir, await _ended(work, job, watch))
    except ServiceUnavailable as error:  # something of its tree cannot be killed
        return Outcome(verdict.failed(work.test, Verdict.CANCELLED, "cancelled", error.message))
    return await anyio.to_thread.run_sync(_judge, work, job, started_at)


async def _ended(work: CommandWork, job: Job, watch: Watch) -> Job:
    while job.live:
        if await watch.cancelled():
            return await jobs.stop(work.jobs_dir, job.id)
        await watch.progress(output.last_line(job.log) or "no output yet")
        job = await jobs.wait(work.jobs_dir, job.id, LOOK_S)
    return job


def _judge(work: CommandWork, job: Job, started_at: float) -> Outcome:
    tail = output.tail(job.log, TAIL_BYTES)
    evidence: dict[str, Any] = {
        "command": shlex.join(job.argv),
        "job": job.id,
        "log": str(job.log),
        "log_tail": tail,
        "artifacts": artifacts.found(work.attempt, work.folder),
    }
    record = job.exit
    if job.state is JobState.NEVER_STARTED or record is None:
        evidence |= {"strays_killed": job.strays} if job.strays else {}
        return Outcome(
            verdict.of_lost(work.test, f"{verdict.how_lost(job)}; how it ended is not known"), evidence, started_at
        )
    if record.reason == "exec_failed":
        raise SetupError(f"{work.test}: {record.error}")
    evidence |= {"sandbox": sandbox.level(job.layers).level, "suspended_s": record.suspended_s or None}
    evidence |= {"exit_code": record.exit_code, "signal": record.signal, "strays_killed": record.strays or None}
    judgement = verdict.of_command(work.test, record, tail)
    return Outcome(judgement, {k: v for k, v in evidence.items() if v is not None}, started_at, record.ended_at)
