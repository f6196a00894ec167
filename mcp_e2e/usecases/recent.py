"""The latest calls in memory, so that a ruling reads only what is new or has ended since the one before."""

from sqlite3 import Connection

from mcp_e2e.decisions.history import WINDOW
from mcp_e2e.model.calls import Breaker, PastCall
from mcp_e2e.store import ledger


class Recent:
    """One per process; used inside transactions only, so by one thread at a time."""

    def __init__(self) -> None:
        self._con: Connection | None = None
        self._rows: dict[int, PastCall] = {}  # in the order of their ids
        self._last = 0
        self._open: set[int] = set()

    @property
    def has_open(self) -> bool:
        """Whether a call of the window has not ended: it runs, or its process died."""
        return bool(self._open)

    def read(self, con: Connection, breaker: Breaker) -> tuple[PastCall, ...]:
        """The window that rules look at: nothing of before a person's reset."""
        if con is not self._con:  # perhaps of another database: the one before was lost
            self._con, self._last = con, 0
            self._rows.clear()
            self._open.clear()
        for row in ledger.window(con, self._last, tuple(self._open)):
            self._rows[row.id] = row
            (self._open.add if row.outcome is None else self._open.discard)(row.id)
            self._last = max(self._last, row.id)
        while len(self._rows) > WINDOW:
            oldest = next(iter(self._rows))
            self._open.discard(oldest)
            del self._rows[oldest]
        if breaker.cleared:
            return tuple(row for row in self._rows.values() if row.id > breaker.cleared)
        return tuple(self._rows.values())
