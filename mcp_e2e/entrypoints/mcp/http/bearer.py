"""The token that a client must show: a person's own from the environment, else one made once for the project."""

import contextlib
import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mcp_e2e.errors import ConfigError, StoreError
from mcp_e2e.process.locks import FileLock

VARIABLE = "MCP_E2E_HTTP_TOKEN"
SHORTEST = 16
_LOCK_S = 5.0
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")


@dataclass(frozen=True)
class Bearer:
    """``place`` says where a person finds the token."""

    token: str = field(repr=False)
    place: str


async def find_bearer(known: Mapping[str, str], file: Path) -> Bearer:
    """The token in ``known``, or the one in ``file``, made where there is none.

    Raises:
        ConfigError: the variable holds no usable token.
        StoreError: the file cannot be read or written.
    """
    if (told := known.get(VARIABLE)) is not None:
        if why := _unusable(told):
            remedy = f"Unset it, or set one of {SHORTEST} or more characters; a good one: openssl rand -hex 32"
            raise ConfigError(f"{VARIABLE} {why}", remedy=remedy)
        return Bearer(told, VARIABLE)
    try:
        with FileLock(file.with_name(f"{file.name}.lock")) as lock:
            await lock.acquire(_LOCK_S)
            return Bearer(_kept(file) or _made(file), str(file))
    except OSError as error:
        raise StoreError(f"{file} cannot be used: {error.strerror}") from error


def _unusable(token: str) -> str | None:
    if len(token) < SHORTEST:
        return f"is too short: {len(token)} characters of at least {SHORTEST}" if token else "is empty"
    return None if _TOKEN.fullmatch(token) else "has characters that no bearer token may have"


def _kept(file: Path) -> str | None:
    with contextlib.suppress(FileNotFoundError):
        token = file.read_text("ascii", "replace").strip()
        if _unusable(token) is None:
            file.chmod(0o600)
            return token
    return None


def _made(file: Path) -> str:
    """A new token in a file that is whole from the moment it is there."""
    token = secrets.token_urlsafe(32)
    descriptor, draft = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}-")  # for this user only
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(f"{token}\n")
    os.replace(draft, file)  # noqa: PTH105  over an existing file on every system
    return token
