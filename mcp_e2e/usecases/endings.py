"""How a command ended: what its caller reads, and what the guard compares."""

import re
from typing import Any

from mcp_e2e.decisions.verdict import how_lost
from mcp_e2e.model.answers import ExecAnswer
from mcp_e2e.model.jobs import Job, Stream
from mcp_e2e.process import output, sandbox
from mcp_e2e.process.redaction import SHAPES, Redactor
from mcp_e2e.usecases.replies import TAIL_BYTES

# a byte that was no text stands for itself: how many there were is not known any more
_LAST_WORD = re.compile(r"(?:\s|(?<=\ufffd)|\A)[^\s\ufffd]*\Z")
_FIRST_WORD = re.compile(r"\A[^\s\ufffd]*\s?")


def ended(job: Job, shell: str | None, now: float, redactor: Redactor = SHAPES) -> ExecAnswer:
    """The answer of safe_exec, of a job that has ended or goes on."""
    level = sandbox.level(job.layers)
    facts: dict[str, Any] = {
        "job": job.id,
        "state": "running" if job.live else job.state.value,
        "shell": shell,
        "log": str(job.log),
        "sandbox": {"level": level.level, "blocked": list(level.blocked)},
    }
    if job.exit is None:
        elapsed = round(now - job.created_at, 1)
        facts |= {"elapsed_s": elapsed, "stdout": output.tail(job.log, TAIL_BYTES, redactor=redactor) or None}
        facts |= {"reason": job.lost_to, "strays_killed": job.strays or None}
        step = f"Still running: job(action='wait', id='{job.id}') waits for it; it goes on by itself."
        return ExecAnswer(**facts, next_step=step if job.live else f"{lost(job)} Read log.")
    record = job.exit
    cut = [stream for stream in (record.stdout, record.stderr) if stream is not None and stream.omitted]
    return ExecAnswer(
        **facts,
        exit_code=record.exit_code,
        signal=record.signal,
        duration_s=record.duration_s,
        reason=record.reason,
        stdout=_text(record.stdout, redactor),
        stderr=_text(record.stderr, redactor),
        truncated=bool(cut),
        strays_killed=record.strays or None,
        next_step=_after_exec(job) + _hint(job),
    )


def lost(job: Job) -> str:
    """Of a job that is over without an exit record: why, and what had to be done."""
    rest = f"; {job.strays} of its processes that lived on were ended" if job.strays else ""
    why = how_lost(job)
    return f"{why[0].upper()}{why[1:]}{rest}; an exit code is not known."


def _hint(job: Job) -> str:
    record = job.exit
    if record is None or not record.exit_code:
        return ""
    said = " ".join(stream.tail or stream.head for stream in (record.stderr, record.stdout) if stream is not None)
    found = sandbox.hint(job.layers, said)
    return f" {found}" if found else ""


def told(job: Job, redactor: Redactor = SHAPES) -> tuple[str, dict[str, Any]]:
    """How a command ended, and what it said, for the guard to compare."""
    record = job.exit
    if record is None:
        return "ok", {"state": "running" if job.live else job.state.value}
    streams = (record.stdout, record.stderr)
    ends = [_ends(stream, redactor) for stream in streams if stream is not None and stream.bytes]
    said = "\n".join(f"{head}\n{tail}" if omitted else head for head, tail, omitted in ends)
    outcome = {"timeout": "timeout", "stopped": "cancelled"}.get(record.reason, "ok" if not record.signal else "error")
    return outcome, {"exit_code": record.exit_code, "output": said}


def _text(stream: Stream | None, redactor: Redactor) -> str | None:
    """Head and tail of a stream, with a line that says how much is missing."""
    if stream is None or not stream.bytes:
        return None
    head, tail, omitted = _ends(stream, redactor)
    return output.clean(f"{head}\n… {omitted} bytes omitted …\n{tail}" if omitted else head)


def _ends(stream: Stream, redactor: Redactor) -> tuple[str, str, int]:
    """What may be shown of a stream: the whole, or head and tail, each without the word the gap cuts; bytes between."""
    if not stream.omitted:
        return redactor.text(stream.head + stream.tail), "", 0
    head, tail = _before_gap(stream.head), _after_gap(stream.tail)
    given_up = sum(len(text.encode()) for text in (stream.head, stream.tail)) - len(head.encode()) - len(tail.encode())
    return redactor.text(head, cut_end=True), redactor.text(tail, cut_start=True), stream.omitted + given_up


def _before_gap(text: str) -> str:
    """Up to the last white space, or short of the last ``TRIM_BYTES`` when they have none."""
    edge = text.encode()[-output.TRIM_BYTES :].decode("utf-8", "ignore")
    kept = _LAST_WORD.sub("", edge)
    return text[: len(text) - len(edge) + len(kept)]


def _after_gap(text: str) -> str:
    edge = text.encode()[: output.TRIM_BYTES].decode("utf-8", "ignore")
    return text[len(edge) - len(_FIRST_WORD.sub("", edge)) :]


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
        "memory": "It used more memory than [exec] memory_mb allows, and was ended with its whole tree.",
        "processes": "It started more processes than [exec] processes allows, and was ended with its whole tree.",
    }.get(record.reason, "Read log.")
