"""Rooms, projects and servers for the faults: those of the other tests."""

from tests.process.conftest import room
from tests.usecases.conftest import project, server

__all__ = ["project", "room", "server"]
