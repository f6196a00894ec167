"""What every door answers: one class per tool, the same fields in MCP's structured content and in ``--json``.

Absent fields are left out of what is sent. Only ``next_step`` is always there.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A frozen value inside an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def shown(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_none=True)


class Position(Part):
    """Where the run stands; in every reply inside a run."""

    run: str
    slot: int | None = None
    done: int
    total: int
    passed: int
    failed: int
    consecutive_failures: int
    failures_left: int
    attempts_left: int | None = None
    breaker: str
    current: str | None = None  # "3/10 portrait"


class Answer(Part):
    next_step: str
    position: Position | None = None
    advice: str | None = None  # of the guard, before the next such call is refused
    look_again_after_s: float | None = None  # with the last answer given again


class Device(Part):
    name: str
    vram_total: int
    vram_free: int


class StopAnswer(Answer):
    """What an ended session still tells."""

    service: str
    state: str
    stage: str
    generation: int
    adopted: bool = False
    log: str | None = None


class SessionAnswer(StopAnswer):
    slow: bool = False
    pid: int | None = None
    url: str | None = None
    version: str | None = None
    device: Device | None = None
    uptime_s: float | None = None
    ready_after_s: float | None = None
    elapsed_s: float | None = None
    eta_s: float | None = None
    differs: list[str] | None = None
    failed_nodes: list[str] | None = None
    config_changed: bool | None = None
    cause: str | None = None
    carried_over: str | None = None
    job: str | None = None
    log_lines: int | None = None
    log_tail: str | None = None


class KnownTest(Part):
    id: str
    kind: str
    service: str | None = None
    problem: str | None = None


class JobLine(Part):
    job: str
    state: str
    title: str
    purpose: str | None = None
    by: str | None = None
    age_s: float
    exit_code: int | None = None
    signal: int | None = None


class BreakerLine(Part):
    state: str
    consecutive_failures: int
    failures_left: int
    incident: str | None = None
    opened_at: str | None = None
    opened_by: str | None = None
    evidence: list[str] = []
    refusals: int = 0
    stopped: list[str] = []  # what rules have refused since the last reset, latest first
    failed_probes: int = 0
    reset: str | None = None  # shown on a person's terminal only


class StatusAnswer(Answer):
    project: str | None = None
    config_file: str | None = None
    config_error: dict[str, Any] | None = None
    warnings: list[str] = []
    services: list[dict[str, Any]] = []
    tests: list[KnownTest] = []
    run: dict[str, Any] | None = None
    jobs: list[JobLine] = []
    breaker: BreakerLine | None = None
    also_here: list[str] = []


class PlanAnswer(Answer):
    run: str
    mode: str
    joined: bool
    begun_by: str
    begun_at: str
    total: int
    slots: list[str]
    left_out: int | None = None
    dropped: str | None = None


class NextAnswer(Answer):
    run: str | None = None
    slot: int | None = None
    test: str | None = None
    why: str
    history: list[dict[str, Any]] = []


class AttemptAnswer(Answer):
    attempt: str
    test: str
    params: dict[str, Any] | None = None
    state: str
    joined: bool | None = None
    verdict: str | None = None
    duration_s: float | None = None
    elapsed_s: float | None = None
    eta_s: float | None = None
    progress: dict[str, Any] | None = None
    queued: dict[str, Any] | None = None
    failure: dict[str, Any] | None = None
    evidence: dict[str, Any] | None = None
    checkpointed: str | None = None
    rerun_of: str | None = None
    by: str | None = None


class CheckpointAnswer(Answer):
    run: str
    slot: int
    test: str
    result: str
    verdict: str | None = None
    note: str | None = None
    repeated: bool | None = None
    next: str | None = None


class ReportAnswer(Answer):
    run: str | None = None
    overall: str | None = None
    success_rate: float | None = None
    recommendation: str | None = None
    counts: dict[str, int] | None = None
    boot_saved_s: float | None = None
    boot_saved_how: str | None = None
    load_saved_s: float | None = None
    load_saved_how: str | None = None
    models: list[dict[str, Any]] | None = None
    restarts: int | None = None
    refusals: int | None = None
    tests: list[dict[str, Any]] | None = None
    left_out: int | None = None
    runs: list[dict[str, Any]] | None = None
    files: dict[str, str] | None = None


class ExecAnswer(Answer):
    job: str
    state: str
    exit_code: int | None = None
    signal: int | None = None
    duration_s: float | None = None
    elapsed_s: float | None = None
    reason: str | None = None
    shell: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    truncated: bool = False
    strays_killed: int | None = None
    log: str | None = None
    sandbox: dict[str, Any] | None = None


class JobAnswer(Answer):
    job: str | None = None
    state: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None
    log: str | None = None
    output: str | None = None
    offset: int | None = None
    next_offset: int | None = None
    lines: list[str] | None = None
    jobs: list[JobLine] | None = None
    attempt: dict[str, Any] | None = None
