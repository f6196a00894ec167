"""Values of ``${…}`` do not leave the process: whatever text goes out or is stored has them blanked."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import BaseModel

from mcp_e2e.settings import Loaded

T = TypeVar("T")
SHORTEST = 6  # characters: shorter values stand in too much text by chance
BLANK = "***"


def secrets_of(loaded: Loaded, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The values that ``${NAME}`` stands for anywhere in the configuration, longest first."""
    known = loaded.environment(environ)
    tables = [*(service.env for service in loaded.settings.services.values())]
    tables += [test.env for test in loaded.settings.tests]
    names = {name for table in tables for value in table.values() for name in known if f"${{{name}}}" in value}
    found = {known[name] for name in names if len(known[name]) >= SHORTEST}
    return tuple(sorted(found, key=len, reverse=True))


def blanked(value: T, secrets: tuple[str, ...]) -> T:
    """``value`` with every secret in its strings blanked, at any depth, dataclasses included."""
    result: T = _blanked(value, secrets) if secrets else value
    return result


def _blanked(value: Any, secrets: tuple[str, ...]) -> Any:
    match value:
        case StrEnum():
            return value
        case str():
            for secret in secrets:
                value = value.replace(secret, BLANK)
            return value
        case Mapping():
            return {key: _blanked(item, secrets) for key, item in value.items()}
        case list() | tuple():
            return type(value)(_blanked(item, secrets) for item in value)
    if isinstance(value, BaseModel):
        return value.model_copy(update=_blanked(dict(value), secrets))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{part.name: _blanked(getattr(value, part.name), secrets) for part in fields(value)})
    return value
