"""Whether a service that was ready still answers; off unless its spec has a rule for it."""

from __future__ import annotations

from .limits import Awake
from .quiet import TYPE_CHECKING, quietly
from .upkeep import LOOK_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from .look import Look

LIVENESS = "liveness"  # why a life was ended, or a job where no other may follow
ROW = 3
AFTER_WAKE_S = 30.0


class Misses:
    """Looks in a row that failed. Pure: times come in, a judgement goes out."""

    def __init__(self) -> None:
        self._row = 0
        self._slept_s = 0.0
        self._fair_from = 0.0

    def slept(self, now: float, in_all_s: float) -> None:
        """``in_all_s``: how long the machine has slept or stood still up to now; what wakes up may need a while."""
        if in_all_s > self._slept_s + 1:
            self._slept_s, self._fair_from = in_all_s, now + AFTER_WAKE_S

    def enough(self, now: float, *, ok: bool) -> bool:
        """Whether this look makes them as many as end a life."""
        if ok:
            self._row = 0
        elif now >= self._fair_from:
            self._row += 1
        return self._row >= ROW


class Liveness:
    """Looks each ``every_s`` once ``ready()``; ``look_at``: how, None for a service that is not looked at."""

    def __init__(self, look_at: Look | None, every_s: float, ready: Callable[[], bool]) -> None:
        self._look, self._every_s, self._ready = look_at, every_s, ready
        self._misses = Misses()
        self._awake: Awake | None = None
        self._due = 0.0

    def look(self, now: float) -> str | None:
        """``LIVENESS`` when the life is to be ended for it."""
        if self._look is None or not self._ready():
            return None
        if self._awake is None:  # it has just become ready
            self._awake, self._due = Awake(), now + self._every_s
        self._awake.look(LOOK_S)  # a service's keeper wakes at least that often
        self._misses.slept(now, self._awake.suspended_s)
        if self._look.under_way:
            ok = self._look.result()
            return LIVENESS if ok is not None and self._misses.enough(now, ok=ok) else None
        if now >= self._due:
            self._due = now + self._every_s
            with quietly(OSError):  # no more processes now: says nothing of the service
                self._look.start()
        return None

    def next_look(self, now: float) -> float | None:
        """None while a look is under way: its end wakes the keeper."""
        if self._look is None or self._look.under_way or not self._ready():
            return None
        return max(now, self._due)

    def dismiss(self) -> None:
        """The life is over."""
        if self._look is not None:
            self._look.dismiss()
        self._look = None
