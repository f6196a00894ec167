"""Where a session stands and why it failed, in words. Pure."""

from mcp_e2e.decisions.verdict import how_lost
from mcp_e2e.model.jobs import Job, JobState
from mcp_e2e.model.services import Boot, Health

STRANGE = "another program answers on the port"
HUNG = "it did not answer three looks in a row (liveness)"


def stage(job: Job, health: Health, boot: Boot, now: float) -> str:
    if job.state is JobState.BACKOFF and job.retry_at is not None:
        why = "did not answer" if job.lives and job.lives[-1].cause else "died"
        return f"{why}, restarting in {max(0.0, job.retry_at - now):.0f} s"
    if not job.live:
        return "ended"
    silent = not health.answering and health.stage == "port closed"
    return (boot.stage or health.stage) if silent else health.stage


def why_not_ready(port: int, health: Health, boot: Boot) -> str | None:
    """What keeps a living process that has not been ready from being so, where that is known."""
    if health.answering:
        return None
    if boot.port is not None and port and boot.port != port:
        return f"it listens on port {boot.port}, not on {port}; write --port {{port}} in the service's command"
    return health.detail if health.stage == STRANGE else None


def restarted_for(job: Job) -> str | None:
    """Why its keeper ended the life before, where it did."""
    before = [life for life in job.lives if life.ended_at is not None][-1:]
    return f"generation {before[0].generation} was ended: {HUNG}" if before and before[0].cause else None


def why_failed(job: Job, log_tells: str | None) -> str:
    """``log_tells``: what the end of its log says of it, a sentence without its full stop."""
    return _ended(job) + (f": {log_tells}" if log_tells else "")


def _ended(job: Job) -> str:
    if job.exit is None:
        return f"{how_lost(job)}; how its process ended is not known"
    code, number = job.exit.exit_code, job.exit.signal
    ended = f"signal {number}" if number is not None else f"exit code {code}"
    if job.lives and job.lives[-1].cause:
        ended = f"{ended}, for {HUNG}"
    return {
        "crash_loop": f"it died {len(job.lives)} times, last with {ended}; restarts are used up",
        "fatal_exit": f"it ended with {ended}, which is not tried again",
        "liveness": f"its process was ended: {HUNG}",
        "idle": "it was stopped because no server was left on the project (idle_stop_s)",
        "exec_failed": job.exit.error or "it could not be started",
    }.get(job.exit.reason, f"it ended by itself with {ended}")
