"""Each layer of confinement tried once for real: applied in a child that then does what the layer has to prevent.

``python -I -S keeper.py --try-layers FOLDER`` prints ``{layer: why it does not hold, or null}``.
"""

from __future__ import annotations

import errno
import os
import sys

assert sys.platform != "win32"  # there are no layers

from . import layers
from .quiet import dumps


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
    if layer == "mounts":
        _write(f"{folder}/free")
    if layer == "landlock":
        _signal_own_child()
    try:
        _forbidden(layer, folder)
    except OSError as error:
        return "holds" if error.errno in (errno.EPERM, errno.EROFS) else f"{error}"
    return "it was applied, but prevents nothing"


def _forbidden(layer: str, folder: str) -> None:
    if layer == "mounts":
        _write(f"{folder}/locked/file")
    if layer == "landlock":
        os.kill(os.getppid(), 0)
    if layer == "seccomp":
        _limit_parent()


def _write(path: str) -> None:
    with open(path, "w"):  # noqa: PTH123
        pass


def _signal_own_child() -> None:
    child = os.fork()
    if child == 0:
        os.read(os.pipe()[0], 1)
        os._exit(0)
    os.kill(child, 9)
    os.waitpid(child, 0)


def _limit_parent() -> None:
    import resource  # noqa: PLC0415  only here

    resource.prlimit(os.getppid(), resource.RLIMIT_CORE)
