"""Talk while something runs: a plain line on stderr for each change, or one live line on a terminal."""

import os
import shutil
import sys
import time
from collections.abc import Callable

from mcp_e2e.entrypoints.cli.options import Said
from mcp_e2e.entrypoints.cli.output import talk
from mcp_e2e.formats.clean import clean

REMIND_S = 30.0
REDRAW_S = 0.2
BAR = 12
TAIL = 20  # lines of a red test's output
_ICONS = {"passed": ("✓", "32"), "skipped": ("-", "33"), "cancelled": ("-", "33")}


class Telling:
    """A callback for ``progress`` of the use-cases, and lines of one's own; ends as a context."""

    def __init__(self, said: Said, *, now: Callable[[], float] = time.monotonic) -> None:
        terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._quiet = said.quiet
        self._live = terminal and not said.quiet
        self._color = terminal and not said.no_color and not os.environ.get("NO_COLOR")
        self._now = now
        self._last, self._told_at = "", 0.0
        self._drawn = False
        self._of: tuple[int, int] | None = None

    def __enter__(self) -> "Telling":
        return self

    def __exit__(self, *_: object) -> None:
        self._wipe()

    def at(self, done: int, total: int) -> None:
        """How much of the whole is done, for the bar."""
        self._of = (done, total)

    async def tick(self, done: float, _total: float | None, message: str) -> None:
        """What is going on, called as often as one likes."""
        if self._live:
            self._draw(f"{self._bar()}{message}  {done:.0f} s")
        elif not self._quiet:
            self._mention(message)

    def line(self, text: str) -> None:
        """A line that stays."""
        self._wipe()
        if not self._quiet:
            talk(text)

    def ended(self, title: str, verdict: str, duration_s: float | None, why: str, output: str = "") -> None:
        """One line for a test that has ended, and below it the last ones of what it wrote."""
        icon, color = _ICONS.get(verdict, ("✗", "31"))
        word = f"\x1b[{color}m{icon} {verdict}\x1b[0m" if self._color else f"{icon} {verdict}"
        took = f"  {duration_s:.1f} s" if duration_s is not None else ""
        self.line(f"{word}  {title}{took}" + (f"  {' '.join(why.split())[:160]}" if why else ""))
        for written in clean(output).strip("\n").splitlines()[-TAIL:]:
            self.line(f"  | {written}")

    def _bar(self) -> str:
        if self._of is None:
            return ""
        done, total = self._of
        filled = BAR * done // max(1, total)
        return f"[{'#' * filled}{'.' * (BAR - filled)}] {done}/{total}  "

    def _mention(self, message: str) -> None:
        """A new state at once; more about the same state now and then."""
        state, now = message.partition(",")[0], self._now()
        if state != self._last or now - self._told_at >= REMIND_S:
            self._last, self._told_at = state, now
            talk(message)

    def _draw(self, text: str) -> None:
        if self._drawn and self._now() - self._told_at < REDRAW_S:
            return
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write(f"\r{text[:width]}\x1b[K")
        sys.stderr.flush()
        self._drawn, self._told_at = True, self._now()

    def _wipe(self) -> None:
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False
