"""What a finished attempt shows: facts in, verdict and failure out.

A verdict is the server's own; nothing an agent says takes part in it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcp_e2e.decisions import expectations
from mcp_e2e.decisions.expectations import Shown
from mcp_e2e.decisions.likeness import without_noise
from mcp_e2e.decisions.node_errors import OUT_OF_MEMORY, explain
from mcp_e2e.model.jobs import ExitRecord, Job
from mcp_e2e.model.runs import Failure, FailureKind, Verdict
from mcp_e2e.model.work import PromptFacts

_TELLING = re.compile(r"\b(error|failed|assert\w*|exception|fatal)\b", re.IGNORECASE)
# What pytest, unittest, jest and cargo say last: how many failed, in words that are the same for every cause.
_TALLY = re.compile(
    r"[=\s]*(?:tests?(?: suites| files)?:?\s+)?\d+ (?:failed|passed|errors?)\b"
    r"|FAILED \((?:failures|errors)=|test result: ",
    re.IGNORECASE,
)

SUSPENDED_S = 5.0  # a red test that slept this long shows nothing about what it tests


@dataclass(frozen=True)
class Judgement:
    verdict: Verdict
    failure: Failure | None = None


def signature(test: str, kind: str, message: str) -> str:
    """Equal for equal causes."""
    return f"{test}|{kind}|{without_noise(message)[:200]}"


def failed(test: str, verdict: Verdict, kind: FailureKind, message: str) -> Judgement:
    return Judgement(verdict, Failure(kind, message, signature(test, kind, message)))


def of_command(test: str, exit_record: ExitRecord, log_tail: str) -> Judgement:
    """Exit 0 is a pass; anything else is red, told apart by how the process ended. What never began is not judged."""
    match exit_record.reason:
        case "timeout":
            message = f"still running after its time limit ({exit_record.duration_s:.0f} s); its process tree was ended"
            return failed(test, Verdict.TIMED_OUT, "timeout", message)
        case "stopped":
            return failed(test, Verdict.CANCELLED, "cancelled", "stopped before it ended")
        case "memory":
            return failed(test, Verdict.FAILED, "out_of_memory", "used more memory than [exec] memory_mb allows")
        case "processes":
            message = "started more processes than [exec] processes allows"
            return failed(test, Verdict.FAILED, "execution_error", message)
    if exit_record.exit_code == 0:
        return Judgement(Verdict.PASSED)
    if exit_record.suspended_s >= SUSPENDED_S:
        message = f"the machine slept or stood still for {exit_record.suspended_s:.0f} s while it ran"
        return failed(test, Verdict.LOST, "suspended", message)
    cause = _last_words(log_tail)
    if exit_record.signal is not None:
        message = f"ended by signal {exit_record.signal}{cause}"
        return failed(test, Verdict.ERRORED, "execution_error", message)
    kind: FailureKind = "out_of_memory" if OUT_OF_MEMORY.search(log_tail) else "assertion"
    return failed(test, Verdict.FAILED, kind, f"exit code {exit_record.exit_code}{cause}")


def _last_words(log_tail: str) -> str:
    """The line that most likely names the cause: the last with an error word that is no mere count, else the last."""
    lines = [line.strip() for line in log_tail.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    causes = [line for line in telling if not _TALLY.match(line)]
    chosen = (causes or telling or lines)[-1:]
    return f": {chosen[0][:200]}" if chosen else ""


def of_prompt(test: str, facts: PromptFacts, shown: Shown, expect: Mapping[str, Any]) -> Judgement:
    """A workflow's verdict from ComfyUI's history and what it produced.

    ``expect`` holds the configured expectations. An answer from the cache is no pass: nothing was tested.
    """
    if facts.status == "interrupted":
        who = "by job(cancel), another client of this ComfyUI or its Cancel button"
        return failed(test, Verdict.CANCELLED, "cancelled", f"the prompt was interrupted, {who}; it is not judged")
    if facts.status == "error":
        return _node_error(test, facts)
    if facts.from_cache:
        return failed(test, Verdict.FAILED, "cached", "ComfyUI answered from its cache: nothing was executed")
    collected = shown.collected
    if not collected.artifacts and not collected.left_out:
        why = "; ".join(collected.problems) or "the workflow ended without any output file"
        return failed(test, Verdict.FAILED, "no_output", why)
    problems = expectations.unmet(shown, expect)
    if problems:
        return failed(test, Verdict.FAILED, "assertion", expectations.told(problems))
    return Judgement(Verdict.PASSED)


def _node_error(test: str, facts: PromptFacts) -> Judgement:
    if facts.error is None:
        return failed(test, Verdict.ERRORED, "execution_error", "ComfyUI reported an error without saying which")
    read = explain(facts.error)
    return Judgement(Verdict.FAILED, Failure(read.kind, read.sentence, signature(test, read.kind, read.cause)))


def how_lost(job: Job) -> str:
    """Why a job that is over has no exit record; goes on from a name or stands alone."""
    if job.lost_to == "keeper_killed":
        return "the process that watched it (its keeper) was killed from outside"
    return "the machine restarted while it ran" if job.lost_to else "its server was killed before it began"


def of_lost(test: str, why: str) -> Judgement:
    """The service or the machine died under the attempt: no red, and run once more by itself."""
    return failed(test, Verdict.LOST, "service_died", why)
