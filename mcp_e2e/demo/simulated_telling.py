"""What one prompt of the SIMULATED ComfyUI tells while it runs: to its client's socket, and into its history entry."""

import time
from typing import Any

from mcp_e2e.demo.simulated_sockets import Sockets


class Telling:
    """Without a client id only progress and an interrupt are told, to everybody; the history keeps its part anyway."""

    def __init__(self, sockets: Sockets, prompt_id: str, client_id: str | None) -> None:
        self.client_id = client_id
        self.node: str | None = None  # that executes now
        self.kept: list[tuple[str, dict[str, Any]]] = []
        self._sockets = sockets
        self._prompt_id = prompt_id
        self._states: dict[str, dict[str, Any]] = {}

    def event(self, name: str, **data: Any) -> None:
        """One of the ``execution_`` messages, which the history keeps."""
        said = {"prompt_id": self._prompt_id, **data, "timestamp": int(time.time() * 1000)}
        self.kept.append((name, said))
        if self.client_id is not None or name == "execution_interrupted":
            self._sockets.tell(name, said, self.client_id)

    def began(self, node: str) -> None:
        self._progress(node, 0.0, 1.0, "running")
        self.node = node
        self._to_client("executing", node=node, display_node=node)

    def stepped(self, node: str, value: int, steps: int, jpeg: bytes) -> None:
        self._progress(node, value, steps, "running")
        names = dict.fromkeys(("node_id", "display_node_id", "real_node_id"), node)
        about = {**names, "prompt_id": self._prompt_id, "parent_node_id": None}
        said = {"value": value, "max": steps, "prompt_id": self._prompt_id, "node": node}
        self._sockets.step(said, jpeg, about, self.client_id)

    def showed(self, node: str, output: Any) -> None:
        self._to_client("executed", node=node, display_node=node, output=output)

    def finished(self, node: str) -> None:
        state = self._states.get(node, {"value": 1, "max": 1})
        self._progress(node, state["max"], state["max"], "finished")

    def over(self) -> None:
        """The very last message, sent when the history has the prompt."""
        self._to_client("executing", node=None)

    def _progress(self, node: str, value: float, most: float, state: str) -> None:
        names = {"node_id": node, "display_node_id": node, "parent_node_id": None, "real_node_id": node}
        self._states[node] = {"value": value, "max": most, "state": state, "prompt_id": self._prompt_id, **names}
        said = {"prompt_id": self._prompt_id, "nodes": self._states}
        self._sockets.tell("progress_state", said, self.client_id)

    def _to_client(self, event: str, **data: Any) -> None:
        if self.client_id is not None:
            self._sockets.tell(event, {**data, "prompt_id": self._prompt_id}, self.client_id)
