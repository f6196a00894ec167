"""Secrets do not leave the process: whatever text goes out or is stored has known values and tokens blanked."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from mcp_e2e.process.environment import looks_secret
from mcp_e2e.process.redaction import SHORTEST, Redactor
from mcp_e2e.settings import Loaded
from mcp_e2e.settings.expand import names

T = TypeVar("T")
_HANDING = frozenset({"env", "headers", "http_headers"})


def redactor_of(
    loaded: Loaded | None,
    environ: Mapping[str, str],
    extra: Mapping[str, str] | None = None,
    doors: Iterable[str] = (),
) -> Redactor:
    """Knows the secrets of a configuration, those of ``extra``, the environment that one call brings along, and the
    tokens of our own ``doors``."""
    values = {*_own_secrets(extra or {}), *doors}
    if loaded is not None:
        values.update(secrets_of(loaded, environ))
    return _redactor(frozenset(values))


@lru_cache(maxsize=8)
def _redactor(values: frozenset[str]) -> Redactor:
    return Redactor(values)


def secrets_of(loaded: Loaded, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The values that ``${NAME}`` stands for anywhere in the configuration, longest first.

    Also those of variables with a secret-looking name that ``exec.env_allow`` hands to every command.
    """
    known = loaded.environment(environ)
    tables = [*(service.env for service in loaded.settings.services.values())]
    tables += [test.env for test in loaded.settings.tests]
    used = {name for table in tables for value in table.values() if "${" in value for name in names(value)}
    found = {known[name] for name in used if name in known and len(known[name]) >= SHORTEST}
    allowed = loaded.settings.exec.env_allow or ()
    found.update(_own_secrets({name: environ[name] for name in allowed if name in environ}))
    return tuple(sorted(found, key=len, reverse=True))


def _own_secrets(env: Mapping[str, str]) -> Iterator[str]:
    """Values whose names look secret. A folder or a file that is there is none: answers are full of paths."""
    for name, value in env.items():
        if looks_secret(name) and len(value) >= SHORTEST and not _is_path(value):
            yield value


def handed_over(value: Any, *, all_of_it: bool = False) -> Iterator[str]:
    """What another program's configuration hands on as variables and headers, and what has a secret-looking name."""
    match value:
        case str() if all_of_it and len(value) >= SHORTEST and "${" not in value and not _is_path(value):
            yield value
        case str():
            name, _, said = value.partition("=")  # NAME=value, --name=value
            if looks_secret(name):
                yield from handed_over(said, all_of_it=bool(said))
        case Mapping():
            for name, item in value.items():
                handing = name in _HANDING or looks_secret(str(name))
                yield from handed_over(item, all_of_it=all_of_it or handing)
        case list() | tuple():
            for before, item in zip(("", *value), value, strict=False):
                flag = isinstance(before, str) and before.startswith("-") and "=" not in before and looks_secret(before)
                yield from handed_over(item, all_of_it=all_of_it or flag)


def _is_path(value: str) -> bool:
    try:
        return Path(value).is_absolute() and Path(value).exists()
    except (OSError, ValueError):
        return False


def blanked(value: T, redactor: Redactor) -> T:
    """``value`` with every secret in its strings blanked, at any depth, dataclasses included."""
    result: T = _blanked(value, redactor)
    return result


def _blanked(value: Any, redactor: Redactor) -> Any:
    match value:
        case StrEnum():
            return value
        case str():
            return redactor.text(value)
        case Mapping():
            return {key: _blanked(item, redactor) for key, item in value.items()}
        case list() | tuple():
            return type(value)(_blanked(item, redactor) for item in value)
    if isinstance(value, BaseModel):
        return value.model_copy(update=_blanked(dict(value), redactor))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{part.name: _blanked(getattr(value, part.name), redactor) for part in fields(value)})
    return value
