"""Where a path lies: in the project, in this tool's private state, or elsewhere. Text only; links are not followed."""

import posixpath
from dataclasses import dataclass
from fnmatch import fnmatchcase

from mcp_e2e.decisions.policy.words import Word

_SCRATCH = ("/tmp", "/var/tmp", "/private/tmp", "/dev/shm")
_HARMLESS_DEVICES = ("/dev/null", "/dev/stdout", "/dev/stderr", "/dev/tty", "/dev/fd", "/dev/full", "/proc/self/fd")


ANY_DEPTH = "/**/"
_OWN_NAMES = ("private", "state.db", "state.db-wal", "state.db-shm", "jobs", "incidents")


def joined(cwd: str | None, word: Word) -> str | None:
    """The absolute, tidied path of ``word``; None when only the shell will know it."""
    if not word.literal or (cwd is None and not word.text.startswith("/")):
        return None
    return _tidy(posixpath.join(cwd or "/", word.text))


def _tidy(path: str) -> str:
    return "/" + posixpath.normpath(path).lstrip("/")


def is_below(path: str, folder: str) -> bool:
    """Whether it is that folder or stands in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def is_everything(path: str) -> bool:
    """Whether the last part of a pattern leaves nothing out: ``*``, ``.*``, ``*.*``."""
    name = path.rpartition("/")[2]
    return "*" in name and not name.strip("*?.")


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _matches(name: str, pattern: str) -> bool:
    hidden = name.startswith(".") and not pattern.startswith(".")
    return not hidden and fnmatchcase(name, pattern)


@dataclass(frozen=True, slots=True)
class Place:
    """A literal path, possibly a pattern."""

    path: str
    pattern: bool

    def _agrees(self, other: str) -> bool:
        pairs = list(zip(_parts(self.path), _parts(other), strict=False))
        if self.pattern:
            return all(_matches(theirs, mine) for mine, theirs in pairs)
        return all(mine == theirs for mine, theirs in pairs)

    def covers(self, other: str) -> bool:
        """Whether ``other`` is this or stands in it."""
        return len(_parts(self.path)) <= len(_parts(other)) and self._agrees(other)

    def within(self, folder: str) -> bool:
        """Whether this is the folder or stands in it."""
        return len(_parts(self.path)) >= len(_parts(folder)) and self._agrees(folder)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Absolute POSIX paths that a command is judged against."""

    project: str
    state_dir: str
    home: str

    @classmethod
    def of(cls, project: str, state_dir: str, home: str) -> "Surroundings":
        return cls(_tidy(project), _tidy(posixpath.join(project, state_dir)), _tidy(home))

    def place(self, word: Word, cwd: str | None) -> Place | None:
        path = joined(cwd, word)
        return None if path is None else Place(path, word.pattern)

    def is_own_state(self, place: Place) -> bool:
        """The state folder itself, or anything private in it."""
        folder, _, name = place.path.rpartition(ANY_DEPTH)
        if folder and Place(folder, place.pattern).covers(f"{self.state_dir}/private"):
            return any(_matches(own, name) for own in _OWN_NAMES)
        return place.within(f"{self.state_dir}/private") or place.path == self.state_dir

    def takes_own_state_along(self, place: Place) -> bool:
        """A folder whose loss or move would take the private state with it."""
        return place.covers(f"{self.state_dir}/private")

    def is_evidence(self, place: Place) -> bool:
        return any(place.within(f"{self.state_dir}/{kind}") for kind in ("artifacts", "reports"))

    def in_project(self, place: Place) -> bool:
        return is_below(place.path, self.project)

    def is_all_of_project(self, place: Place) -> bool:
        """The project's folder, one above it, or all that is in it."""
        inside = place.path.rpartition("/")[0].removesuffix("/**")
        return place.covers(self.project) or (place.pattern and is_everything(place.path) and inside == self.project)


def is_scratch(place: Place) -> bool:
    """Something in a folder for temporary files, not that folder itself."""
    return any(is_below(place.path, folder) and place.path != folder for folder in _SCRATCH)


def is_harmless_device(place: Place) -> bool:
    return any(is_below(place.path, device) for device in _HARMLESS_DEVICES)
