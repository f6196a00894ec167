"""One test per fault of the table: the rooms of jobs and of servers are those of the other tests."""

from tests.process.conftest import mark, room
from tests.usecases.conftest import project, server

__all__ = ["mark", "project", "room", "server"]
