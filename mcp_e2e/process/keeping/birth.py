"""When a process was born: with its pid and the boot, which process is meant."""

from __future__ import annotations


class Birth:
    """``ticks``: start time in the kernel's own unit.

    Since boot on Linux; wall clock at the moment of birth elsewhere, 1/100 s on macOS and 100 ns on Windows.
    """

    def __init__(self, ticks: int, *, dead: bool) -> None:
        self.ticks, self.dead = ticks, dead
