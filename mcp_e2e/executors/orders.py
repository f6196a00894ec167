"""What an executor is asked and what it answers: attempts in, facts out.

Starting needs the configuration; going on with work that may run already needs only what stands in the attempt's row,
so any process can take it over, also one whose configuration is broken or lacks a secret.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mcp_e2e.decisions.verdict import Judgement
from mcp_e2e.decisions.warmth import Loads
from mcp_e2e.model.jobs import JobSpec
from mcp_e2e.model.work import MemorySample, Pulse


@dataclass(frozen=True)
class CommandWork:
    """A test command that runs as ``job``; files it leaves in ``folder`` (``MCP_E2E_OUTPUT_DIR``) are its artifacts."""

    attempt: str
    test: str
    jobs_dir: Path
    job: str
    folder: Path


@dataclass(frozen=True)
class JudgeWork:
    """A command that judges collected outputs, run as ``job``; only whoever starts it asks for the ``spec``."""

    jobs_dir: Path
    job: str
    spec: Callable[[], JobSpec]


@dataclass(frozen=True)
class WorkflowWork:
    """A workflow that runs as ``prompt_id`` on the ComfyUI at ``url``; its outputs are collected into ``folder``.

    ``timeout_s`` counts from ``running_since`` (UTC seconds), or from when it is first seen running. ``owned``: the
    service is ours to free and restart. ``clean_process``: no attempt has used its memory before. ``failed_nodes``:
    custom nodes that it could not import. ``loads`` and ``memory_before`` are what ``Watch.submitted`` was told.
    ``outputs``: the server's own folder, when we have started it here. ``reference``: the image to compare with, or a
    folder of golden ones. ``previous``: contents by file name of the test's previous passed attempt.
    """

    attempt: str
    test: str
    name: str
    url: str
    prompt_id: str
    timeout_s: float
    expect: Mapping[str, Any]
    folder: Path
    running_since: float | None = None
    owned: bool = False
    clean_process: bool = True
    failed_nodes: Sequence[str] = ()
    loads: Loads = ()
    memory_before: MemorySample = ()
    outputs: Path | None = None
    reference: Path | None = None
    previous: Mapping[str, str] | None = None
    judge: JudgeWork | None = None


@dataclass(frozen=True)
class Outcome:
    """A verdict with what it rests on; ``started_at`` and ``ended_at`` bound the test itself.

    ``restart``: why the life of the service that it ran on is of no use any more.
    """

    judgement: Judgement
    evidence: Mapping[str, Any] = field(default_factory=dict)
    started_at: float | None = None
    ended_at: float | None = None
    restart: str | None = None


class Watch(Protocol):
    """What an executor tells, and asks, while it works."""

    async def submitted(self, known: Mapping[str, Any] | None = None) -> None:
        """The work is about to be handed over: from now on it may run even when we die.

        ``known``: facts for whoever follows it, JSON values that are stored with it.
        Raises ``Withdrawn`` when it must not begin any more.
        """
        ...

    async def started(self, at: float) -> None: ...

    async def progress(self, message: str) -> None: ...

    async def cancelled(self) -> bool:
        """Whether somebody wants the attempt ended."""
        ...

    async def obituary(self) -> str | None:
        """How the life of the service that the work runs on has ended; None while it lives or that is not known."""
        ...

    async def pulse(self) -> Pulse | None:
        """Signs of life of the process that answers for the service; None where it is not ours to see."""
        ...


class Withdrawn(Exception):
    """The attempt must not begin any more: the breaker opened while it waited, or somebody cancelled it."""
