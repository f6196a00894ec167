"""ComfyUI workflows in API format: load, set parameters, make an attempt really execute. Pure."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from mcp_e2e.errors import SetupError, UsageError

FRESH_INPUT = "mcp_e2e_attempt"
_EXPORT = "In ComfyUI export it with File > Export (API), older: Workflow > Export (API), and name that file."
_MODEL_LOADER = re.compile(r"loader|load.*(model|checkpoint|clip|vae|unet|lora)", re.IGNORECASE)
_MODEL_FILE = re.compile(r"\.(safetensors|sft|ckpt|pt|pth|bin|gguf|onnx)$", re.IGNORECASE)


@dataclass(frozen=True)
class Graph:
    """A workflow in API format; ``nodes`` maps node id to its JSON object. Treat it as read-only."""

    name: str
    nodes: Mapping[str, Mapping[str, Any]]

    def class_of(self, node: str) -> str:
        return str(self.nodes[node]["class_type"])

    def inputs(self) -> Iterator[tuple[str, str, Any]]:
        """Every ``(node, input, value)``, links included."""
        for node, body in self.nodes.items():
            for name, value in body["inputs"].items():
                yield node, name, value

    def feeders(self, node: str) -> frozenset[str]:
        """The nodes that this one is linked to directly."""
        inputs = self.nodes[node].get("inputs", {})
        return frozenset(str(value[0]) for value in inputs.values() if is_link(value))

    def needed(self, ends: Iterable[str]) -> set[str]:
        """Those of ``ends`` that there are, and everything that feeds them."""
        found: set[str] = set()
        frontier = list(ends)
        while frontier:
            node = frontier.pop()
            if node in self.nodes and node not in found:
                found.add(node)
                frontier.extend(self.feeders(node))
        return found


@dataclass(frozen=True)
class ModelFile:
    """A model that a node asks for by file name."""

    node: str
    node_class: str
    input: str
    file: str


def is_link(value: object) -> bool:
    """``["<node id>", <slot>]``, the way a graph writes a connection."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)


def load(text: str, name: str) -> Graph:
    """Parse a workflow file; ``name`` is what messages call it. Raises ``SetupError`` for anything but API format."""
    data = parsed(text, name)
    if isinstance(data, dict) and isinstance(data.get("nodes"), list) and "links" in data:
        raise SetupError(f"{name} is in UI format, which the ComfyUI API does not run.", remedy=_EXPORT)
    if isinstance(data, dict) and isinstance(data.get("prompt"), dict) and "class_type" not in data["prompt"]:
        data = data["prompt"]  # the whole body of a POST /prompt was saved
    if not isinstance(data, dict) or not data:
        raise SetupError(f"{name} holds no nodes: a workflow is an object of node ids.", remedy=_EXPORT)
    return Graph(name, {node: _node(name, node, body) for node, body in data.items()})


def parsed(text: str, name: str) -> Any:
    """The JSON of a file. Raises ``SetupError``."""
    try:
        return json.loads(text.lstrip("\ufeff"))
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise SetupError(f"{name} is not JSON: {error.msg} at {place}.", remedy=_EXPORT, line=error.lineno) from error
    except (ValueError, RecursionError) as error:
        raise SetupError(f"{name} holds a number too long or lists too deep to be read.", remedy=_EXPORT) from error


def _node(name: str, node: str, body: object) -> dict[str, Any]:
    if not isinstance(body, dict) or not isinstance(body.get("class_type"), str):
        raise SetupError(f"{name}: node {node!r} has no class_type, so this is not API format.", remedy=_EXPORT)
    if not isinstance(body.get("inputs", {}), dict):
        raise SetupError(f"{name}: the inputs of node {node!r} are no object.", remedy=_EXPORT)
    return {**body, "inputs": dict(body.get("inputs", {}))}


