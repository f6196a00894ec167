"""What this version writes, and what it can read: formats of a job's files, and of which program a keeper is.

A server and a keeper may be of different versions: the package is upgraded while a service goes on for days.
"""

from __future__ import annotations

from .quiet import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

PROGRAM = "0.1.0"  # as mcp_e2e.__version__, which a keeper cannot import
SCHEMA = 1
_READABLE = (SCHEMA,)

# what an earlier version did not write yet, as if its writer had asked for nothing
_SPEC: dict[str, Any] = {
    "labels": {},
    "ready": None,
    "liveness": None,
    "liveness_every_s": 10.0,
    "limits": {},
    "confinement": {},
    "log_keep_bytes": None,
    "idle_stop_s": None,
    "leases": None,
    "created_at": 0.0,
}
_LOOK: dict[str, Any] = {"log": None, "exec": [], "http": None, "port": None}
_PARTS: dict[str, dict[str, Any]] = {
    "ready": _LOOK,
    "liveness": _LOOK,
    "limits": {"memory_bytes": None, "processes": None, "file_bytes": None},
    "confinement": {"layers": [], "read_only": [], "required": False},
}
_STATE: dict[str, Any] = {"lives": [], "retry_at": None, "layers": []}
_LIFE = {"ready_at": None, "cause": None}


def unreadable(stored: Mapping[str, Any]) -> str | None:
    """Why nothing may be made of this spec or state, in words; None when it is understood."""
    schema = stored.get("schema")
    return None if schema in _READABLE else f"has format {schema!r}, and this version of mcp_e2e reads {SCHEMA}"


def whole_spec(stored: Mapping[str, Any]) -> dict[str, Any]:
    """With all that this version asks for, whoever wrote it."""
    spec = {**_SPEC, **stored}
    return {**spec, **{name: {**blank, **spec[name]} for name, blank in _PARTS.items() if spec[name] is not None}}


def whole_state(stored: Mapping[str, Any]) -> dict[str, Any]:
    state = {**_STATE, **stored}
    return {**state, "lives": [{**_LIFE, **life} for life in state["lives"]]}
