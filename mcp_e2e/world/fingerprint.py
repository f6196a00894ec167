"""What is looked at, and what it looked like."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Scope:
    """What counts as the world. Paths are absolute; what is named here explicitly counts even when git ignores it."""

    project: Path
    #: folders whose content never counts, tracked or not; one that holds a looked-at folder excludes nothing there
    excluded: tuple[Path, ...] = ()
    #: single files, followed when they are links: the configuration, ``.env``
    files: tuple[Path, ...] = ()
    #: (base folder, glob relative to it): ``reload_on`` of the services
    globs: tuple[tuple[Path, str], ...] = ()
    #: more folders, inside or outside the project
    watched: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Equal content gives equal values: in any process, in any clone with the same HEAD, in any folder."""

    #: 16 hex digits: HEAD, changed tracked files, files named in the scope; without git, all files
    tracked: str
    #: 16 hex digits: files that are neither in HEAD nor ignored, whether they are staged or not
    loose: str
    #: why less than the whole was seen, a sentence for people. Such a fingerprint proves nothing by being equal
    partial: str | None = None

    @property
    def id(self) -> str:
        """12 hex digits, of both halves."""
        return hashlib.sha256(f"{self.tracked} {self.loose}".encode()).hexdigest()[:12]


def digest(records: Iterable[bytes]) -> str:
    """16 hex digits; the order of the records does not matter."""
    whole = hashlib.sha256()
    for record in sorted(records):
        whole.update(len(record).to_bytes(8, "big") + record)
    return whole.hexdigest()[:16]
