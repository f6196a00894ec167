"""When a dead service is started again. Pure: times come in, a delay or an end goes out."""

from __future__ import annotations

from .quiet import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

STABLE_S = 60.0  # a life this long makes the next failure a first one again


class Backoff:
    """Counts the restarts of one job by the rule in its spec (``model.jobs.RestartPolicy``)."""

    def __init__(self, rule: Mapping[str, Any]) -> None:
        self._rule = rule
        self._restarts: list[float] = []
        self._row = 0

    def end_reason(self, code: int | None) -> str | None:
        """Why a life that ended by itself with ``code`` (None: by a signal) is the last one; None: it may not be."""
        if code == 0 or self._rule["mode"] == "never":
            return "exited"
        return "fatal_exit" if code in self._rule["fatal_codes"] else None

    def delay(self, now: float, lived_s: float, jitter: float) -> float | None:
        """Seconds before the next life, None when there were too many; ``jitter`` in 0..1 takes off up to a quarter."""
        self._restarts = [at for at in self._restarts if at > now - self._rule["window_s"]]
        if len(self._restarts) >= self._rule["max_restarts"]:
            return None
        self._row = 0 if lived_s >= STABLE_S else self._row
        full = min(self._rule["backoff_max_s"], self._rule["backoff_first_s"] * 2.0 ** min(self._row, 60))
        self._row += 1
        self._restarts.append(now)
        return float(full) * (1.0 - jitter / 4)
