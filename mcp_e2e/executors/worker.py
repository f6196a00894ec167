"""Whether the thread that runs prompts is still there, looked at from outside while nothing is heard of a prompt."""

from collections.abc import Callable

import anyio

from mcp_e2e.decisions.worker import has_died
from mcp_e2e.executors.orders import Watch
from mcp_e2e.model.work import Pulse

QUIET_S = 60.0  # no word of a running prompt for so long: look whether it can still be running
RENEW_S = 5.0
UNCLAIMED_S = 30.0  # nothing runs and ours is first for so long; unloading models between prompts takes seconds


class WorkerWatch:
    """``before``: signs of life from before the prompt was queued; None where they cannot be seen, then by queue only.

    Each event of the prompt proves that its thread lived, so a look taken before that event takes the place of
    ``before``: threads that have come and gone since are not missed.
    """

    def __init__(self, watch: Watch, before: Pulse | None, now: Callable[[], float] = anyio.current_time) -> None:
        self._watch = watch
        self._now = now
        self._before = before
        self._latest, self._latest_at = before, now()
        self._quiet: Pulse | None = None
        self._quiet_at = 0.0
        self._since = self._latest_at
        self._unclaimed_since: float | None = None

    def queue_seen(self, *, unclaimed: bool) -> None:
        """``unclaimed``: nothing runs, and ours is the first that waits."""
        if not unclaimed:
            self._unclaimed_since = None
        elif self._unclaimed_since is None:
            self._unclaimed_since = self._now()

    async def died(self, *, running: bool, heard_at: float) -> bool:
        """``heard_at``: when an event of the prompt was heard last, by the same clock."""
        now = self._now()
        if self._unclaimed_since is not None and now - self._unclaimed_since >= UNCLAIMED_S:
            return True
        if self._before is None:
            return False
        if not running or heard_at > self._since:
            self._since, self._quiet = max(now if not running else heard_at, self._since), None
        await self._renew(now, heard_at)
        return running and await self._missing(now)

    async def _renew(self, now: float, heard_at: float) -> None:
        if heard_at > self._latest_at and now - self._latest_at >= RENEW_S:
            self._before = self._latest or self._before
            self._latest, self._latest_at = await self._watch.pulse(), now

    async def _missing(self, now: float) -> bool:
        quiet_s = now - self._since
        if self._quiet is None and quiet_s >= QUIET_S / 2:
            self._quiet, self._quiet_at = await self._watch.pulse(), now
        span_s = now - self._quiet_at
        if self._quiet is None or quiet_s < QUIET_S or span_s < QUIET_S / 2:
            return False
        died = has_died(self._before, self._quiet, await self._watch.pulse(), span_s)
        self._since, self._quiet = now, None
        return died
