"""A control group (cgroup v2) for the tree of one command, where this user has been given one that can limit.

A group holds what the keeper's look at the tree, twice a second, can only find out afterwards: its limits cannot be
passed, and its end leaves nobody behind. Most desktops give a user none; containers and systemd scopes may.
"""

# ruff: noqa: PTH102, PTH106, PTH110, PTH123, PTH208

from __future__ import annotations

import os

from .quiet import TYPE_CHECKING, quietly

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_LIMITS = {"memory": "memory_bytes", "pids": "processes"}  # of model.jobs.ResourceLimits, by their controllers
_PREFIX = "mcp-e2e-"
_looked = False
_above: tuple[str, set[str]] | None = None


class Group:
    def __init__(self, folder: str) -> None:
        self._folder = folder

    def join(self) -> None:
        """This process, before it executes anything, and so all that come from it. Raises OSError."""
        _write(f"{self._folder}/cgroup.procs", "0")

    def outgrown(self) -> str | None:
        """The limit that the group was held at, ``memory`` or ``processes``; None while it was at none."""
        if self._events("memory.events", "oom_kill"):
            return "memory"
        return "processes" if self._events("pids.events", "max") else None

    def kill(self) -> None:
        with quietly(OSError):
            _write(f"{self._folder}/cgroup.kill", "1")

    def remove(self) -> None:
        """Nothing is left of it once its last process has gone."""
        with quietly(OSError):
            os.rmdir(self._folder)

    def _events(self, name: str, event: str) -> int:
        with quietly(OSError), open(f"{self._folder}/{name}", encoding="ascii") as file:
            return next((int(line.split()[1]) for line in file if line.split()[0] == event), 0)
        return 0


def parent() -> tuple[str, set[str]] | None:
    """Our own group's folder and what can be limited below it; looked for once; what killed keepers left goes."""
    global _above, _looked
    if not _looked:
        _above, _looked = _usable(_own()), True
    return _above


def made(limits: Mapping[str, Any]) -> Group | None:
    """A new group with these limits (``model.jobs.ResourceLimits``); None where there can be none."""
    wanted = {name: limits[key] for name, key in _LIMITS.items() if limits.get(key) is not None}
    if not wanted or (above := parent()) is None or not wanted.keys() <= above[1]:
        return None
    folder = f"{above[0]}/{_PREFIX}{os.getpid()}"
    group = Group(folder)
    try:
        os.mkdir(folder)
        for name, limit in wanted.items():
            _write(f"{folder}/{name}.max", str(limit))
        if "memory" in wanted:
            _write(f"{folder}/memory.oom.group", "1")
            with quietly(OSError):  # swap is not counted by every kernel
                _write(f"{folder}/memory.swap.max", "0")
    except OSError:
        group.remove()
        return None
    return group


def _usable(own: str | None) -> tuple[str, set[str]] | None:
    if own is None:
        return None
    with quietly(OSError):
        with open(f"{own}/cgroup.subtree_control", encoding="ascii") as file:
            limiting = set(_LIMITS) & set(file.read().split())
        if limiting and os.access(own, os.W_OK):
            for name in os.listdir(own):
                if name.startswith(_PREFIX) and not os.path.exists(f"/proc/{name[len(_PREFIX) :]}"):
                    Group(f"{own}/{name}").remove()  # a killed keeper's; one that holds a process stays
            return own, limiting
    return None


def _own() -> str | None:
    with quietly(OSError):
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            path = next((line[3:].rstrip("\n") for line in file if line.startswith("0::")), None)
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            for words in map(str.split, file):
                if path is not None and words[words.index("-") + 1] == "cgroup2":
                    inner = os.path.relpath(path, words[3])
                    return None if inner.startswith("..") else os.path.normpath(f"{words[4]}/{inner}")
    return None


def _write(name: str, text: str) -> None:
    with open(name, "w", encoding="ascii") as file:
        file.write(text)
