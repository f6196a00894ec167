"""One generation of a job: watched, stopped when it has to be, until its whole tree is gone."""

from __future__ import annotations

import os
import time

from .liveness import LIVENESS
from .quiet import TYPE_CHECKING
from .system import KILL, UNKNOWN
from .upkeep import Upkeep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .direct import Direct
    from .limits import Limits
    from .liveness import Liveness
    from .readiness import Readiness
    from .system import Events, Ladder, Pipes, Tree

DRAIN_S = 0.2  # after the main process: for output still in the pipe and for children that are about to end


class Life:
    """One generation, watched until its whole tree is gone; ``reason`` is set when it did not end by itself."""

    def __init__(
        self,
        spec: Mapping[str, Any],
        events: Events,
        tree: Tree,
        output: Pipes | Direct,
        looks: tuple[Readiness, Liveness],
    ) -> None:
        self._readiness, self._liveness = looks
        self._spec, self._events, self._tree, self._output = spec, events, tree, output
        self._upkeep = Upkeep(spec)
        self.reason: str | None = None
        self.escalated = False
        self._ladder: Ladder = []
        self._next_rung = 0.0
        self._dead_since: float | None = None

    def watch(self, limits: Limits, stopping: Callable[[], None]) -> dict[str, Any]:
        """Returns the end of this life as fields of the exit record."""
        while not self._over(now := time.monotonic()):
            if self.reason is None and self._tree.status is None:
                self.reason = "stopped" if self._events.down else self._why_end(now, limits)
                if self.reason:
                    if self.reason != LIVENESS:  # the job goes on
                        stopping()
                    self._ladder = self._tree.rungs(self._spec["kind"], self.reason, self._spec["stop_grace_s"])
            if self._ladder and now >= self._next_rung:
                self._climb(now)
            if self.reason is None and self._tree.status is None:
                self._readiness.look(now)
            for fd in self._events.wait([*self._output.fds, *self._tree.fds], self._next_timer(now, limits)):
                self._output.read(fd)
        if self.reason is None:
            self.reason = limits.ended()
        suspended = {"suspended_s": limits.awake.suspended_s}
        strays, survivors = self._tree.kill_rest()
        return {**self._output.finish(), **self._result(), **suspended, "strays": strays, "error": _stuck(survivors)}

    def _why_end(self, now: float, limits: Limits) -> str | None:
        return limits.exceeded(now) or self._upkeep.look(now) or self._liveness.look(now)

    def _climb(self, now: float) -> None:
        pause, numbers = self._ladder.pop(0)
        self._next_rung = now + pause
        self.escalated = self.escalated or KILL in numbers
        self._tree.signal(*numbers)

    def _over(self, now: float) -> bool:
        """The tree is gone and its output read, or the time left to what the main process left behind is up."""
        self._tree.reap()
        if self._tree.status is None:
            return False
        self._readiness.dismiss()
        self._liveness.dismiss()
        self._dead_since = now if self._dead_since is None else self._dead_since
        give_up = self._dead_since + DRAIN_S
        if self._tree.gone:
            return not self._output.fds or now >= give_up
        # a stop gives its grace to the whole tree, not only to the main process
        return not self._ladder and now >= max(give_up, self._next_rung)

    def _next_timer(self, now: float, limits: Limits) -> float | None:
        times = [self._next_rung] if self.reason else []
        if self._dead_since is not None:
            times.append(self._dead_since + DRAIN_S)
        elif not self.reason:
            wards = (limits, self._upkeep, self._readiness, self._liveness)
            return min(filter(None, (ward.next_look(now) for ward in wards)), default=None)
        return min((time for time in times if time > now), default=None)

    def _result(self) -> dict[str, Any]:
        if self._tree.status is None or self._tree.status == UNKNOWN:
            return {"exit_code": None, "signal": None}
        code = os.waitstatus_to_exitcode(self._tree.status)
        return {"exit_code": None if code < 0 else code, "signal": -code if code < 0 else None}


def _stuck(pids: list[int]) -> str | None:
    return f"could not be killed: {', '.join(map(str, pids))}" if pids else None
