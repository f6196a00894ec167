"""What a person sees of the demonstration: numbered steps, one line a call, durations at the right edge."""

import os
import shutil
import textwrap
from typing import TextIO

from mcp_e2e.formats.clean import flat

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
_NAME_WIDTH = 18
_TIME_WIDTH = 9
_QUOTED_LINES = 14


class Screen:
    """Writes to one stream at once; raises BrokenPipeError a single time, then is silent."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._colours = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._width = max(60, min(shutil.get_terminal_size((100, 24)).columns, 100))
        self._steps = 0

    def line(self, text: str = "") -> None:
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())  # so that the interpreter's own flush at exit is quiet too
            os.close(nowhere)
            raise

    def heading(self, text: str) -> None:
        self.line(self._paint(text, "bold"))

    def step(self, title: str) -> None:
        self._steps += 1
        self.line(self._paint(f"{self._steps}  {title}", "bold"))

    def call(self, name: str, came_back: str, seconds: float, colour: str = "") -> None:
        """One call: its name, what came back, how long it took."""
        room = self._width - 3 - _NAME_WIDTH - 1 - _TIME_WIDTH
        told = flat(came_back)
        told = told if len(told) <= room else told[: room - 1] + "…"
        padding = " " * (room - len(told))
        shown = self._paint(told, colour) if colour else told
        took = self._paint(f"{seconds:.2f} s".rjust(_TIME_WIDTH), "dim")
        self.line(f"   {name:<{_NAME_WIDTH}} {shown}{padding}{took}")

    def quote(self, text: str, colour: str) -> None:
        """The words of an answer, wrapped and marked as a quotation; the middle of a very long one is left out."""
        wrapped = [line for part in text.splitlines() for line in textwrap.wrap(flat(part), self._width - 8) or [""]]
        half = _QUOTED_LINES // 2
        shown = wrapped if len(wrapped) <= _QUOTED_LINES else [*wrapped[:half], "[…]", *wrapped[-half:]]
        for line in shown:
            self.line(f"   {self._paint('│', colour)} {line}")

    def note(self, text: str) -> None:
        self.line(self._paint(f"   {text}", "dim"))

    def fact(self, name: str, text: str) -> None:
        self.line(f"   {name:<{_NAME_WIDTH}} {text}")

    def failure(self, what: str, expected: str, seen: str) -> None:
        self.line(f"   {self._paint('FAILED', 'red')} {what}")
        self.line(f"   {'expected':<{_NAME_WIDTH}} {expected}")
        self.line(f"   {'seen':<{_NAME_WIDTH}} {seen}")

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self._colours else text
