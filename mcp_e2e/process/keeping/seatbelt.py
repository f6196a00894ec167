"""macOS: what a command is kept from by Seatbelt, applied between fork and exec.

By ``sandbox_init`` and not by the program ``sandbox-exec``: both apply the same profile, but with the program in
between the kernel would report its start instead of the command's, and why a command cannot be executed would be lost.
Apple calls both deprecated, and uses both. A process can be confined once, so each layer here is a whole profile.
"""

from __future__ import annotations

import ctypes
import os
import sys

from .quiet import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

# the last rule that matches holds; "others" as a target was found to deny nothing on new releases
_SIGNALS = "(deny signal)\n(allow signal (target self))\n(allow signal (target same-sandbox))\n"


def profile(read_only: Sequence[str], *, signals: bool) -> str:
    """Everything is allowed but writing below the folders and, with ``signals``, signals out of the sandbox.

    The kernel compares real paths: on macOS ``/tmp`` and ``/var`` are links.
    """
    denied = "".join(f"(deny file-write* (subpath {_quoted(os.path.realpath(folder))}))\n" for folder in read_only)
    return f"(version 1)\n(allow default)\n{denied}{_SIGNALS if signals else ''}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


if sys.platform == "darwin":

    def _apply(text: str) -> None:
        library = ctypes.CDLL("/usr/lib/libSystem.dylib")
        why = ctypes.c_char_p()
        library.sandbox_init.argtypes = [ctypes.c_char_p, ctypes.c_uint64, ctypes.POINTER(ctypes.c_char_p)]
        if library.sandbox_init(os.fsencode(text), 0, ctypes.byref(why)):
            raise OSError(1, (why.value or b"refused without a reason").decode("utf-8", "replace"))

else:

    def _apply(_text: str) -> None:
        raise OSError(1, "this system has no Seatbelt")


def _all(rules: Mapping[str, Any]) -> None:
    _apply(profile(rules["read_only"], signals=True))


def _files(rules: Mapping[str, Any]) -> None:
    _apply(profile(rules["read_only"], signals=False))


LAYERS = {"seatbelt": _all, "seatbelt-files": _files}
