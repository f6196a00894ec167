"""The queue, worker and history of the SIMULATED ComfyUI: one prompt at a time, all in memory."""

import heapq
import threading
import time
from collections.abc import Mapping
from typing import Any

from mcp_e2e.demo.simulated_cache import Cache
from mcp_e2e.demo.simulated_execution import Execution
from mcp_e2e.demo.simulated_log import log
from mcp_e2e.demo.simulated_rules import Graph, validate
from mcp_e2e.demo.simulated_sockets import Sockets
from mcp_e2e.demo.simulated_studio import Studio
from mcp_e2e.demo.simulated_telling import Telling
from mcp_e2e.demo.simulated_versions import Version

HISTORY_GAP_S = 0.03  # between the last message of a prompt and its history entry, as on the real server
MOST_HISTORY = 10_000
Item = tuple[float, str, Graph, dict[str, Any], list[str]]  # number, id, graph, extra data, output nodes


class Engine:
    """Everything behind the HTTP routes. All public methods may be called from any thread."""

    def __init__(self, studio: Studio, cache: Cache, sockets: Sockets, version: Version, run_seconds: float) -> None:
        self.studio = studio
        self.sockets = sockets
        self.version = version
        self.history: dict[str, dict[str, Any]] = {}
        self._cache = cache
        self._run_seconds = run_seconds
        self._running: Item | None = None
        # A heap of tuples, as on the real server, with what follows from that: two waiting prompts of equal number and
        # id but other graphs cannot be compared, the POST fails though the prompt is queued, and the worker may die.
        self._pending: list[Item] = []
        self._telling: Telling | None = None
        self._free: dict[str, bool] = {}
        self._count = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._work, name="prompt worker", daemon=True).start()

    def post(self, body: Mapping[str, Any], number: float) -> dict[str, Any]:
        """Queue a prompt under a number that ``take_number`` gave; raises ``Rejected``."""
        accepted = validate(body["prompt"], body.get("partial_execution_targets"), self.studio, self.version)
        extra = body.get(
            "extra_data", {}
        )  # null is no object: status 500, or a dead worker where nothing is added here
        if "client_id" in body:
            extra = {**extra, "client_id": body["client_id"]}
        if self.version.create_time:
            extra = {**extra, "create_time": int(time.time() * 1000)}
        prompt_id = str(body["prompt_id"])
        with self._changed:
            try:
                heapq.heappush(self._pending, (number, prompt_id, body["prompt"], extra, accepted.outputs))
            finally:
                self._changed.notify_all()
        self._tell_status()
        return {"prompt_id": prompt_id, "number": number, "node_errors": accepted.node_errors}

    def take_number(self, body: Mapping[str, Any]) -> float:
        """The priority of a posted prompt, lowest first; one that is refused afterwards uses it up too."""
        with self._changed:
            if "number" in body:
                return float(body["number"])
            self._count += 1
            return 1 - self._count if "front" in body and bool(body["front"]) else self._count - 1

    def queue(self) -> dict[str, list[Item]]:
        with self._changed:
            running = [self._running] if self._running else []
            return {"queue_running": running, "queue_pending": list(self._pending)}

    def status(self) -> dict[str, Any]:
        """What every socket is told whenever the queue changes."""
        return {"status": {"exec_info": {"queue_remaining": sum(map(len, self.queue().values()))}}}

    def node_of(self, client_id: str) -> str | None:
        """The node that executes now, when the running prompt is that client's."""
        telling = self._telling
        return telling.node if telling and telling.client_id == client_id else None

    def drop(self, ids: list[str] | None) -> None:
        """Take prompts out of the queue, all when ``ids`` is None; the running one stays and nothing is remembered."""
        with self._changed:
            self._pending = [] if ids is None else _without(self._pending, ids)
            heapq.heapify(self._pending)
        self._tell_status()

    def interrupt(self, prompt_id: str | None) -> None:
        """Stop the running prompt; with an id only when it is that one. Otherwise nothing happens."""
        with self._changed:
            if self._running and prompt_id in (None, self._running[1]):
                self.studio.stop.set()

    def free(self, *, unload_models: bool, free_memory: bool) -> None:
        """Wish for memory; the worker grants it when it next has nothing in hand, so maybe after a prompt or two."""
        with self._changed:
            self._free |= {"unload_models": unload_models, "free_memory": free_memory}
            self._changed.notify_all()

    def _tell_status(self) -> None:
        self.sockets.tell("status", self.status())

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._free)
                if self._pending:
                    self._running = heapq.heappop(self._pending)
                    self.studio.stop.clear()
            if self._running:
                self._run(self._running)
            with self._changed:
                wishes, self._free = self._free, {}
            self._release(wishes)

    def _run(self, item: Item) -> None:
        number, prompt_id, graph, extra, outputs = item
        self._tell_status()
        began = time.monotonic()
        self._telling = telling = Telling(self.sockets, prompt_id, extra.get("client_id"))
        self.studio.embedded = {"prompt": graph, **(extra.get("extra_pnginfo") or {})}
        execution = Execution(graph, outputs, telling, self.studio, self._cache)
        shows = self.version.cached_shows_to_all or telling.client_id is not None
        success = execution.run(self._run_seconds, cached_shows=shows)
        self.studio.loaded &= self._cache.weights()
        log(f"Prompt executed in {time.monotonic() - began:.2f} seconds")
        time.sleep(HISTORY_GAP_S)
        shown = execution.shown if success else {}
        names = {node: dict.fromkeys(("node_id", "display_node", "real_node_id"), node) for node in shown}
        with self._changed:
            self.history[prompt_id] = {
                "prompt": (number, prompt_id, graph, extra, outputs),
                "outputs": shown,
                "status": {
                    "status_str": "success" if success else "error",
                    "completed": success,
                    "messages": telling.kept,
                },
                "meta": {node: {**name, "parent_node": None} for node, name in names.items()},
            }
            if len(self.history) > MOST_HISTORY:
                del self.history[next(iter(self.history))]
            self._running = None
        self._tell_status()
        telling.over()

    def _release(self, wishes: Mapping[str, bool]) -> None:
        if wishes.get("free_memory"):
            self._cache.clear()
        if wishes.get("unload_models"):
            self.studio.loaded.clear()
        self.studio.freed |= any(wishes.values())


def _without(pending: list[Item], ids: list[str]) -> list[Item]:
    """``pending`` less the first of each id, as the real one does it."""
    left = list(pending)
    for prompt_id in ids:
        found = next((item for item in left if item[1] == prompt_id), None)
        if found:
            left.remove(found)
    return left
