"""One look at everything that must be right before tests can run: each finding with its fix. Changes nothing."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from mcp_e2e.errors import ConfigError
from mcp_e2e.settings import Loaded
from mcp_e2e.store.layout import Layout
from mcp_e2e.usecases.catalogue import Catalogue
from mcp_e2e.usecases.checkup.finding import Finding, State, aside, note, warning
from mcp_e2e.usecases.checkup.machine import check_gpu, check_sandbox, gpu_of
from mcp_e2e.usecases.checkup.program import check_program, check_system, check_tools
from mcp_e2e.usecases.checkup.project import Services, check_configuration, check_editors, check_tests
from mcp_e2e.usecases.checkup.storage import check_storage
from mcp_e2e.usecases.editors import Editors
from mcp_e2e.usecases.sights import Sights
from mcp_e2e.usecases.workplace import Workplace

WITHIN_S = 4.0
log = logging.getLogger(__name__)
Check = Callable[[], Awaitable[list[Finding]]]


@dataclass(frozen=True)
class Group:
    title: str
    findings: tuple[Finding, ...]

    def shown(self) -> dict[str, Any]:
        return {"title": self.title, "findings": [finding.shown() for finding in self.findings]}


class Checkup:
    """``place`` is one that only reads; ``within_s``: what each check may take, all at once."""

    def __init__(self, place: Workplace, sights: Sights, catalogue: Catalogue, *, within_s: float = WITHIN_S) -> None:
        self._place = place
        self._catalogue = catalogue
        self._within_s = within_s
        self._asking_s = within_s - 0.5  # what is asked ends before the check is given up
        self._services = Services(place, sights, catalogue, self._asking_s)

    async def examine(self) -> list[Group]:
        """Every group, in the order in which it is to be read. Works without a configuration, and without a project."""
        configuration, loaded = check_configuration(self._place)
        project = self._project()
        environ, within_s = self._place.environ, self._asking_s
        mode = loaded.settings.exec.sandbox if loaded else "auto"

        async def system() -> list[Finding]:
            return check_system()

        checks: dict[str, list[Check]] = {
            "Program": [lambda: check_program(environ, within_s), system],
            "GPU": [lambda: check_gpu(environ, within_s)],
            "Configuration": [],
            "Tools": [lambda: check_tools(environ, project, within_s)],
            "Commands": [lambda: check_sandbox(mode, within_s)],
            "State": [self._storage],
            "Services": self._service_checks(loaded),
            "Tests": [lambda: aside(lambda: check_tests(self._catalogue, loaded))] if loaded else [],
            "Editors": [self._editors] if project else [],
        }
        found = await self._all(checks) | {"Configuration": configuration}
        if devices := self._services.devices:
            found["GPU"] = [gpu_of(device) for device in devices]
        groups = [Group(title, tuple(findings)) for title, findings in found.items() if findings]
        return self._place.masked(groups)

    def _project(self) -> Path | None:
        try:
            return self._place.source.where().project
        except ConfigError:
            return None

    def _service_checks(self, loaded: Loaded | None) -> list[Check]:
        if loaded is None:
            return []
        services = loaded.settings.services.items()
        return [*(partial(self._services.check, name, config) for name, config in services), self._services.beside]

    async def _storage(self) -> list[Finding]:
        folder = self._state_dir()
        if folder is None:
            return [note("where the state folder lies is not known before the configuration is right")]
        return await aside(lambda: check_storage(folder))

    def _state_dir(self) -> Path | None:
        try:
            return Layout(self._place.settings().state_dir).root
        except ConfigError:
            return self._place.source.known_state_dir()

    async def _editors(self) -> list[Finding]:
        editors = Editors(self._place.source.where(), self._place.environ)
        return await aside(lambda: check_editors(editors.look()))

    async def _all(self, checks: Mapping[str, list[Check]]) -> dict[str, list[Finding]]:
        """All at once; the findings of a group in the order of its checks."""
        found: dict[str, list[list[Finding]]] = {title: [[] for _ in these] for title, these in checks.items()}

        async def one(title: str, at: int, check: Check) -> None:
            found[title][at] = await self._in_time(title, check)

        async with anyio.create_task_group() as tasks:
            for title, these in checks.items():
                for at, check in enumerate(these):
                    tasks.start_soon(one, title, at, check)
        return {title: [finding for some in these for finding in some] for title, these in found.items()}

    async def _in_time(self, title: str, check: Check) -> list[Finding]:
        found: list[Finding] = []
        with anyio.move_on_after(self._within_s) as limit:
            try:
                found = await check()
            except Exception as error:  # neither a disk nor a defect of ours must hide what the others find
                log.debug("%s", title, exc_info=True)
                told = f"{title} could not be looked at: {type(error).__name__}: {error}"
                return [warning(told, "Correct what is named; if nothing is, please report it.")]
        if limit.cancelled_caught:
            told = f"{title} could not be looked at within {self._within_s:g} s"
            return [warning(told, "Look again when the machine is less busy; a disk or an address may hang.")]
        return found


__all__ = ["Checkup", "Finding", "Group", "State"]
