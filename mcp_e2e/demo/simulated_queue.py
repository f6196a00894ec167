"""The queue, worker, cache and history of the SIMULATED ComfyUI: one prompt at a time, all in memory."""

import hashlib
import json
import sys
import threading
import time
import traceback
from functools import partial
from typing import Any

from mcp_e2e.demo.simulated_nodes import NODES, Done, Interrupted, Studio
from mcp_e2e.demo.simulated_rules import Graph, is_link, upstream, validate
from mcp_e2e.demo.simulated_sockets import Sockets
from mcp_e2e.demo.simulated_telling import Telling

HISTORY_GAP_S = 0.03  # between the last message of a prompt and its history entry, as on the real server
Item = tuple[float, str, Graph, dict[str, Any], list[str]]  # number, id, graph, extra data, output nodes


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class NodeFailed(Exception):
    """A node raised; ``said`` is the body of the execution_error message."""

    def __init__(self, said: dict[str, Any]) -> None:
        super().__init__(said["exception_message"])
        self.said = said


class Engine:
    """Everything behind the HTTP routes. All public methods may be called from any thread."""

    def __init__(self, studio: Studio, run_seconds: float, sockets: Sockets) -> None:
        self.studio = studio
        self.sockets = sockets
        self.run_seconds = run_seconds
        self.history: dict[str, dict[str, Any]] = {}
        self.running: Item | None = None
        self.pending: list[Item] = []
        self._telling: Telling | None = None
        self._cache: dict[str, Done] = {}
        self._forget = False
        self._count = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._work, name="prompt worker", daemon=True).start()

    def post(self, body: dict[str, Any]) -> dict[str, Any]:
        """Queue a prompt; raises ``Rejected``. A refused one uses up a number too."""
        log("got prompt")
        with self._changed:
            number = float(body["number"]) if "number" in body else -self._count if body.get("front") else self._count
            self._count += 1
        accepted = validate(body["prompt"])
        extra = {**body.get("extra_data", {}), **({"client_id": body["client_id"]} if "client_id" in body else {})}
        item: Item = (number, str(body["prompt_id"]), body["prompt"], extra, accepted.outputs)
        with self._changed:
            self.pending.append(item)
            self._changed.notify_all()
        self._tell_status()
        return {"prompt_id": item[1], "number": number, "node_errors": accepted.node_errors}

    def queue(self) -> dict[str, list[Item]]:
        with self._changed:
            running = [self.running] if self.running else []
            return {"queue_running": running, "queue_pending": list(self.pending)}

    def status(self) -> dict[str, Any]:
        """What every socket is told whenever the queue changes."""
        return {"status": {"exec_info": {"queue_remaining": sum(map(len, self.queue().values()))}}}

    def node_of(self, client_id: str) -> str | None:
        """The node that executes now, when the running prompt is that client's."""
        telling = self._telling
        return telling.node if telling and telling.client_id == client_id else None

    def _tell_status(self) -> None:
        self.sockets.tell("status", self.status())

    def drop(self, ids: list[str] | None) -> None:
        """Take prompts out of the queue, all when ``ids`` is None; the running one stays and nothing is remembered."""
        with self._changed:
            self.pending = [item for item in self.pending if ids is not None and item[1] not in ids]
        self._tell_status()

    def interrupt(self, prompt_id: str | None) -> None:
        """Stop the running prompt; with an id only when it is that one. Otherwise nothing happens."""
        with self._changed:
            if self.running and prompt_id in (None, self.running[1]):
                self.studio.stop.set()

    def free(self) -> None:
        """Forget cached results, after the running prompt."""
        with self._changed:
            self._forget = True
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self.pending or self._forget)
                if self._forget:
                    self._cache, self._forget = {}, False
                    continue
                self.running = item = min(self.pending, key=lambda waiting: waiting[0])
                self.pending.remove(item)
                self.studio.stop.clear()
            self._tell_status()
            began = time.monotonic()
            self._telling = telling = Telling(self.sockets, item[1], item[3].get("client_id"))
            entry = self._run(item, telling)
            log(f"Prompt executed in {time.monotonic() - began:.2f} seconds")
            time.sleep(HISTORY_GAP_S)
            with self._changed:
                self.history[item[1]] = entry
                self.running = None
            self._tell_status()
            telling.over()

    def _run(self, item: Item, telling: Telling) -> dict[str, Any]:
        """Execute one prompt; its history entry."""
        _, _, graph, _, outputs = item
        order = list(dict.fromkeys(node for output in outputs for node in upstream(graph, output)))
        signatures: dict[str, str] = {}
        for node in order:
            signatures[node] = _signature(graph, node, signatures)
        cached = [node for node in order if signatures[node] in self._cache]
        results = {node: self._cache[signatures[node]] for node in cached}
        telling.event("execution_start")
        telling.event("execution_cached", nodes=cached)
        try:
            if len(cached) < len(order):
                self.studio.work(self.run_seconds)
            for node in order:
                if node not in results:
                    results[node] = self._execute(graph, node, results, telling)
                elif node in outputs:
                    telling.showed(node, results[node].shown)
                    telling.finished(node)
            telling.event("execution_success")
        except Interrupted:
            node = telling.node or ""
            name = graph[node]["class_type"] if node else ""
            telling.event("execution_interrupted", node_id=node, node_type=name, executed=list(results))
        except NodeFailed as failed:
            telling.event("execution_error", **failed.said, executed=list(results))
        telling.node = None
        # Only the latest prompt's results stay; what was finished before an error or interrupt stays for the retry.
        self._cache = {signatures[node]: result for node, result in results.items()}
        success = telling.kept[-1][0] == "execution_success"
        shown = {node: results[node].shown for node in outputs if success and results[node].shown}
        return {
            "prompt": item,
            "outputs": shown,
            "status": {
                "status_str": "success" if success else "error",
                "completed": success,
                "messages": telling.kept,
            },
            "meta": {
                node: {"node_id": node, "display_node": node, "parent_node": None, "real_node_id": node}
                for node in shown
            },
        }

    def _execute(self, graph: Graph, node: str, results: dict[str, Done], telling: Telling) -> Done:
        telling.began(node)
        self.studio.step = partial(telling.stepped, node)
        if self.studio.stop.is_set():
            raise Interrupted
        name, given = graph[node]["class_type"], graph[node].get("inputs", {})
        node_class = NODES[name]
        known = {**node_class.required, **node_class.optional}
        take = {
            key: results[value[0]].values[value[1]] if is_link(value) else _typed(known[key][0], value)
            for key, value in given.items()
            if key in known
        }
        try:
            done = node_class.run(self.studio, take)
        except Interrupted:
            raise
        except Exception as error:  # a node may raise anything; the worker has to survive it
            log(f"!!! Exception during processing !!! {error}")
            module = type(error).__module__
            said = {
                "node_id": node,
                "node_type": name,
                "exception_message": f"{error}\n",
                "exception_type": ("" if module == "builtins" else f"{module}.") + type(error).__qualname__,
                "traceback": traceback.format_tb(error.__traceback__),
                "current_inputs": {},
                "current_outputs": [],
            }
            raise NodeFailed(said) from error
        if done.shown is not None:
            telling.showed(node, done.shown)
        telling.finished(node)
        return done


def _typed(kind: object, value: Any) -> Any:
    return int(value) if kind == "INT" else float(value) if kind == "FLOAT" else value


def _signature(graph: Graph, node: str, known: dict[str, str]) -> str:
    """Equal for equal work: class, inputs (unknown extra ones too) and what feeds it; a saving node also its id."""
    name = graph[node]["class_type"]
    inputs = {
        key: ["link", known[value[0]], value[1]] if is_link(value) else value
        for key, value in graph[node].get("inputs", {}).items()
        if not is_link(value) or value[0] in known
    }
    text = json.dumps([name, inputs, node if NODES[name].saves else None], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
