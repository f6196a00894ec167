"""The client at the other end: its wire, its first requests, and how it all ends. Part of the quick start."""

from mcp_e2e.entrypoints.mcp.ending import Ending
from mcp_e2e.entrypoints.mcp.opening import Opening
from mcp_e2e.entrypoints.mcp.recorded import load
from mcp_e2e.entrypoints.mcp.wire import Wire


class Line:
    """Open from the moment it is made; once per process, in the main thread."""

    def __init__(self) -> None:
        self.ending = Ending()
        self.opening = Opening(load())
        self.wire = Wire(self.ending, self.opening.answer, lambda: self.opening.waits)
        self.ending.heed_signals()
        self.wire.open()
