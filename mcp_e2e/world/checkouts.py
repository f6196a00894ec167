"""A git checkout, seen: its HEAD, and every file that differs from it and is not ignored."""

# paths are text here: there may be fifty thousand of them
# ruff: noqa: PTH113, PTH118, PTH119, PTH120

import os

from mcp_e2e.world.contents import GONE
from mcp_e2e.world.git import GitFailed, status
from mcp_e2e.world.looking import Exclusions, Look
from mcp_e2e.world.porcelain import Change, Status, parsed
from mcp_e2e.world.walk import see_folder

DEEPEST = 4
GIT_SHARE = 0.6  # of the time left: what git cannot do must still be walked
_DERIVED = b"__pycache__"


def is_checkout(folder: str) -> bool:
    """Whether git would take it for the root of one; what only looks like it, git would pass by."""
    mark = os.path.join(folder, ".git")
    return os.path.isfile(mark) or os.path.isfile(os.path.join(mark, "HEAD"))


def checkout_of(folder: str) -> str | None:
    """The nearest root at or above a folder."""
    while not is_checkout(folder):
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
    return folder


def see_checkout(look: Look, root: str, label: bytes) -> None:
    """Counts a whole checkout.

    A commit of just what was on disk counts as a change, as HEAD does: it has moved, and what it now holds need not be
    compared. Staging does not, nor does the name of the branch.

    Raises:
        GitFailed: before anything is counted.
    """
    _Checkout(look, root, label).see(b"", loose=False, depth=0)


class _Checkout:
    def __init__(self, look: Look, root: str, label: bytes) -> None:
        self._look, self._root, self._label = look, root, label
        self._exclusions: Exclusions = look.exclusions(root)

    def see(self, expected: bytes, *, loose: bool, depth: int) -> None:
        """``expected``: the state of HEAD that goes without saying, because an outer checkout's HEAD implies it."""
        look = self._look
        found = parsed(status(look.git, self._root, look.budget.share(GIT_SHARE)))
        if (state := b"160000 " + found.head) != expected:
            look.record(self._label + b"\0HEAD", state, loose=loose)
        for path, change in sorted(found.changes.items()):
            if look.over:
                return
            if not self._counts(path, change):
                continue
            if change.nested:
                self._see_nested(path, change, loose=loose, depth=depth)
            else:
                self._see_file(path, change, found, loose=loose)

    def _counts(self, path: bytes, change: Change) -> bool:
        if not change.head and _DERIVED in path.split(b"/"):
            return False  # in a project without .gitignore every run of a test would be a new world
        return not self._exclusions.cover(self._place(path))

    def _place(self, path: bytes) -> str:
        return os.path.normpath(os.path.join(self._root, os.fsdecode(path)))

    def _see_file(self, path: bytes, change: Change, found: Status, *, loose: bool) -> None:
        state = self._look.state(self._place(path), mode=change.mode, algorithm=found.algorithm)
        if state != (change.head or GONE):  # a change that is staged and taken back is listed, and is none
            self._look.record(self._label + b"/" + path, state, loose=loose or not change.head)

    def _see_nested(self, path: bytes, change: Change, *, loose: bool, depth: int) -> None:
        place, label, loose = self._place(path), self._label + b"/" + path, loose or not change.head
        if not is_checkout(place):
            self._look.record(label, b"no checkout", loose=loose)  # or git would answer for the outer one
            self._look.file(label, place, loose=loose)
            see_folder(self._look, place, label, loose=loose)
        elif depth >= DEEPEST:
            self._look.note(f"checkouts lie more than {DEEPEST} deep in one another")
        else:
            try:
                _Checkout(self._look, place, label).see(change.head, loose=loose, depth=depth + 1)
            except GitFailed as failed:
                self._look.note(f"{failed}, about {os.path.basename(place)}")
                see_folder(self._look, place, label, loose=loose)
