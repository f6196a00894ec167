"""The routes of the SIMULATED ComfyUI: a path and a request in, a JSON value or a reply out."""

import sys
import uuid
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from mcp_e2e.demo.simulated_jobs import jobs
from mcp_e2e.demo.simulated_log import log
from mcp_e2e.demo.simulated_nodes import NODES
from mcp_e2e.demo.simulated_queue import Engine
from mcp_e2e.demo.simulated_rules import Rejected
from mcp_e2e.demo.simulated_sockets import FEATURES
from mcp_e2e.demo.simulated_studio import VRAM_TOTAL
from mcp_e2e.demo.simulated_view import Query, Refusal, Reply, view

VERSION = "0.0.0-simulated"
RAM_TOTAL = 16 << 30


class Api:
    """``gets`` and ``posts`` by the first part of the path; ``posts`` by the whole of it. Any error is status 500."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.gets: dict[str, Callable[[str, Query], Any]] = {
            "system_stats": self._system_stats,
            "features": lambda _rest, _query: FEATURES,
            "prompt": lambda _rest, _query: engine.status()["status"],
            "queue": lambda _rest, _query: engine.queue(),
            "history": self._history,
            "object_info": self._object_info,
            "view": lambda _rest, query: view(engine.studio, query),
        }
        self.posts: dict[str, Callable[[Any], Any]] = {
            "prompt": self._post_prompt,
            "queue": self._change_queue,
            "history": self._change_history,
            "interrupt": lambda body: engine.interrupt(body.get("prompt_id")),
            "free": self._free,
            "simulated/drop-sockets": lambda _body: {"dropped": engine.sockets.drop_all()},
        }

    def jobs(self, rest: str, query: Query) -> Reply | Mapping[str, Any]:
        """``/api/jobs``, which has no path without ``/api``."""
        if not self.engine.version.jobs:
            raise Refusal(HTTPStatus.NOT_FOUND)
        return jobs(self.engine, rest, query)

    def _system_stats(self, _rest: str, _query: Query) -> dict[str, Any]:
        free = self.engine.studio.vram_free()
        memory = {"vram_total": VRAM_TOTAL, "vram_free": free, "torch_vram_total": VRAM_TOTAL, "torch_vram_free": free}
        return {
            "system": {
                "os": sys.platform,
                "ram_total": RAM_TOTAL,
                "ram_free": RAM_TOTAL // 2,
                "comfyui_version": VERSION,
                "python_version": sys.version,
                "pytorch_version": "none (simulated)",
                "embedded_python": False,
                "argv": sys.argv,
            },
            "devices": [{"name": "simulated", "type": "cpu", "index": None, **memory}],
        }

    def _history(self, rest: str, query: Query) -> dict[str, Any]:
        entries = dict(self.engine.history)
        if rest:
            return {rest: entries[rest]} if rest in entries else {}
        most, first = int(query.get("max_items", len(entries))), int(query.get("offset", -1))
        if first < 0:
            first = max(len(entries) - most, 0)
        return dict(list(entries.items())[first : first + most])

    def _object_info(self, rest: str, _query: Query) -> dict[str, Any]:
        return {name: node.describe(name, self.engine.studio) for name, node in NODES.items() if rest in ("", name)}

    def _post_prompt(self, body: dict[str, Any]) -> dict[str, Any]:
        log("got prompt")
        number = self.engine.take_number(body)
        if "prompt" not in body:
            raise Rejected("no_prompt", "No prompt provided", "No prompt provided")
        strict = self.engine.version.uuid_only
        wanted = body.get("prompt_id", str(uuid.uuid4()))
        if strict and wanted is None:
            wanted = str(uuid.uuid4())
        if strict and not _canonical(wanted):
            raise Rejected("invalid_prompt_id", "prompt_id is no canonical lower-case UUID", repr(wanted))
        return self.engine.post({**body, "prompt_id": str(wanted)}, number)

    def _change_queue(self, body: dict[str, Any]) -> None:
        if body.get("clear"):
            self.engine.drop(None)
        if "delete" in body:
            self.engine.drop([str(wanted) for wanted in body["delete"]])

    def _change_history(self, body: dict[str, Any]) -> None:
        doomed = list(self.engine.history) if body.get("clear") else body.get("delete", ())
        for prompt_id in doomed:
            self.engine.history.pop(str(prompt_id), None)

    def _free(self, body: dict[str, Any]) -> None:
        wishes = {wish: bool(body.get(wish)) for wish in ("unload_models", "free_memory")}
        if any(wishes.values()):
            self.engine.free(**wishes)


def _canonical(prompt_id: object) -> bool:
    try:
        return str(uuid.UUID(str(prompt_id))) == prompt_id
    except ValueError:
        return False
