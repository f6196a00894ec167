"""The states of a session and its legal steps, in one table. The README's diagram is written from it.

``degraded`` lives but is not to be used: it fell silent, or it is being stopped. ``stopped`` and ``failed`` both mean
that nothing of it lives; they differ in whether somebody wanted that.
"""

from collections.abc import Mapping

from mcp_e2e.model.jobs import ExitReason
from mcp_e2e.model.services import SessionState

STARTING, READY, DEGRADED = SessionState.STARTING, SessionState.READY, SessionState.DEGRADED
STOPPED, FAILED = SessionState.STOPPED, SessionState.FAILED

FIRST = STOPPED
STEPS: Mapping[SessionState, Mapping[SessionState, str]] = {
    STOPPED: {STARTING: "start_session", READY: "adopted"},
    STARTING: {
        READY: "answers and has settled",
        DEGRADED: "stop_session, still alive",
        STOPPED: "stop_session",
        FAILED: "died unasked",
    },
    READY: {
        DEGRADED: "does not answer",
        STARTING: "next generation",
        STOPPED: "stop_session",
        FAILED: "died unasked",
    },
    DEGRADED: {
        READY: "answers again",
        STARTING: "next generation",
        STOPPED: "stop_session",
        FAILED: "died unasked",
    },
    FAILED: {STARTING: "start_session", READY: "adopted", STOPPED: "stop_session"},
}


def state_of(
    *,
    job_live: bool,
    job_exit_reason: ExitReason | None,
    wanted: bool,
    was_ready: bool,
    answering: bool,
    settled: bool = True,
) -> SessionState:
    """The state that these facts of one look mean.

    ``job_live``: its keeper or its process lives, a wait between two lives included; for a service we only attached
    to: it answers, or did when we last looked. ``wanted``: started and not asked to stop since. ``was_ready``: this
    generation was seen ready before. ``answering``: the probe was answered, by our own process. ``settled``: it has
    answered for long enough to be believed; asked only before the first ``ready`` of a generation.
    """
    if not job_live:
        return FAILED if wanted and job_exit_reason not in {"stopped", "idle"} else STOPPED
    if not wanted:
        return DEGRADED
    if answering and (settled or was_ready):
        return READY
    return DEGRADED if was_ready else STARTING


def legal(before: SessionState, after: SessionState) -> bool:
    """Whether ``after`` may follow ``before``; staying is no step and always legal."""
    return after is before or after in STEPS[before]


def diagram() -> str:
    """The table as Mermaid text (``stateDiagram-v2``), ending with a newline."""
    steps = [f"    {before} --> {after}: {why}" for before, row in STEPS.items() for after, why in row.items()]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {FIRST}", *steps, ""])
