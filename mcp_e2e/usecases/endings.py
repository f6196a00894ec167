"""How a command ended: what its caller reads, and what the guard compares."""

from typing import Any

from mcp_e2e.model.answers import ExecAnswer
from mcp_e2e.model.jobs import Job, Stream
from mcp_e2e.process import output, sandbox
from mcp_e2e.usecases.replies import TAIL_BYTES


def ended(job: Job, shell: str | None, now: float) -> ExecAnswer:
    """The answer of safe_exec, of a job that has ended or goes on."""
    level = sandbox.level()
    facts: dict[str, Any] = {
        "job": job.id,
        "state": "running" if job.live else job.state.value,
        "shell": shell,
        "log": str(job.log),
        "sandbox": {"level": level.level, "blocked": list(level.blocked)},
    }
    if job.exit is None:
        elapsed = round(now - job.created_at, 1)
        facts |= {"elapsed_s": elapsed, "stdout": output.tail(job.log, TAIL_BYTES) or None}
        gone = "It ended without a record: killed from outside, or the machine restarted. Read log."
        step = f"Still running: job(action='wait', id='{job.id}') waits for it; it goes on by itself."
        return ExecAnswer(**facts, next_step=step if job.live else gone)
    record = job.exit
    cut = [stream for stream in (record.stdout, record.stderr) if stream is not None and stream.omitted]
    return ExecAnswer(
        **facts,
        exit_code=record.exit_code,
        signal=record.signal,
        duration_s=record.duration_s,
        reason=record.reason,
        stdout=_text(record.stdout),
        stderr=_text(record.stderr),
        truncated=bool(cut),
        strays_killed=record.strays or None,
        next_step=_after_exec(job),
    )


def told(job: Job) -> tuple[str, dict[str, Any]]:
    """How a command ended, and what it said, for the guard to compare."""
    record = job.exit
    if record is None:
        return "ok", {"state": "running" if job.live else job.state.value}
    streams = (record.stdout, record.stderr)
    said = "\n".join(f"{stream.head}\n{stream.tail}" for stream in streams if stream is not None and stream.bytes)
    outcome = {"timeout": "timeout", "stopped": "cancelled"}.get(record.reason, "ok" if not record.signal else "error")
    return outcome, {"exit_code": record.exit_code, "output": said}


def _text(stream: Stream | None) -> str | None:
    """Head and tail of a stream, with a line that says how much is missing."""
    if stream is None or not stream.bytes:
        return None
    if not stream.omitted:
        return output.clean(stream.head + stream.tail)
    return output.clean(f"{stream.head}\n… {stream.omitted} bytes omitted …\n{stream.tail}")


def _after_exec(job: Job) -> str:
    record = job.exit
    if record is not None and record.strays and record.exit_code == 0:
        left = f"{record.strays} process{'es' if record.strays > 1 else ''}"
        return f"Done; {left} it left behind ended with it. For background work use wait_seconds=0."
    if record is None or record.reason == "exited":
        return "Done." if record and record.exit_code == 0 else "It failed: read stderr, or the whole output in log."
    return {
        "timeout": "Its time limit ended it with its whole tree: give timeout_s, or find what hangs.",
        "stopped": "It was ended before it was done.",
    }.get(record.reason, "Read log.")
