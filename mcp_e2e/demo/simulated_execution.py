"""One run of one prompt on the SIMULATED ComfyUI: what executes, what is told meanwhile, what the history keeps."""

import traceback
from functools import partial
from typing import Any

from mcp_e2e.demo.simulated_cache import Cache
from mcp_e2e.demo.simulated_faults import OutOfMemory
from mcp_e2e.demo.simulated_log import log
from mcp_e2e.demo.simulated_nodes import NODES
from mcp_e2e.demo.simulated_rules import Graph, is_link, upstream
from mcp_e2e.demo.simulated_studio import Done, Interrupted, Studio
from mcp_e2e.demo.simulated_telling import Telling


class NodeFailed(Exception):
    """A node raised; ``said`` is its part of the execution_error message."""

    def __init__(self, said: dict[str, Any]) -> None:
        super().__init__(said["exception_message"])
        self.said = said


class Execution:
    """Call ``run`` once. ``outputs`` are the output nodes that shall run."""

    def __init__(self, graph: Graph, outputs: list[str], telling: Telling, studio: Studio, cache: Cache) -> None:
        self._graph = graph
        self._outputs = outputs
        self._telling = telling
        self._studio = studio
        self._cache = cache
        self._results: dict[str, Done] = {}
        self.shown: dict[str, Any] = {}  # what output nodes gave, by node; the cached ones not for every client

    def run(self, extra_seconds: float, *, cached_shows: bool) -> bool:
        """Whether it went well. ``extra_seconds`` pass first, if anything executes at all."""
        order = list(dict.fromkeys(node for output in self._outputs for node in upstream(self._graph, output)))
        signatures = self._cache.signatures(self._graph, order, self._studio)
        cached = {node: done for node in order if (done := self._cache.get(signatures[node]))}
        self._results = dict(cached)
        self._telling.event("execution_start")
        self._telling.event("execution_cached", nodes=list(cached))
        try:
            self._studio.work(extra_seconds if len(cached) < len(order) else 0)
            for node in order:
                if node in cached:
                    self._repeat(node, cached[node], shows=cached_shows)
                else:
                    self._execute(node)
            self._telling.event("execution_success")
        except Interrupted:
            self._telling.event("execution_interrupted", **self._where(), executed=list(self._results))
        except NodeFailed as failed:
            self._telling.event("execution_error", **self._where(), **failed.said, executed=list(self._results))
        # What was finished before an error or interrupt stays for the retry.
        self._cache.keep({signatures[node]: done for node, done in self._results.items()})
        self._telling.node = None
        return self._telling.kept[-1][0] == "execution_success"

    def _repeat(self, node: str, done: Done, *, shows: bool) -> None:
        """An output node that has nothing to do shows its old output once more, file names and all."""
        if node not in self._outputs:
            return
        if done.shown is not None:
            self._telling.showed(node, done.shown)
            if shows:
                self.shown[node] = done.shown
        self._telling.finished(node)

    def _execute(self, node: str) -> None:
        self._telling.began(node)
        if self._studio.stop.is_set():
            raise Interrupted
        self._studio.step = partial(self._telling.stepped, node)
        node_class, take = NODES[self._graph[node]["class_type"]], self._inputs(node)
        try:
            done = node_class.run(self._studio, take)
        except Interrupted:
            raise
        except Exception as error:  # a node may raise anything; the worker has to survive it
            log(f"!!! Exception during processing !!! {error}")
            raise NodeFailed(_said(error, take)) from error
        self._results[node] = done
        if done.shown is not None:
            self._telling.showed(node, done.shown)
            self.shown[node] = done.shown
        self._telling.finished(node)

    def _inputs(self, node: str) -> dict[str, Any]:
        node_class = NODES[self._graph[node]["class_type"]]
        known = {**node_class.required, **node_class.optional}
        return {
            key: self._results[value[0]].values[value[1]] if is_link(value) else _typed(known[key][0], value)
            for key, value in self._graph[node].get("inputs", {}).items()
            if key in known
        }

    def _where(self) -> dict[str, str]:
        node = self._telling.node or ""
        return {"node_id": node, "node_type": self._graph[node]["class_type"] if node else ""}


def _typed(kind: object, value: Any) -> Any:
    return int(value) if kind == "INT" else float(value) if kind == "FLOAT" else value


def _said(error: Exception, take: dict[str, Any]) -> dict[str, Any]:
    module = type(error).__module__
    dotted = ("" if module == "builtins" else f"{module}.") + type(error).__qualname__
    return {
        "exception_message": f"{error}\n",
        "exception_type": error.name if isinstance(error, OutOfMemory) else dotted,
        "traceback": traceback.format_tb(error.__traceback__),
        "current_inputs": {name: [str(value)] for name, value in take.items()},
        "current_outputs": [],
    }