def apply(graph: Graph, params: Mapping[str, Any]) -> Graph:
    """``graph`` with inputs set by name: ``3.inputs.seed``, ``3.seed`` or, when only one node has it, ``seed``.

    Raises ``UsageError`` for an unknown, linked or ambiguous name and for a value of another type.
    """
    for name, value in params.items():
        node, field = _address(graph, name)
        old = graph.nodes[node]["inputs"][field]
        graph = _with_input(graph, node, field, _same_type(name, old, value))
    return graph


def _address(graph: Graph, name: str) -> tuple[str, str]:
    places: dict[str, list[tuple[str, str]]] = {}
    for node, field, value in graph.inputs():
        if is_link(value) and name in (f"{node}.inputs.{field}", f"{node}.{field}"):
            raise UsageError(f"{name} is fed by node {value[0]}; set an input of that node instead.", param=name)
        if not is_link(value):
            for spelling in (f"{node}.inputs.{field}", f"{node}.{field}", field):
                places.setdefault(spelling, []).append((node, field))
    found = places.get(name, [])
    if len(found) == 1:
        return found[0]
    if found:
        full = [f"{node}.inputs.{field}" for node, field in found]
        listed = ", ".join(f"{node}.inputs.{field} ({graph.class_of(node)})" for node, field in found)
        raise UsageError(f"{name!r} is ambiguous in {graph.name}: {listed}.", param=name, candidates=full)
    near = get_close_matches(name, places, n=3, cutoff=0.4)
    hint = f"; nearest: {', '.join(near)}" if near else ""
    raise UsageError(f"{graph.name} has no input {name!r}{hint}.", param=name, candidates=near)


def _same_type(name: str, old: object, value: Any) -> object:
    wrong = UsageError(f"{name} takes a {type(old).__name__}, not {value!r}.", param=name)
    if isinstance(old, bool):
        words: dict[object, bool] = {True: True, False: False, "true": True, "false": False}
        key = value.lower() if isinstance(value, str) else value
        if not isinstance(key, bool | str) or key not in words:
            raise wrong
        return words[key]
    if isinstance(old, int | float):
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise wrong
        return _number(old, value, wrong)
    if isinstance(old, str):
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise wrong
        return str(value)
    return value


def _number(old: object, value: Any, wrong: UsageError) -> float:
    try:
        number = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise wrong from None
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise wrong
    if isinstance(old, float):
        return float(number)
    # The UI writes 8.0 as 8: a whole number in the file does not prove that the input is an integer.
    return int(number) if number == int(number) else number


def freshen(graph: Graph, nonce: str) -> Graph:
    """``graph`` changed so that the server executes it again, except for what loads models.

    Measured on ComfyUI 0.3.64, 0.9.2 and 0.33.0, with the default cache, ``--cache-none``, ``--cache-lru`` and
    ``--cache-ram``: an identical graph ran no node and wrote no file (``--cache-none`` apart); with one extra, unknown
    input that holds a new value on each node every node ran and a new file appeared, each time, also after the files
    before were deleted, and without a validation error. On the output node alone it re-ran only that node. Loaders are
    left alone, together with all that feeds them, since a changed feeder would load the model again: with a small
    checkpoint 0.9 s, then 0.2 s. The value ends up in the saved file's metadata.
    """
    kept = graph.needed(node for node in graph.nodes if _MODEL_LOADER.search(graph.class_of(node)))
    marked = {
        node: body if node in kept else {**body, "inputs": {**body["inputs"], FRESH_INPUT: nonce}}
        for node, body in graph.nodes.items()
    }
    return replace(graph, nodes=marked)


def model_files(graph: Graph) -> tuple[ModelFile, ...]:
    """Every model file that the graph names."""
    return tuple(
        ModelFile(node, graph.class_of(node), name, value)
        for node, name, value in graph.inputs()
        if isinstance(value, str) and _MODEL_FILE.search(value)
    )


def _with_input(graph: Graph, node: str, field: str, value: object) -> Graph:
    body = graph.nodes[node]
    changed = {**body, "inputs": {**body["inputs"], field: value}}
    return replace(graph, nodes={**graph.nodes, node: changed})
