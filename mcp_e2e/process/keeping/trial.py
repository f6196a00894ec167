"""Each layer of confinement tried once for real: applied in a child that then does what the layer has to prevent.

``python -I -S keeper.py --try-layers FOLDER`` prints ``{layer: why it does not hold, or null}``.
"""

from __future__ import annotations

import errno
import os
import sys

assert sys.platform != "win32"  # there are no layers

from . import layers
from .quiet import TYPE_CHECKING, dumps

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping

    Acts = tuple[Callable[[str], None], ...]
else:
    import _signal as signal


def main(folder: str) -> None:
    """``folder``: an empty one on the file system of the state folder."""
    os.mkdir(f"{folder}/locked", 0o700)  # noqa: PTH102
    found = {name: _tried(name, folder) for name in layers.LAYERS}
    os.write(1, dumps(found).encode() + b"\n")


def _tried(layer: str, folder: str) -> str | None:
    told, telling = os.pipe()
    child = os.fork()
    if child == 0:
        why = "the trial failed"
        try:
            why = _in_child(layer, folder)
        except Exception as error:
            why = repr(error)
        finally:
            os.write(telling, why.encode(errors="backslashreplace")[:1000])
            os._exit(0)
    os.close(telling)
    said = os.read(told, 4096).decode("utf-8", "replace")
    os.close(told)
    os.waitpid(child, 0)
    return said if said != "holds" else None


def _in_child(layer: str, folder: str) -> str:
    missing = layers.apply((layer,), {"read_only": [f"{folder}/locked"]})
    if missing:
        return missing[layer]
    possible, forbidden = _TRIED[layer]
    for act in possible:
        act(folder)
    for act in forbidden:
        try:
            act(folder)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EROFS):
                return f"{error}"
        else:
            return "it was applied, but does not prevent all it has to"
    return "holds"


def _write_beside(folder: str) -> None:
    _write(f"{folder}/free")


def _write_within(folder: str) -> None:
    _write(f"{folder}/locked/file")


def _write(path: str) -> None:
    with open(path, "w"):  # noqa: PTH123
        pass


def _signal_own_child(_folder: str) -> None:
    child = os.fork()
    if child == 0:
        os.read(os.pipe()[0], 1)
        os._exit(0)
    os.kill(child, 9)
    os.waitpid(child, 0)


def _signal_parent(_folder: str) -> None:
    os.kill(os.getppid(), signal.SIGCONT)  # which it does not notice


if sys.platform == "linux":

    def _limit_parent(_folder: str) -> None:
        import resource  # noqa: PLC0415  only here

        resource.prlimit(os.getppid(), resource.RLIMIT_CORE)

    # what has to be possible still, and what not any more
    _TRIED: Mapping[str, tuple[Acts, Acts]] = {
        "mounts": ((_write_beside,), (_write_within,)),
        "landlock": ((_signal_own_child,), (_signal_parent,)),
        "seccomp": ((), (_limit_parent,)),
    }
else:
    _TRIED = {
        "seatbelt": ((_write_beside, _signal_own_child), (_write_within, _signal_parent)),
        "seatbelt-files": ((_write_beside, _signal_parent), (_write_within,)),
    }
