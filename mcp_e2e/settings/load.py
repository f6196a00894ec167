"""Read file, ``.env`` and variables into one ``Loaded``, or fail with every problem at once."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from mcp_e2e.settings.discover import Where, looking
from mcp_e2e.settings.document import Document, escape_faults, parse_document, read_document, read_text
from mcp_e2e.settings.dotenv import Dotenv, parse_dotenv
from mcp_e2e.settings.expand import malformed
from mcp_e2e.settings.explain import explain
from mcp_e2e.settings.faults import Fault
from mcp_e2e.settings.loaded import Loaded, no_file, resolved
from mcp_e2e.settings.overrides import apply_overrides, variable_warnings
from mcp_e2e.settings.schema import ServiceConfig, Settings

_ONLY_STARTED = frozenset(
    {"cwd", "port", "env", "stop_grace_s", "clean", "reload_on", "restart", "max_restarts", "restart_window_s", "owner"}
)


@looking()
def load(where: Where, environ: Mapping[str, str]) -> Loaded:
    """The configuration at ``where``. Without a file all settings are defaults, unless a person named the file.

    Raises ConfigError: its sentence has file, line, key and what is wrong, its remedy the fix, its facts all problems.
    """
    present = where.file.exists()
    if where.named and not present:
        raise no_file(where.file)
    document = read_document(where.file) if present else Document(where.file)
    return _loaded(where, document, environ, present=present)


@looking()
def check(where: Where, text: str, environ: Mapping[str, str]) -> Loaded:
    """The configuration as it will be once ``text`` stands in the file, which is not looked at. Raises ConfigError."""
    return _loaded(where, parse_document(where.file, text), environ, present=True)


def _loaded(where: Where, document: Document, environ: Mapping[str, str], *, present: bool) -> Loaded:
    dotenv = parse_dotenv(read_text(where.dotenv)) if where.dotenv.is_file() else Dotenv({}, {})
    document = _overridden(document, {**dotenv.values, **environ})
    settings = _validated(document, where.project)
    return Loaded(
        settings,
        where.project,
        where.file if present else None,
        resolved(where.project, settings.project.state_dir),
        dotenv.values,
        tuple(_warnings(where, settings, dotenv, environ)),
    )


def _overridden(document: Document, environ: Mapping[str, str]) -> Document:
    raw, origins = apply_overrides(document.raw, environ)
    return replace(document, raw=raw, origins=origins)


def _validated(document: Document, project: Path) -> Settings:
    faults = escape_faults(document.raw)
    try:
        settings = Settings.model_validate(document.raw)
    except ValidationError as error:
        raise document.failure([*faults, *explain(error)]) from None  # the cause would show values of env
    faults += [*_bad_names(settings), *_bad_state_dir(settings, project)]
    known = {fault.key for fault in faults}
    faults += [fault for fault in _bad_folders(settings, project) if fault.key not in known]
    if faults:
        raise document.failure(faults)
    return settings


def _bad_names(settings: Settings) -> Iterator[Fault]:
    """Values of ``env`` whose ``${…}`` cannot be read."""
    for name, service in settings.services.items():
        for variable, value in service.env.items():
            if problem := malformed(value):
                yield Fault(("services", name, "env", variable), problem, "Write ${NAME}, or $${ for the characters.")
    for at, test in enumerate(settings.tests):
        for variable, value in test.env.items():
            if problem := malformed(value):
                yield Fault(("tests", at, "env", variable), problem, "Write ${NAME}, or $${ for the characters.")


def _bad_folders(settings: Settings, project: Path) -> Iterator[Fault]:
    for name, service in settings.services.items():
        folder = resolved(project, service.cwd)
        if not service.attached and not folder.is_dir():
            problem = f"is no folder: {folder}"
            yield Fault(("services", name, "cwd"), problem, f"Write an existing folder, absolute or from {project}.")


def _bad_state_dir(settings: Settings, project: Path) -> Iterator[Fault]:
    key = ("project", "state_dir")
    state_dir = resolved(project, settings.project.state_dir)
    if project.is_relative_to(state_dir):
        problem = f"is {'the project itself' if project == state_dir else 'above the project'}: {state_dir}"
        yield Fault(key, problem, "Write a folder of its own, such as '.mcp-e2e'.")
    elif state_dir.exists() and not state_dir.is_dir():
        yield Fault(key, f"is a file: {state_dir}", "Write a folder of its own, such as '.mcp-e2e'.")


def _warnings(where: Where, settings: Settings, dotenv: Dotenv, environ: Mapping[str, str]) -> Iterator[str]:
    for line in dotenv.odd_lines:
        yield f"{where.dotenv}, line {line}: not understood and left out; write NAME=value."
    yield from variable_warnings(environ, dotenv.values)
    for name, service in settings.services.items():
        if idle := _idle_keys(service):
            yield f"services.{name}: {', '.join(idle)} mean nothing beside url, which only attaches."
    for folder in settings.guard.watch:
        if not resolved(where.project, folder).exists():
            yield f"guard.watch: there is no {resolved(where.project, folder)}."


def _idle_keys(service: ServiceConfig) -> list[str]:
    return sorted(_ONLY_STARTED & service.model_fields_set) if service.attached else []
