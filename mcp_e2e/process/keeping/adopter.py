"""A keeper that comes after one that was killed: it takes the running life over, and goes on as its predecessor."""

from __future__ import annotations

import os
import sys
import time

assert sys.platform == "linux"  # elsewhere nobody can take over a process that is not his child

from . import orphan
from .direct import Direct
from .job import Keeper
from .quiet import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .events import Events


class Adopter(Keeper):
    """The environment of further lives is that of the running one; where it is not known, there are none."""

    def __init__(self, spec: Mapping[str, Any], before: Mapping[str, Any], events: Events) -> None:
        self._known = orphan.environment(before["process"]["pid"], spec["env_names"])
        super().__init__(spec, self._known or {}, events, before)

    def _live(self, running: Callable[[], None]) -> dict[str, Any]:
        if not self._adopts:
            return super()._live(running)
        self._adopts = False
        life, process = self._lives[-1], self._state["process"]
        self._began = (life["started_at"], time.monotonic() - (time.time() - life["started_at"]))
        output = Direct(os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
        output.handed_over()
        tree = orphan.Orphan(process, self._spec["id"])  # its handle first: whoever hears of us may end it at once
        running()
        return self._watched(life, tree, output)

    def _reason(self, ended_for: str | None, code: int | None) -> str | None:
        return super()._reason(ended_for, code) or (None if self._known is not None else ended_for or "exited")
