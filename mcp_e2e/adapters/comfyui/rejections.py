"""What a ComfyUI refused, in sentences: node, class, input, value, nearest valid choice. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from mcp_e2e.adapters.comfyui.workflow import Graph, model_files

_SHOWN_CHOICES = 5


def rejected(graph: Graph, body: Mapping[str, Any]) -> tuple[str, ...]:
    """One sentence for each complaint in the answer to a POST /prompt; also for the node errors of a 200."""
    sentences = list(_node_errors(graph, body.get("node_errors")))
    error = body.get("error")
    if error and not sentences:
        # Without node errors the top-level error is all there is: unknown node, cycle, no outputs.
        words = [error] if isinstance(error, str) else [error.get("message"), error.get("details")]
        known = error.get("type", "invalid prompt") if isinstance(error, Mapping) else "invalid prompt"
        said = ": ".join(str(word).strip() for word in words if word)
        sentences.append(f"{graph.name}: {known}: {said or 'no details given; perhaps the nodes form a cycle'}")
    return tuple(sentences)


def _node_errors(graph: Graph, node_errors: object) -> Iterator[str]:
    for node, body in node_errors.items() if isinstance(node_errors, Mapping) else ():
        # The class comes from our own graph when it can: the server's copy is missing in some versions.
        node_class = graph.class_of(node) if node in graph.nodes else str(body.get("class_type", "?"))
        for error in body.get("errors", ()):
            yield f"node {node} ({node_class}): {_complaint(error)}"


def _complaint(error: Mapping[str, Any]) -> str:
    extra = error.get("extra_info") or {}
    field = extra.get("input_name")
    message = str(error.get("message") or error.get("type") or "invalid").strip()
    if field is None:
        return f"{message}: {str(error.get('details', '')).strip()}".rstrip(": ")
    if "received_value" not in extra:
        return f"input {field}: {message}"
    received = extra["received_value"]
    choices = choices_of(extra.get("input_config"))
    if choices is not None:
        return f"input {field}: {received!r} is not a valid choice{nearest(received, choices)}"
    return f"input {field} = {received!r}: {message}"


def choices_of(config: object) -> Sequence[object] | None:
    """The values an input accepts when it is a list to choose from, else None; both the old and the new spelling."""
    if not isinstance(config, Sequence) or isinstance(config, str) or not config:
        return None
    if isinstance(config[0], Sequence) and not isinstance(config[0], str):
        return config[0]
    options = config[1].get("options") if len(config) > 1 and isinstance(config[1], Mapping) else None
    return options if config[0] == "COMBO" and isinstance(options, Sequence) else None


def nearest(received: object, choices: Sequence[object]) -> str:
    """``; nearest: 'x'`` or the first few choices; empty-handed it says that there are none."""
    texts = [str(choice) for choice in choices]
    if not texts:
        return "; the server has none to choose from"
    near = get_close_matches(str(received), texts, n=1, cutoff=0.6)
    if near:
        return f"; nearest: {near[0]!r}"
    more = f" and {len(texts) - _SHOWN_CHOICES} more" if len(texts) > _SHOWN_CHOICES else ""
    return f"; valid: {', '.join(map(repr, texts[:_SHOWN_CHOICES]))}{more}"


def missing_models(graph: Graph, info: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Models that the graph names and the server does not list.

    Other lists are left to the server: a node class may accept values outside its list, and only the server knows.
    """
    for model in model_files(graph):
        spec = info.get(model.node_class, {}).get("input", {})
        for group in ("required", "optional"):
            choices = choices_of(spec.get(group, {}).get(model.input))
            if choices is not None and model.file not in choices:
                what = f"node {model.node} ({model.node_class}): input {model.input}: model {model.file!r}"
                yield f"{what} is not installed{nearest(model.file, choices)}"


def unknown_classes(graph: Graph, info: Mapping[str, Mapping[str, Any]], known: Sequence[str]) -> Iterator[str]:
    """Nodes whose class the server does not have; ``known`` are all that it has."""
    for node in graph.nodes:
        node_class = graph.class_of(node)
        if not info.get(node_class):
            near = get_close_matches(node_class, known, n=1, cutoff=0.5)
            hint = f"; nearest: {near[0]!r}" if near else "; install the custom node that provides it"
            yield f"node {node}: the server has no node class {node_class!r}{hint}"
