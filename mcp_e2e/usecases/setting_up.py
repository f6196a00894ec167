"""Writes ``mcp-e2e.toml`` for a project with ComfyUI, or adds what is missing; changes nothing that stands there."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread

from mcp_e2e.adapters.comfyui import workflow_files
from mcp_e2e.adapters.comfyui.finding import find
from mcp_e2e.adapters.comfyui.installation import Machine
from mcp_e2e.adapters.comfyui.running import Running, running
from mcp_e2e.errors import ConfigError, ServiceUnavailable, UsageError
from mcp_e2e.process.environment import JOB_MARKER
from mcp_e2e.settings import Loaded, Where, check, load, writing
from mcp_e2e.settings.document import read_text
from mcp_e2e.usecases.service_drafts import ServiceDraft, ServiceDrafts
from mcp_e2e.usecases.test_drafts import EXAMPLE, EXPORT, tests_of, told_apart

_HEADER = """\
# End-to-end tests on ComfyUI, written by `mcp-e2e init` for this machine: paths to programs are absolute.
# Every key: mcp-e2e config schema. What is in force: mcp-e2e config show.
"""


@dataclass(frozen=True)
class Wish:
    """What a person said: where ComfyUI is (a path or an address), which interpreter runs it, whether to write."""

    comfyui: str | None = None
    python: Path | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class SetUp:
    """``done``: created, extended, unchanged; would be created or extended by a dry run. ``added`` is the text."""

    file: Path
    done: str
    added: str
    tests: tuple[str, ...]
    facts: Mapping[str, Any]
    notes: tuple[str, ...]
    next_step: str

    def shown(self) -> dict[str, Any]:
        told = {"tests_added": list(self.tests), "notes": list(self.notes), "next_step": self.next_step}
        return {"file": str(self.file), "done": self.done, **self.facts, **told}


class SettingUp:
    """``tell`` is called with each place that is looked at and each program that is asked; ``runs`` tells what runs."""

    def __init__(
        self,
        where: Where,
        environ: Mapping[str, str],
        machine: Machine,
        cwd: Path,
        tell: Callable[[str], None],
        runs: Callable[[str], Awaitable[list[Running]]] = running,
    ) -> None:
        self._where = where
        self._environ = environ
        self._machine = machine
        self._cwd = cwd
        self._tell = tell
        self._runs = runs

    async def run(self, wish: Wish) -> SetUp:
        """Find, write, and load what was written.

        Raises:
            ConfigError: the file that stands there is wrong, or cannot be added to.
            ServiceUnavailable: no ComfyUI was found, or no interpreter for it.
            UsageError: what a person named is no ComfyUI, or is not wanted any more.
        """
        there = self._where.file.exists()
        before = read_text(self._where.file) if there else ""
        loaded = check(self._where, before, self._environ)
        service = await self._service(loaded, wish)
        files = await anyio.to_thread.run_sync(workflow_files.sort, loaded.project)
        tests = tests_of(files, loaded, _said_by_tests(loaded, service))
        added = "\n".join([*([service.text] if service else []), *tests.values()])
        if not there:
            added = f"{_HEADER}\n{added}" + ("" if tests else f"\n{EXAMPLE}")
        elif added:
            added = writing.joint(before, added)
        self._loadable(before, added)
        if added and not wish.dry_run:
            (writing.extend if there else writing.create)(self._where.file, added)
            loaded = load(self._where, self._environ)
        return SetUp(
            self._where.file,
            _done(there, added, wish),
            added,
            tuple(tests),
            service.facts if service else {},
            (*(service.notes if service else ()), *told_apart(files, loaded.project)),
            _next(loaded, tuple(tests), wish),
        )

    async def _service(self, loaded: Loaded, wish: Wish) -> ServiceDraft | None:
        """The service to add; None where the file has one of this kind."""
        services = loaded.settings.services
        have = next((name for name, config in services.items() if config.kind == "comfyui"), None)
        if have is not None:
            if wish.comfyui or wish.python:
                raise UsageError(
                    f"{self._where.file} has the service {have!r} already, which init leaves as it is",
                    remedy=f"Edit [services.{have}], or delete that table and call again.",
                )
            return None
        machine = Machine(self._machine.system, self._machine.home, loaded.environment(self._environ))
        runs = await self._runs(JOB_MARKER)
        findings = await find(machine, loaded.project, self._cwd, wish.comfyui, runs, self._tell)
        if not findings.found:
            raise ServiceUnavailable(
                "no ComfyUI was found, and nothing was written",
                remedy="Name it: mcp-e2e init --comfyui PATH (the folder of its main.py) or --comfyui "
                "http://HOST:PORT (one that runs). For any other service: mcp-e2e config example > mcp-e2e.toml",
                looked=dict(findings.looks),
            )
        name = "comfyui" if "comfyui" not in services else "comfyui-2"
        return await ServiceDrafts(machine, wish.python, self._tell).draft(name, findings)

    def _loadable(self, before: str, added: str) -> None:
        """Whether the whole is a configuration; nothing is written that is none."""
        try:
            check(self._where, before + added, self._environ)
        except ConfigError as error:
            if not before:
                raise
            raise ConfigError(
                f"{self._where.file} cannot be added to as it is written: {error.message}",
                remedy=f"Write these lines into it yourself:\n{added}",
            ) from error


def _said_by_tests(loaded: Loaded, service: ServiceDraft | None) -> str | None:
    """The service that a test must name, because it is not the first one."""
    services = loaded.settings.services
    name = service.name if service else next(name for name, config in services.items() if config.kind == "comfyui")
    return name if services and next(iter(services)) != name else None


def _done(there: bool, added: str, wish: Wish) -> str:
    if not added:
        return "unchanged"
    if wish.dry_run:
        return "would be extended" if there else "would be created"
    return "extended" if there else "created"


def _next(loaded: Loaded, added: tuple[str, ...], wish: Wish) -> str:
    if wish.dry_run:
        return "Nothing was written. Without --dry-run it will be."
    tests = (*added, *(test.id for test in loaded.settings.tests))
    attached = any(service.attached for service in loaded.settings.services.values() if service.kind == "comfyui")
    if not tests:
        start = "`mcp-e2e start` looks at ComfyUI." if attached else "`mcp-e2e start` boots ComfyUI, or joins it."
        return f"{start} Put a workflow exported with {EXPORT} into workflows/, then `mcp-e2e init` makes it a test."
    boots = "" if attached else "boots ComfyUI, or joins it, and "
    return f"`mcp-e2e run {tests[0]}` {boots}runs that test; then `mcp-e2e run --all`."
