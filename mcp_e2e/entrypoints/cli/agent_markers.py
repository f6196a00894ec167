"""Which agent is at work here: told by marks in the environment of this process and of those it comes from.

The one table of them. A mark is set by an agent for the commands it runs. What an editor sets in a person's own
terminal (``TERM_PROGRAM``, ``CURSOR_TRACE_ID``, ``CLAUDE_CODE_SSE_PORT``) is none, nor are settings and keys of agents
that people keep in their shell's profile (``AIDER_MODEL``, ``CODEX_HOME``, ``GEMINI_API_KEY``).
"""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

# name (or pattern), value it must have ("" = any but empty), whose it is
MARKERS: tuple[tuple[str, str, str], ...] = (
    ("MCP_E2E_JOB", "", "a job of mcp-e2e"),
    ("AI_AGENT", "", "an agent"),
    ("AGENT", "goose", "goose"),
    ("AGENT", "amp", "Amp"),
    ("CLAUDECODE", "", "Claude Code"),
    ("CLAUDE_CODE_ENTRYPOINT", "", "Claude Code"),
    ("CLAUDE_CODE_SESSION_ID", "", "Claude Code"),
    ("CURSOR_AGENT", "", "Cursor's agent"),
    ("GEMINI_CLI", "", "Gemini CLI"),
    ("QWEN_CODE", "", "Qwen Code"),
    ("CODEX_SANDBOX*", "", "Codex"),
    ("CODEX_CLI*", "", "Codex"),
    ("CODEX_CI", "", "Codex"),
    ("CODEX_THREAD_ID", "", "Codex"),
    ("OPENCODE", "", "OpenCode"),
    ("OPENCODE_CLIENT", "", "OpenCode"),
    ("COPILOT_AGENT*", "", "GitHub Copilot's agent"),
    ("AUGMENT_AGENT", "", "Augment"),
    ("ANTIGRAVITY_AGENT", "", "Antigravity"),
    ("CLINE_ACTIVE", "", "Cline"),
    ("GOOSE_TERMINAL", "", "goose"),
    ("AMP_CURRENT_THREAD_ID", "", "Amp"),
    ("OR_APP_NAME", "Aider", "Aider"),
)


@dataclass(frozen=True)
class Mark:
    """A mark that was found; ``pid`` is None for this process itself."""

    name: str
    agent: str
    pid: int | None = None
    process: str = ""

    @property
    def shown(self) -> str:
        where = f"process {self.pid} ({self.process}), which this one comes from" if self.pid else "the environment"
        return f"{self.name} stands in {where}: {self.agent} is at work here"


def found(environ: Mapping[str, str]) -> Mark | None:
    """The nearest mark, of this process first, then of its ancestors; those that cannot be read show none."""
    if mark := mark_in(environ):
        return Mark(*mark)
    for parent in _parents():
        try:
            mark, name = mark_in(parent.environ()), parent.name()
        except (psutil.Error, OSError):
            continue
        if mark:
            return Mark(*mark, parent.pid, name)
    return None


def mark_in(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """The name of the first mark and whose it is."""
    for pattern, wanted, agent in MARKERS:
        for name in fnmatch.filter(environ, pattern) if "*" in pattern else [pattern]:
            value = environ.get(name, "")
            if value and wanted in {"", value}:
                return name, agent
    return None


def ancestors() -> list[dict[str, object]]:
    """``{pid, name}`` of the processes this one comes from, the nearest first."""
    listed: list[dict[str, object]] = []
    for parent in _parents():
        try:
            listed.append({"pid": parent.pid, "name": parent.name()})
        except psutil.Error:
            continue
    return listed


def _parents() -> list[psutil.Process]:
    try:
        return psutil.Process().parents()
    except psutil.Error:
        return []
