"""In what the versions of ComfyUI are known to differ on the wire: the one table that the tests of it ask."""

from collections.abc import Mapping
from typing import Any

from .conftest import Backend

# The value for each family of versions (a Backend's ``family``).
DIFFERS: Mapping[str, Mapping[str, Any]] = {
    "a cached repeat without client_id has outputs": {"0.3": True, "0.9": False, "0.33": True},
    "extra_data has create_time": {"0.3": False, "0.9": True, "0.33": True},
    "any text is a prompt_id": {"0.3": True, "0.9": True, "0.33": False},
    "type of an unknown class": {"0.3": "invalid_prompt", "0.9": "invalid_prompt", "0.33": "missing_node_type"},
    "a workflow in UI format": {"0.3": (400, "invalid_prompt"), "0.9": (400, "invalid_prompt"), "0.33": (500, None)},
    "nodes that complain of a cycle": {"0.3": set(), "0.9": set(), "0.33": {"dependency_cycle"}},
    "/api/jobs": {"0.3": False, "0.9": True, "0.33": True},
}


def differs(what: str, backend: Backend) -> Any:
    return DIFFERS[what][backend.family]
