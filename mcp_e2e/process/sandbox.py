"""How far a command is kept from everything else on this machine: what holds here, found out once per boot.

Levels add up, each with what the kernel then refuses to the command. ``process``, a session of its own without
terminal and input, killed as a whole, is always there and refuses nothing.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from mcp_e2e.errors import Unsupported
from mcp_e2e.model.jobs import Confinement
from mcp_e2e.process.identity import boot_id
from mcp_e2e.process.keeping.target import CLIENT_JOB
from mcp_e2e.process.spare import keeper_command

Mode = Literal["auto", "required", "off"]
TRIAL_S = 30.0
_LAYERS = tuple(Path(__file__).with_name("keeping") / name for name in ("confine.py", "seatbelt.py"))
_KNOWN = {"linux": ("mounts", "landlock", "seccomp"), "darwin": ("seatbelt",)}.get(sys.platform, ())
_LETS_SIGNAL = {"landlock": (), "seatbelt": ("seatbelt-files",)}  # what is left of a layer for who has to end a service
_BLOCKS = {
    "mounts": "writing into the state folder's private part",
    "landlock": "signals to and tracing of processes it did not start; sudo and other ways to more rights",
    "seccomp": "ending or changing the whole machine (reboot, modules, clock), limits of other processes",
    "cgroup": "more memory and processes than [exec] memory_mb and processes allow",
    "seatbelt": "writing into the state folder's private part; signals to processes it did not start",
    "seatbelt-files": "writing into the state folder's private part",
}
_HINTS = (
    (re.compile(r"no new privileges|sudo: .*root|must be setuid root|effective uid is not 0"), "landlock"),
    (re.compile(r"Read-only file system"), "mounts"),
    (re.compile(r"Operation not permitted|must be superuser|EPERM"), ""),
)


@dataclass(frozen=True)
class Sandbox:
    """``level``: the layers in force, in order, joined by ``+``; ``blocked``: what they refuse, in words."""

    level: str = "process"
    blocked: tuple[str, ...] = ()


def ends_with_client(layers: Sequence[str]) -> bool:
    """Windows: the job runs within a job object of the client that did not let it go, and dies when that closes."""
    return CLIENT_JOB in layers


def level(layers: Sequence[str]) -> Sandbox:
    """As told in every result."""
    known = [name for name in _BLOCKS if name in layers]
    return Sandbox("+".join(("process", *known)), tuple(_BLOCKS[name] for name in known))


def hint(layers: Sequence[str], output: str) -> str | None:
    """One sentence when what a failed command said looks like a refusal of the sandbox."""
    for pattern, layer in _HINTS:
        if layers and (not layer or layer in layers) and pattern.search(output):
            blocked = "; ".join(level([layer] if layer else layers).blocked)
            return f'If the sandbox is in its way (it refuses: {blocked}), a person can set [exec] sandbox = "off".'
    return None


def confinement(mode: Mode, private: Path, *, may_signal_service: bool = False) -> Confinement:
    """What to ask of the keeper for a command of the project whose private folder this is. Blocks at its first call.

    Raises:
        Unsupported: ``required``, and a layer does not hold on this system; named with the reason.
    """
    if mode == "off":
        return Confinement()
    held = {name: why for name, why in tried(private).items() if name in _KNOWN}
    missing = {name: why for name, why in held.items() if why is not None}
    if mode == "required" and (missing or not held):
        told = "; ".join(f"{name}: {why}" for name, why in missing.items()) or "none is known for this system"
        raise Unsupported(
            f'[exec] sandbox = "required", and it does not hold here ({told})',
            remedy='Set sandbox = "auto" to run with what this system offers; every result names the level reached.',
        )
    layers = [name for name in held if name not in missing]
    if may_signal_service:
        layers = [left for name in layers for left in _LETS_SIGNAL.get(name, (name,))]
    return Confinement(tuple(layers), (private,), required=mode == "required")


def tried(private: Path) -> Mapping[str, str | None]:
    """Each layer this system might have, with why it does not hold (None: it does). Tried once per boot and user.

    A trial that could not be made itself holds for this call only.
    """
    if not _KNOWN:
        return {}
    try:
        return _tried(private, boot_id(), _user())
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return dict.fromkeys(_KNOWN, f"its trial failed: {error}")


def tried_now(within_s: float) -> Mapping[str, str | None]:
    """As ``tried``, for who only looks: in a folder of its own, and nothing is kept."""
    try:
        with tempfile.TemporaryDirectory(prefix="mcp-e2e-", ignore_cleanup_errors=True) as folder:
            held = _try(Path(folder), within_s)
            return {name: why for name, why in held.items() if name in _KNOWN}
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return dict.fromkeys(_KNOWN, f"its trial failed: {error}")


if sys.platform == "win32":

    def _user() -> int:
        return 0

else:

    def _user() -> int:
        return os.getuid()


@cache
def _tried(private: Path, boot: str, uid: int) -> Mapping[str, str | None]:
    kept, mark = private / "sandbox.json", [boot, uid, *(file.stat().st_mtime_ns for file in _LAYERS)]
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        stored = json.loads(kept.read_text("utf-8"))
        if stored["of"] == mark:
            return dict(stored["held"])
    held = _try(private, TRIAL_S)
    with contextlib.suppress(OSError):  # a full disk: the next process tries again
        draft = kept.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps({"of": mark, "held": held}), "utf-8")
        draft.replace(kept)
    return held


def _try(private: Path, within_s: float) -> dict[str, str | None]:
    with tempfile.TemporaryDirectory(prefix="trial-", dir=private, ignore_cleanup_errors=True) as folder:
        done = subprocess.run(
            [*keeper_command(), "--try-layers", folder],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=within_s,
            check=True,
        )
    return dict(json.loads(done.stdout))
