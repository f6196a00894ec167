"""From a ComfyUI that was found to the lines of its ``[services.*]`` table: interpreter, flags, port."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp_e2e.adapters.comfyui import installation, launching
from mcp_e2e.adapters.comfyui.finding import Findings, Found
from mcp_e2e.adapters.comfyui.flags import known_flags
from mcp_e2e.adapters.comfyui.installation import Interpreter, Machine
from mcp_e2e.adapters.comfyui.interpreter import Ability, ability
from mcp_e2e.adapters.comfyui.launching import Carried
from mcp_e2e.adapters.comfyui.running import Process
from mcp_e2e.errors import ServiceUnavailable, UsageError
from mcp_e2e.process import probes
from mcp_e2e.process.environment import JOB_MARKER, service_environment
from mcp_e2e.settings import writing
from mcp_e2e.settings.services import COMFYUI_PORT

_TRIES = 8  # interpreters that are asked for torch, at most


@dataclass(frozen=True)
class ServiceDraft:
    """``text`` is the table's; ``facts`` are JSON values that say what was chosen."""

    name: str
    text: str
    facts: Mapping[str, Any]
    notes: tuple[str, ...] = ()


class ServiceDrafts:
    """``tell`` is called with each interpreter that is asked, which may take a minute."""

    def __init__(self, machine: Machine, python: Path | None, tell: Callable[[str], None]) -> None:
        self._machine = machine
        self._python = python
        self._tell = tell
        self._environ = service_environment(machine.environ, {}, "")
        del self._environ[JOB_MARKER]

    async def draft(self, name: str, findings: Findings) -> ServiceDraft:
        """For the most trusted finding; the others become notes.

        Raises:
            ServiceUnavailable: no interpreter has torch.
            UsageError: the named interpreter has none.
        """
        found = findings.found[0]
        made = attached(name, found) if found.root is None else await self._started(name, found, found.root, findings)
        return ServiceDraft(
            made.name, made.text, {**_origin(found), **made.facts}, (*made.notes, *_others(findings.found[1:]))
        )

    async def _started(self, name: str, found: Found, root: Path, findings: Findings) -> ServiceDraft:
        running = found.running.process if found.running else None
        interpreter, able = await self._interpreter(root, running)
        argv = [str(interpreter.path), *interpreter.options, "main.py"]
        known = await known_flags(argv, root, self._environ)
        kept = launching.carried(running.flags, running.cwd, known, ours=running.marked) if running else Carried()
        port, why_port = _port(found)
        cwd = running.cwd if running and not running.marked else root  # where it was started, else it cannot be joined
        command = launching.command(
            interpreter,
            "main.py" if cwd == root else str(root / "main.py"),
            known=known,
            kept=kept,
            cpu=able.gpu is False,
            portable=installation.is_embedded(interpreter),
            own_database=_needs_database(root, findings),
        )
        runs = running is not None and interpreter.path == running.python
        notes = [*_doubts(interpreter, able, known, kept, runs=runs), *why_port]
        return ServiceDraft(name, _table(name, command, cwd, port), {"interpreter": command[0]}, tuple(notes))

    async def _interpreter(self, root: Path, running: Process | None) -> tuple[Interpreter, Ability]:
        wanted = installation.requirements(root)
        tried: list[str] = []
        for candidate in self._candidates(root, running):
            self._tell(f"asking {candidate.path} for torch")
            able = await ability(candidate, self._environ, root, wanted)
            if able.torch or (running and candidate.path == running.python):
                return candidate, able
            tried.append(f"{candidate.path} ({candidate.whose}) {able.problem}")
        problem = "; ".join(tried) or "none was found"
        if self._python:
            raise UsageError(f"--python: {problem}", remedy=f"Name the interpreter that runs the ComfyUI in {root}.")
        raise ServiceUnavailable(
            f"the ComfyUI in {root} has no interpreter that can import torch: {problem}",
            remedy="Name the one that runs it with --python, or install ComfyUI's requirements.",
        )

    def _candidates(self, root: Path, running: Process | None) -> list[Interpreter]:
        if self._python is not None:
            return [Interpreter(self._python, "named")]
        first: dict[Path, Interpreter] = {}
        if running and running.python:
            first[running.python] = Interpreter(running.python, "the running one's", running.options)
        for each in installation.interpreters(root, self._machine):
            first.setdefault(each.path, each)
        return list(first.values())[:_TRIES]


def attached(name: str, found: Found) -> ServiceDraft:
    """A table for a server that somebody else runs."""
    lines = [
        f"[services.{name}]",
        'kind = "comfyui"',
        f"url = {writing.text(found.url)}    # attached only: used, never started, stopped or cleaned",
    ]
    idle = () if found.running else (f"nothing answers at {found.url} now: start the Desktop app before a test",)
    return ServiceDraft(name, "\n".join(lines) + "\n", {"url": found.url}, idle)


def _table(name: str, command: list[str], cwd: Path, port: int) -> str:
    lines = [
        f"[services.{name}]",
        'kind = "comfyui"',
        f"command = {writing.array(command)}",
        f"cwd = {writing.text(str(cwd))}",
        f"port = {port}    # 0: a free one at each start",
        '# env = { HF_TOKEN = "${HF_TOKEN}" }     # values come from the environment or .env, never stand here',
        '# reload_on = ["custom_nodes/**/*.py"]    # globs below cwd: restart it when such code has changed',
    ]
    return "\n".join(lines) + "\n"


def _origin(found: Found) -> dict[str, Any]:
    return {"comfyui": str(found), "found": found.how}


def _port(found: Found) -> tuple[int, list[str]]:
    """The port of the running one, so that it can be joined; else the usual one, or a free one where that is taken."""
    running = found.running
    if running and running.process and not running.process.marked:
        joins = "`mcp-e2e start` joins it where it is provably this one; port = 0 starts one of its own beside it"
        return running.port, [f"it runs now (pid {running.process.pid}, port {running.port}): {joins}"]
    if probes.port_is_free(COMFYUI_PORT):
        return COMFYUI_PORT, []
    return 0, [f"port {COMFYUI_PORT} is in use by another program, so each start takes a free one"]


def _needs_database(root: Path, findings: Findings) -> bool:
    """ComfyUI keeps one in its folder, which two cannot share, and which a fresh checkout has no place for."""
    beside = [run.process.root for run in findings.runs if run.process and run.process.marked]
    return not (root / "user").is_dir() or any(other.resolve() == root.resolve() for other in beside)


def _others(found: Sequence[Found]) -> Iterator[str]:
    if found:
        yield f"not taken, but named with --comfyui they would be: {'; '.join(map(str, found))}"


def _doubts(
    interpreter: Interpreter, able: Ability, known: frozenset[str], kept: Carried, *, runs: bool
) -> Iterator[str]:
    if able.gpu is False:
        yield f"torch {able.torch} sees no GPU, so it runs with --cpu"
    if able.missing and not runs:
        listed = ", ".join(able.missing[:8]) + (f" and {len(able.missing) - 8} more" if len(able.missing) > 8 else "")
        yield f"{interpreter.path} lacks what requirements.txt names: {listed}; ComfyUI may not start"
    if not known:
        yield f"{interpreter.path} main.py --help did not answer, so flags of its version were left out"
    for flag in kept.secret:
        yield f"the running one's {flag} was left out: its value looks secret"
