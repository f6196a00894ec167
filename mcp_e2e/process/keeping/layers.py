"""The layers of confinement that this system has, applied between fork and exec."""

from __future__ import annotations

import sys

from .quiet import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

if sys.platform == "linux":
    from .confine import LAYERS as _KNOWN
elif sys.platform == "darwin":
    from .seatbelt import LAYERS as _KNOWN
else:
    _KNOWN: Mapping[str, Callable[[Mapping[str, Any]], None]] = {}

LAYERS: Mapping[str, Callable[[Mapping[str, Any]], None]] = _KNOWN


def apply(layers: Sequence[str], rules: Mapping[str, Any]) -> dict[str, str]:
    """Confines this process and all its descendants for ever; answers which layers could not be applied, and why.

    ``rules["read_only"]``: folders that are made unwritable.
    """
    missing: dict[str, str] = {}
    for name, layer in LAYERS.items():
        if name in layers:
            try:
                layer(rules)
            except OSError as error:
                missing[name] = error.strerror or str(error)
    return missing
