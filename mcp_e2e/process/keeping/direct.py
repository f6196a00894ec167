"""A service's output: it writes to the log itself, so its output survives the keeper."""

from __future__ import annotations

import os

from .quiet import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


class Direct:
    """In the place of ``Pipes``, with nothing to read."""

    def __init__(self, log: int) -> None:
        self.out = self.err = log
        self.fds: list[int] = []

    def handed_over(self) -> None:
        os.close(self.out)

    def read(self, _fd: int) -> bool:
        return False

    def finish(self) -> dict[str, Any]:
        return {}
