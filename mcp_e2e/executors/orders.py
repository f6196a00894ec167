"""What an executor is asked and what it answers: attempts in, facts out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mcp_e2e.adapters.workflow import Graph
from mcp_e2e.decisions.verdict import Judgement
from mcp_e2e.model.jobs import JobSpec


@dataclass(frozen=True)
class CommandOrder:
    """Run a test command as the job ``spec``; its files are looked for in ``folder`` (``MCP_E2E_OUTPUT_DIR``)."""

    attempt: str
    test: str
    jobs_dir: Path
    spec: JobSpec
    folder: Path


@dataclass(frozen=True)
class WorkflowOrder:
    """Run ``graph`` under ``prompt_id`` on the ComfyUI at ``url``; outputs are collected into ``folder``.

    ``submitted``: an earlier server may have queued it already, so it is looked for before it is sent.
    """

    attempt: str
    test: str
    url: str
    graph: Graph
    prompt_id: str
    timeout_s: float
    expect: Mapping[str, Any]
    folder: Path
    submitted: bool
    running_since: float | None = None


@dataclass(frozen=True)
class Outcome:
    """A verdict with what it rests on; ``started_at`` and ``ended_at`` bound the test itself."""

    judgement: Judgement
    evidence: Mapping[str, Any] = field(default_factory=dict)
    started_at: float | None = None
    ended_at: float | None = None


class Watch(Protocol):
    """What an executor tells, and asks, while it works."""

    async def submitted(self) -> None:
        """The work is about to be handed over: from now on it may run even when we die."""
        ...

    async def started(self, at: float) -> None: ...

    async def progress(self, **facts: Any) -> None: ...

    async def cancelled(self) -> bool:
        """Whether somebody wants the attempt ended."""
        ...
