"""The folders of ``state_dir``: what is private to us, and what tests may write."""

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

from mcp_e2e.errors import StoreError

_SHARED = frozenset({"nfs", "nfs4", "9p", "cifs", "smb3", "smbfs", "fuse.sshfs", "afpfs"})


@dataclass(frozen=True)
class Layout:
    """Absolute folders below one project's state folder."""

    root: Path

    @property
    def private(self) -> Path:
        return self.root / "private"

    @property
    def database(self) -> Path:
        return self.private / "state.db"

    @property
    def founded(self) -> Path:
        """There once a database was made here: without it, one that is missing has been lost."""
        return self.private / "founded"

    @property
    def jobs(self) -> Path:
        return self.private / "jobs"

    @property
    def incidents(self) -> Path:
        return self.private / "incidents"

    @property
    def leases(self) -> Path:
        return self.private / "leases"

    @property
    def locks(self) -> Path:
        return self.private / "locks"

    @property
    def http_token(self) -> Path:
        return self.private / "http-token"

    def kept_http_token(self) -> str | None:
        """The token that HTTP servers on this project share, once one has made it."""
        try:
            return self.http_token.read_text("ascii", "replace").strip()
        except OSError:
            return None

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def outputs(self) -> Path:
        return self.root / "outputs"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    def create(self) -> None:
        """Make what is missing; ``private`` is for this user only, and git ignores the whole.

        Raises:
            StoreError: the folder cannot be written, or lies on a network file system.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            for folder in (self.private, self.jobs, self.incidents, self.leases, self.locks):
                folder.mkdir(mode=0o700, exist_ok=True)
            for folder in (self.artifacts, self.outputs, self.reports):
                folder.mkdir(exist_ok=True)
            ignore = self.root / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
        except OSError as error:
            raise StoreError(f"the state folder {self.root} cannot be written: {error.strerror}") from error
        if kind := shared_file_system(self.root):
            raise StoreError(f"the state folder {self.root} lies on {kind}: locks and SQLite's WAL are not safe there")

    def note_founded(self) -> None:
        """Raises StoreError when nothing can be written."""
        try:
            if not self.founded.exists():
                self.founded.touch(0o600)
        except OSError as error:
            raise StoreError(f"{self.founded} cannot be written: {error.strerror}") from error


def shared_file_system(path: Path) -> str | None:
    """The type of the file system that holds ``path`` where it is one on which no database of ours may lie."""
    kind = _file_system(path)
    return kind if kind in _SHARED else None


def _file_system(path: Path) -> str:
    """The type of the file system that holds ``path``; empty when it cannot be told."""
    real = os.path.realpath(path)
    mounts = [part for part in psutil.disk_partitions(all=True) if _holds(part.mountpoint, real)]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype.lower() if mounts else ""


def _holds(mountpoint: str, path: str) -> bool:
    return path == mountpoint or path.startswith(mountpoint.rstrip(os.sep) + os.sep)
