"""Faults happen to a bare job (``room``) or to a project with servers on it (``project``, ``server``)."""

from tests.process.conftest import room
from tests.usecases.conftest import project, server

__all__ = ["project", "room", "server"]
