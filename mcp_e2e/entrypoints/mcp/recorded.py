"""``opening.json``: what the live server answers to a client's first requests, and the code of which that is true.

``record`` makes the file. Part of the quick start: nothing but cheap modules of the standard library may be imported
here.
"""

import json
import os
import sys
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from mcp_e2e import __version__

_HERE = os.path.dirname(__file__)  # noqa: PTH120  pathlib takes longer to import than all of the quick start may
_PACKAGE = os.path.dirname(os.path.dirname(_HERE))  # noqa: PTH120
PATH = os.path.join(_HERE, "opening.json")  # noqa: PTH118

Results = Mapping[str, Mapping[str, Any]]  # protocol version -> method -> result


def load() -> Results:
    """The answers by protocol version and method; none where they may not be those of this code and this SDK."""
    try:
        with open(PATH, "rb") as file:  # noqa: PTH123
            kept = json.load(file)
        if kept["of"] != {"mcp_e2e": __version__, "mcp": kept["of"]["mcp"], "sources": sources()}:
            return {}
        if not _is_installed("mcp", kept["of"]["mcp"]):
            return {}
        results: dict[str, dict[str, Any]] = {}
        for row in kept["answers"]:
            for version in row["versions"]:
                results.setdefault(version, {})[row["method"]] = row["result"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}
    return results


def sources() -> str:
    """A checksum of the files that the answers are made of."""
    found = 0
    for path in _files():
        with open(path, "rb") as file:  # noqa: PTH123
            found = zlib.crc32(file.read().replace(b"\r\n", b"\n"), found)
    return f"{found:08x}"


def _files() -> Iterable[str]:
    """All of this room, the answers' model, and the prompts."""
    yield os.path.join(_PACKAGE, "model", "answers.py")  # noqa: PTH118
    prompts = os.path.join(_PACKAGE, "_prompts")  # noqa: PTH118
    if not os.path.isdir(prompts):  # noqa: PTH112  a checkout
        prompts = os.path.join(os.path.dirname(_PACKAGE), "agent-prompts")  # noqa: PTH118, PTH120
    for folder, ending in ((_HERE, ".py"), (prompts, ".md")):
        names = sorted(name for name in os.listdir(folder) if name.endswith(ending))  # noqa: PTH208
        yield from (os.path.join(folder, name) for name in names)  # noqa: PTH118


def _is_installed(package: str, version: str) -> bool:
    """Whether an import would find that version; ``importlib.metadata`` takes ten times longer to say so."""
    for place in sys.path:
        if os.path.isfile(os.path.join(place, package, "__init__.py")):  # noqa: PTH113, PTH118
            return os.path.isdir(os.path.join(place, f"{package}-{version}.dist-info"))  # noqa: PTH112, PTH118
    return False
