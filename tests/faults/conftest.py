"""Faults, each by its number: real processes, real kills. Rooms and servers are those of the other tests."""

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.entrypoints.wire import Wire, serving
from tests.process.conftest import mark, room
from tests.usecases.conftest import project, server

Wires = Callable[[], AbstractAsyncContextManager[Wire]]


@pytest.fixture
def environ(project: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What an editor hands to a server it starts."""
    home = tmp_path_factory.mktemp("home")
    return {"PATH": os.environ["PATH"], "HOME": str(home), "MCP_E2E_PROJECT": str(project)}


@pytest.fixture
def wire(environ: dict[str, str], project: Path) -> Wires:
    """``async with wire() as client``: ``mcp-e2e serve`` as an editor starts it."""
    return lambda: serving(environ, project)


__all__ = ["environ", "mark", "project", "room", "server", "wire"]
