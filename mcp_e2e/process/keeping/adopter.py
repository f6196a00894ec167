"""A keeper that comes after one that was killed: it takes the running life over, and goes on as its predecessor."""

from __future__ import annotations

import os
import time

from . import files, orphan
from .capture import Direct
from .life import Keeper, Life, identity
from .limits import Limits
from .quiet import TYPE_CHECKING
from .readiness import Readiness

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .events import Events


class Adopter(Keeper):
    """The environment of further lives is that of the running one; where it is not known, there are none."""

    def __init__(self, spec: Mapping[str, Any], events: Events) -> None:
        before = files.read("state.json")
        self._known = orphan.environment(before["process"]["pid"], spec["env_names"])
        super().__init__(spec, self._known or {}, events)
        self._lives += before["lives"]
        self._state |= {name: before[name] for name in ("process", "generation", "layers")}
        self._state |= {"keeper": identity(os.getpid()), "phase": "running"}
        self._adopts = True
        files.put("state.json", self._state)

    def _live(self, running: Callable[[], None]) -> dict[str, Any]:
        if not self._adopts:
            return super()._live(running)
        self._adopts = False
        life, process = self._lives[-1], self._state["process"]
        tree = orphan.Orphan(process, self._spec["id"])
        self._began = (life["started_at"], time.monotonic() - (time.time() - life["started_at"]))
        rule = None if life["ready_at"] else self._spec["ready"]
        readiness = Readiness(
            rule, self._program(), tree, life["log_offset"], time.monotonic(), lambda: self._ready(life)
        )
        output = Direct(os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
        output.handed_over()
        watcher = Life(self._spec, self._events, tree, output, readiness)
        running()
        end = watcher.watch(Limits(self._spec, time.monotonic()), lambda: self._save(phase="stopping"))
        life |= {"ended_at": time.time(), "exit_code": end["exit_code"], "signal": end["signal"]}
        return {**end, "reason": watcher.reason, "escalated": watcher.escalated}

    def _reason(self, code: int | None) -> str | None:
        return super()._reason(code) or (None if self._known is not None else "exited")
