"""What the SIMULATED ComfyUI remembers of earlier prompts, and how it tells equal work."""

import hashlib
import json
from collections.abc import Mapping

from mcp_e2e.demo.simulated_nodes import NODES
from mcp_e2e.demo.simulated_rules import Graph, is_link
from mcp_e2e.demo.simulated_studio import Done, Studio, Weights


class Cache:
    """Results by signature: those of the latest prompt, and with ``most`` up to so many of earlier ones too."""

    def __init__(self, *, most: int = 0, off: bool = False) -> None:
        self.by_work_only = most > 0  # then the id of an output node does not count
        self._most = most
        self._off = off
        self._prompts: list[dict[str, Done]] = []  # oldest first; a result stands in the latest that used it

    def get(self, signature: str) -> Done | None:
        return next((prompt[signature] for prompt in self._prompts if signature in prompt), None)

    def keep(self, results: Mapping[str, Done]) -> None:
        """Remember what the latest prompt used or made, and let go of the oldest."""
        if self._off:
            return
        earlier = [{key: done for key, done in prompt.items() if key not in results} for prompt in self._prompts]
        self._prompts = [prompt for prompt in (*earlier, dict(results)) if prompt]
        while len(self._prompts) > 1 and sum(map(len, self._prompts)) > self._most:
            del self._prompts[0]

    def clear(self) -> None:
        self._prompts = []

    def weights(self) -> set[str]:
        """The checkpoints that a remembered result holds."""
        held = (done.values for prompt in self._prompts for done in prompt.values())
        return {value.file for values in held for value in values if isinstance(value, Weights)}

    def signatures(self, graph: Graph, order: list[str], studio: Studio) -> dict[str, str]:
        """Equal for equal work: class, inputs (unknown extra ones too), what feeds it and the content of its file."""
        known: dict[str, str] = {}
        for node in order:
            known[node] = self._signature(graph, node, known, studio)
        return known

    def _signature(self, graph: Graph, node: str, known: dict[str, str], studio: Studio) -> str:
        name, given = graph[node]["class_type"], graph[node].get("inputs", {})
        inputs = {
            key: ["link", known[value[0]], value[1]] if is_link(value) else value
            for key, value in given.items()
            if not is_link(value) or value[0] in known
        }
        path = studio.find(str(given.get(NODES[name].file_input))) if NODES[name].file_input else None
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path else None
        place = node if NODES[name].saves and not self.by_work_only else None
        return hashlib.sha256(json.dumps([name, inputs, content, place], sort_keys=True).encode()).hexdigest()
