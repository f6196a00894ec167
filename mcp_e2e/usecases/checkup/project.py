"""The project: its configuration, its services as they are now, its tests, the editors that know it."""

from collections.abc import Sequence

import anyio

from mcp_e2e.adapters.editors.launch import Standing
from mcp_e2e.errors import ConfigError, E2EError, StoreError
from mcp_e2e.model.services import Device, Session, SessionState
from mcp_e2e.process import probes
from mcp_e2e.settings import Loaded, ServiceConfig
from mcp_e2e.usecases.catalogue import Catalogue
from mcp_e2e.usecases.checkup.finding import Finding, aside, note, ok, problem, warning
from mcp_e2e.usecases.editors import Sight
from mcp_e2e.usecases.neighbours import neighbours
from mcp_e2e.usecases.sights import Sights
from mcp_e2e.usecases.workplace import Workplace

_CALM = {SessionState.READY, SessionState.STARTING, SessionState.STOPPED}


def check_configuration(place: Workplace) -> tuple[list[Finding], Loaded | None]:
    """What is wrong with the file, and the configuration where nothing is."""
    try:
        loaded = place.settings()
        loaded.needs_file()
    except ConfigError as error:
        return [problem(error.message, error.advice)], None
    services, tests = loaded.settings.services, loaded.settings.tests
    found = [ok(f"{loaded.file}: services {', '.join(services) or 'none'}; {_count(tests)}")]
    return [*found, *(warning(told, "Correct it there.") for told in loaded.warnings)], loaded


def _count(tests: Sequence[object]) -> str:
    return f"{len(tests)} test{'' if len(tests) == 1 else 's'}"


class Services:
    """``devices`` is what the running ones told, once they have been looked at."""

    def __init__(self, place: Workplace, sights: Sights, catalogue: Catalogue, within_s: float) -> None:
        self._place = place
        self._sights = sights
        self._catalogue = catalogue
        self._within_s = within_s
        self.devices: list[Device] = []

    async def check(self, name: str, config: ServiceConfig) -> list[Finding]:
        wrong = self._catalogue.service_problems(name)
        broken = [problem(told, "Correct it in mcp-e2e.toml, .env or the environment.") for told in wrong]
        try:
            with anyio.fail_after(self._within_s):
                session = await self._sights.look(name)
        except TimeoutError:
            told = f"service {name} does not answer within {self._within_s:g} s" + (
                f": {config.url}" if config.url else ""
            )
            return [*broken, warning(told, "See whether its address is right and the machine can be reached.")]
        except StoreError:  # told where the state folder is looked at; without one nothing of ours runs
            session = Session(name, config.kind, SessionState.STOPPED, "not running", 0)
        except E2EError as error:
            return [*broken, warning(f"service {name}: {error.message}", error.advice)]
        if session.health and (device := session.health.device) and device.name != "cpu":
            self.devices.append(device)
        return [*broken, *await self._now(config, session)]

    async def _now(self, config: ServiceConfig, session: Session) -> list[Finding]:
        name = session.service
        if session.state is SessionState.STOPPED:
            return [await self._port(name, config)]
        told = f"service {name} is {session.state.value}: {session.cause or session.stage}"
        if session.state not in _CALM:
            own = f"Read its log (mcp-e2e logs {name}), repair the cause, then: mcp-e2e start {name}"
            return [warning(told, "Start it yourself, or correct url." if session.attached else own)]
        version = f", version {session.health.version}" if session.health and session.health.version else ""
        return [ok(f"service {name} is {session.state.value} at {session.url or 'no address'}{version}")]

    async def _port(self, name: str, config: ServiceConfig) -> Finding:
        port = config.port
        if not port or await aside(lambda: probes.port_is_free(port)):
            return ok(f"service {name} is not running" + (f"; port {port} is free" if port else ""))
        owner = await aside(lambda: probes.port_owner(port))
        who = f"{owner.name} (pid {owner.pid}, in {owner.cwd})" if owner else "a program that cannot be seen"
        other = f'Stop it, choose another port (0: a free one), or test against it by url = "http://127.0.0.1:{port}".'
        own = f"If it is that ComfyUI, mcp-e2e start {name} takes it over; else: " if config.kind == "comfyui" else ""
        return warning(f"service {name} is not running, and port {port} is held by {who}", own + other)

    async def beside(self) -> list[Finding]:
        """Other ComfyUIs of this machine, and what two of them would share."""
        try:
            await self._place.open()
            return [note(told) for told in await neighbours(self._place)]
        except E2EError:
            return []


def check_tests(catalogue: Catalogue, loaded: Loaded) -> list[Finding]:
    """Files, programs and variables of each. Blocks."""
    tests = loaded.settings.tests
    wrong = [
        problem(f"test {test.id}: {told}", "Repair it, or correct the test in mcp-e2e.toml.")
        for test in tests
        for told in catalogue.test_problems(test)
    ]
    if not tests:
        return [warning("no test is configured", "Add [[tests]] to mcp-e2e.toml (mcp-e2e config example shows one).")]
    whole = len(tests) - len({finding.what.split(":")[0] for finding in wrong})
    told = f"{whole} of {len(tests)} tests have all they need"
    return [note(told) if wrong else ok(told), *wrong]


def check_editors(sights: Sequence[Sight]) -> list[Finding]:
    """An editor without an entry is no fault; one whose entry leads nowhere is."""
    found = [_editor(sight) for sight in sights if sight.standing or sight.said]
    if not any(sight.standing is Standing.RIGHT for sight in sights):
        first, *others = dict.fromkeys(sight.editor for sight in sights)
        fix = f"mcp-e2e install {first} (or {', '.join(others)})"
        found.append(note("no editor starts this program for the project yet", fix))
    return found


def _editor(sight: Sight) -> Finding:
    told = f"{sight.title}: {sight.file}"
    project = f"mcp-e2e install {sight.editor}"
    again = f"{project} --user" if sight.users else project
    match sight.standing:
        case None:
            return warning(f"{sight.title}: {sight.said}", f"Repair the file, then: {again}")
        case Standing.RIGHT:
            return ok(f"{told} {sight.said}")
        case Standing.FOREIGN:
            return note(f"{told}: e2e {sight.said}", f"{again} --force replaces it.")
        case Standing.OTHER:
            return warning(f"{told}: e2e {sight.said}", f"{again} (what is switched off is switched on there)")
        case Standing.ELSEWHERE if sight.users:
            return note(f"{told}: e2e {sight.said}", f"{project} writes the project's own file, which comes first.")
        case Standing.ELSEWHERE | Standing.WRONG:
            return problem(f"{told}: e2e {sight.said}", again)
