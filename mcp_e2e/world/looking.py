"""One look at the world while it goes on: what it has counted, what it may still spend, why it saw less than all."""

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mcp_e2e.world.contents import GONE, Contents
from mcp_e2e.world.fingerprint import Fingerprint, digest

TOLD = 3


class Budget:
    """Time until a deadline, at most; ``stop`` ends it at once."""

    def __init__(self, seconds: float, stop: threading.Event) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds
        self._stop = stop

    @property
    def left(self) -> float:
        """Seconds; 0 when spent."""
        return 0.0 if self._stop.is_set() else max(0.0, self._end - time.monotonic())

    def share(self, part: float) -> "Budget":
        """That part of what is left."""
        return Budget(self.left * part, self._stop)


class Look:
    """Lives in one worker thread; ``fingerprint`` may be asked from another at any time."""

    def __init__(self, contents: Contents, budget: Budget, *, git: str, max_files: int) -> None:
        self.contents, self.budget, self.git = contents, budget, git
        self._max_files, self._files = max_files, 0
        self._tracked: list[bytes] = []
        self._loose: list[bytes] = []
        self._notes: dict[str, None] = {}
        self._excluded: tuple[str, ...] = ()

    def exclude(self, folders: Sequence[str]) -> None:
        """``folders`` are real paths."""
        self._excluded = tuple(folders)

    def exclusions(self, root: str) -> "Exclusions":
        """Those that leave something of ``root`` to look at."""
        return Exclusions(tuple(folder for folder in self._excluded if not inside(root, folder)))

    def record(self, label: bytes, state: bytes, *, loose: bool = False) -> None:
        """Counts one fact. ``label`` names it, and no folder outside the project."""
        (self._loose if loose else self._tracked).append(label + b"\0" + state)

    def state(self, path: str, *, mode: bytes = b"", algorithm: str = "sha1", follow: bool = False) -> bytes:
        """The state of a file, also of one that cannot be read; that is noted."""
        self._files += 1
        try:
            return self.contents.state(path, mode=mode, algorithm=algorithm, follow=follow)
        except (OSError, ValueError) as error:
            self.note(f"{Path(path).name} cannot be read ({_reason(error)})")
            return b"unreadable"

    def file(self, label: bytes, path: str, *, loose: bool = False, follow: bool = False) -> None:
        """Counts a file by content, when it is there."""
        if (state := self.state(path, follow=follow)) != GONE:
            self.record(label, state, loose=loose)

    @property
    def over(self) -> bool:
        """Whether no further file may be looked at; the reason is noted."""
        if not self.budget.left:
            self.note(f"looking at it all takes longer than {self.budget.seconds:g} s")
        elif self._files >= self._max_files:
            self.note(f"there are more than {self._max_files:,} files to compare")
        else:
            return False
        return True

    def note(self, reason: str) -> None:
        """``reason`` may hold a file's name, and with it bytes that are no text."""
        self._notes[" ".join(reason.encode("utf-8", "replace").decode().split())] = None

    def fingerprint(self) -> Fingerprint:
        return Fingerprint(digest(self._tracked), digest(self._loose), self._partial())

    def _partial(self) -> str | None:
        notes = list(self._notes)
        if not notes:
            return None
        more = [f"{len(notes) - TOLD} more reasons"] if len(notes) > TOLD else []
        return f"Not all of the world was seen: {'; '.join(notes[:TOLD] + more)}."


@dataclass(frozen=True, slots=True)
class Exclusions:
    """Folders, as real paths, whose content does not count."""

    folders: tuple[str, ...]

    def cover(self, path: str) -> bool:
        return any(inside(path, folder) for folder in self.folders)


def inside(path: str, folder: str) -> bool:
    """Whether it is the folder, or lies in it."""
    path, folder = os.path.normcase(path), os.path.normcase(folder)
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
