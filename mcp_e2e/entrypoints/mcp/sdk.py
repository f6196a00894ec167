"""What we need of the SDK beyond its public names: each private attribute here and nowhere else, each with a test."""

from mcp.server.connection import Connection
from mcp.server.session import ServerSession


def connection_of(session: ServerSession) -> Connection:
    """The client's connection, which outlives the request: notices go there, and it tells when it has closed."""
    return session._connection  # noqa: SLF001
