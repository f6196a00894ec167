"""A person's terminal: real, and with no agent above what runs in it."""

import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path

LINE = [sys.executable, "-m", "mcp_e2e"]
# Whatever runs these tests must not stand above what they start, for it may be an agent: the child is orphaned first.
ORPHAN = """
import os, subprocess, sys
terminal, result, *line = sys.argv[1:]
if os.fork():
    os._exit(0)
os.setsid()
if terminal != "-":
    opened = os.open(terminal, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(opened, number)
done = subprocess.run(line, **({} if terminal != "-" else {"stdin": subprocess.DEVNULL, "capture_output": True}))
said = "" if terminal != "-" else (done.stdout + done.stderr).decode()
with open(result + ".new", "w") as file:
    file.write(f"{done.returncode}\\n{said}")
os.rename(result + ".new", result)
"""


class Terminal:
    """A person's terminal with one command in it, whose ancestors are init alone."""

    def __init__(self, folder: Path, environ: dict[str, str], line: list[str], *, screen: bool = True) -> None:
        self._result = folder / f"result-{time.monotonic_ns()}"
        self.screen = ""
        self._ours, self._theirs = os.openpty()
        name = os.ttyname(self._theirs) if screen else "-"
        subprocess.run(
            [sys.executable, "-c", ORPHAN, name, str(self._result), *line], env=environ, cwd=folder, check=True
        )

    def until(self, pattern: str) -> re.Match[str]:
        """What the screen shows once it matches."""
        end = time.monotonic() + 30
        while (found := re.search(pattern, self.screen)) is None:
            assert time.monotonic() < end, self.screen
            self._read()
        return found

    def type(self, text: str) -> None:
        os.write(self._ours, f"{text}\n".encode())

    def status(self) -> int:
        """The exit status; the screen is whole then."""
        end = time.monotonic() + 30
        while not self._result.exists():
            assert time.monotonic() < end, self.screen
            self._read()
        self._read()
        status, _, said = self._result.read_text().partition("\n")
        self.screen += said
        os.close(self._ours)
        os.close(self._theirs)
        return int(status)

    def _read(self) -> None:
        while select.select([self._ours], [], [], 0.05)[0]:
            self.screen += os.read(self._ours, 65536).decode("utf-8", "replace")
