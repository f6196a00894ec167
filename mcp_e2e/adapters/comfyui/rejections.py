"""What keeps a workflow from running on a ComfyUI, in sentences: node, class, input, value and what to change. Pure.

Foreseen from what the server says of its node classes, or told by the server when the workflow was posted.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from mcp_e2e.adapters.comfyui import wiring
from mcp_e2e.adapters.comfyui.complaints import choices_of, missing_model, nearest, told
from mcp_e2e.adapters.comfyui.wiring import Info, label
from mcp_e2e.adapters.comfyui.workflow import FRESH_INPUT, Graph, model_files

__all__ = ["choices_of", "foreseen", "missing_models", "nearest", "rejected", "unanswered", "unknown_classes"]

_NODE_ID = re.compile(r"#([^'\"]+)")
_UNEXPANDED = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|workflow[/>].+", re.IGNORECASE)
_TEXT_CHARS = 200


def foreseen(graph: Graph, info: Info, known: Sequence[str], failed_nodes: Sequence[str] = ()) -> tuple[str, ...]:
    """Everything that is sure to fail, before anything is queued.

    ``info``: what the server says of each class of the graph; ``known``: all classes that it has, needed only where
    one is unknown; ``failed_nodes``: the custom nodes that it could not import.
    """
    unknown = unknown_classes(graph, info, known, failed_nodes)
    return (*unknown, *missing_models(graph, info), *wiring.broken(graph, info))


def rejected(graph: Graph, body: Mapping[str, Any], failed_nodes: Sequence[str] = ()) -> tuple[str, ...]:
    """One sentence for each complaint in the answer to a POST /prompt; also for the node errors of a 200."""
    sentences = tuple(dict.fromkeys(_node_errors(graph, body.get("node_errors"))))
    error = body.get("error")
    if sentences or not error:
        return sentences
    # Without node errors the top-level error is all there is: unknown node, circle, no outputs.
    if not isinstance(error, Mapping):
        return (f"{graph.name}: {error}",)
    return tuple(_whole(graph, error, failed_nodes))


def unanswered(graph: Graph, status: int, text: str) -> str:
    """The sentence for an answer that is no JSON: only its status tells."""
    said = " ".join(text.split())[:_TEXT_CHARS]
    if status == 413:
        return (
            f"{graph.name}: the workflow is larger than this ComfyUI accepts ({said}): put big texts and pictures into"
            " files that nodes load, or start ComfyUI with a larger --max-upload-size (MB)"
        )
    return (
        f"{graph.name}: ComfyUI answered {status} without saying which node ({said}): an input holds a value of a shape"
        " that nobody expected; the traceback is in its log. Export the workflow again (API format)"
    )


def _node_errors(graph: Graph, node_errors: object) -> Iterator[str]:
    for node, body in node_errors.items() if isinstance(node_errors, Mapping) else ():
        for error in body.get("errors", ()):
            kind = str(error.get("type"))
            if kind == "dependency_cycle":
                yield from wiring.circles(graph) or [
                    f"{label(graph, node)}: {error.get('details') or 'is part of a circle'}"
                ]
            elif kind.startswith("exception_during_"):
                yield from _raised(graph, node, error)
            else:
                # The class comes from our own graph when it can: the server's copy is missing in some versions.
                known = label(graph, node) if node in graph.nodes else f"node {node} ({body.get('class_type', '?')})"
                yield f"{known}: {told(graph, node, error)}"


def _raised(graph: Graph, node: str, error: Mapping[str, Any]) -> Iterator[str]:
    """The server itself stumbled over the node: mostly a link of it leads nowhere."""
    extra = error.get("extra_info") or {}
    links = list(wiring.links(graph, node)) if node in graph.nodes else []
    gone = [(name, feeder) for name, feeder, _ in links if feeder not in graph.nodes]
    if gone:
        yield from (wiring.of_missing(graph, node, name, feeder) for name, feeder in gone)
    elif extra.get("exception_type") == "IndexError" and links:
        name, feeder, slot = max(links, key=lambda link: link[2])
        yield wiring.of_slot(graph, node, name, feeder, slot, None)
    else:
        exception = extra.get("exception_type") or "an exception"
        said = " ".join(str(error.get("details") or "").split())[:_TEXT_CHARS]
        given = ", ".join(f"{name} = {value!r}" for name, value in _plain_inputs(graph, node))[:_TEXT_CHARS]
        has = f" (it has {given})" if given else ""
        yield (
            f"{label(graph, node)}: checking its inputs raised {exception}: {said}{has}; one of them is of a wrong"
            " type or names something that is not there: correct it, or export the workflow again"
        )


def _plain_inputs(graph: Graph, node: str) -> Iterator[tuple[str, object]]:
    linked = {name for name, _, _ in wiring.links(graph, node)} if node in graph.nodes else set()
    for name, value in graph.nodes.get(node, {}).get("inputs", {}).items():
        if name not in linked and name != FRESH_INPUT:
            yield name, value


def _whole(graph: Graph, error: Mapping[str, Any], failed_nodes: Sequence[str]) -> Iterator[str]:
    kind = str(error.get("type") or "invalid prompt")
    extra = error.get("extra_info") if isinstance(error.get("extra_info"), Mapping) else {}
    said = ": ".join(text for key in ("message", "details") if (text := str(error.get(key) or "").strip()))
    place = _NODE_ID.search(str(error.get("details") or ""))
    node = str((extra or {}).get("node_id") or (place[1] if place else ""))
    if kind == "prompt_no_outputs":
        yield wiring.no_output(graph)
    elif kind in ("invalid_prompt", "missing_node_type") and node in graph.nodes:
        yield _unknown(graph, node, (), failed_nodes)
    elif kind == "invalid_prompt_id":
        yield f"{graph.name}: {said}; call again: each attempt gets a new id, a UUID in lower case"
    elif kind in ("dependency_cycle", "prompt_outputs_failed_validation") and (found := wiring.circles(graph)):
        yield from found
    else:
        yield f"{graph.name}: {kind}: {said or 'no details given'}; export the workflow again (API format)"


def missing_models(graph: Graph, info: Info) -> Iterator[str]:
    """Models that the graph names and the server does not list, of the nodes that the server looks at.

    Other lists are left to the server: a node class may accept values outside its list, and only the server knows.
    """
    used = wiring.looked_at(graph, info)
    for model in model_files(graph):
        spec = info.get(model.node_class, {}).get("input") or {}
        for group in ("required", "optional") if model.node in used else ():
            choices = choices_of((spec.get(group) or {}).get(model.input))
            if choices is not None and model.file not in choices:
                yield f"{label(graph, model.node)}: {missing_model(model, choices)}"


def unknown_classes(graph: Graph, info: Info, known: Sequence[str], failed_nodes: Sequence[str] = ()) -> Iterator[str]:
    """Nodes whose class the server does not have; ``known`` are all that it has."""
    for node in graph.nodes:
        if not info.get(graph.class_of(node)):
            yield _unknown(graph, node, known, failed_nodes)


def _unknown(graph: Graph, node: str, known: Sequence[str], failed_nodes: Sequence[str]) -> str:
    node_class = graph.class_of(node)
    lacks = f"{label(graph, node)}: this ComfyUI has no node class {node_class!r}"
    if _UNEXPANDED.fullmatch(node_class):
        return f"{lacks}: it is a group or subgraph of the page; export the workflow again (API format)"
    near = get_close_matches(node_class, known, n=1, cutoff=0.75)
    hint = f"; nearest: {near[0]!r}" if near else ""
    if failed_nodes:
        likely = f"likely because custom nodes failed to import ({', '.join(failed_nodes)}): its log says why"
        return f"{lacks}{hint}; {likely}; repair them, or install what provides the class"
    return f"{lacks}{hint}; install the custom node that provides it, or update ComfyUI if it is a newer built-in one"
