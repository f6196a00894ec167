"""The world: whether anything that could change a test's result has changed since."""

from mcp_e2e.world.fingerprint import Fingerprint, Scope
from mcp_e2e.world.world import World

__all__ = ["Fingerprint", "Scope", "World"]
