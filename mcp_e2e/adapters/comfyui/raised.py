"""A node's exception as the history tells it: which node, with which inputs, in whose code. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mcp_e2e.adapters.comfyui.workflow import FRESH_INPUT, is_link
from mcp_e2e.model.work import NodeError

TRACEBACK_CHARS = 4_000
_VALUE_CHARS = 60
_FRAME = re.compile(r'File "([^"\n]+)", line \d+')
_LIBRARY = re.compile(r"site-packages|dist-packages|[\\/]lib(?:64)?[\\/]python3|^<")
_CUSTOM = re.compile(r"[\\/]custom_nodes[\\/]([^\\/]+)")


def node_error(said: Mapping[str, Any], graph: Mapping[str, Any]) -> NodeError:
    """From the body of an ``execution_error`` message and the graph that was asked for."""
    trace = "".join(map(str, said.get("traceback") or ()))
    node = str(said.get("node_id", "?"))
    body = graph.get(node)
    asked: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
    current = said.get("current_inputs")
    return NodeError(
        node=node,
        node_class=str(said.get("node_type", "?")),
        exception=str(said.get("exception_type", "?")),
        message=str(said.get("exception_message", "")).strip(),
        traceback=trace[-TRACEBACK_CHARS:],
        title=title_of(asked),
        inputs=dict(_inputs(asked, graph, current if isinstance(current, Mapping) else {})),
        custom_node=_custom_node(trace),
    )


def title_of(body: Mapping[str, Any]) -> str | None:
    """What its author called the node."""
    meta = body.get("_meta")
    title = meta.get("title") if isinstance(meta, Mapping) else None
    return title if isinstance(title, str) else None


def _inputs(
    asked: Mapping[str, Any], graph: Mapping[str, Any], current: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    given = asked.get("inputs")
    # A node that another one made while running is not in the graph: only the server knows what it was given.
    for name, value in (given if isinstance(given, Mapping) else current).items():
        if name == FRESH_INPUT:
            continue
        seen = current.get(name)
        used = seen[0] if isinstance(seen, list) and len(seen) == 1 else None
        if not is_link(value):
            yield name, shown(used if given is None and used is not None else value)
        elif isinstance(used, bool | int | float):
            yield name, shown(used)
        else:
            feeder = graph.get(value[0])
            what = f" ({feeder.get('class_type')})" if isinstance(feeder, Mapping) else ""
            yield name, f"from node {value[0]}{what}"


def shown(value: object) -> str:
    """A value in at most 60 characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _VALUE_CHARS else f"{text[: _VALUE_CHARS - 1]}…"


def _custom_node(trace: str) -> str | None:
    """Whose code raised: the last frame that is no library's, when it lies in a custom node."""
    own = [path for path in _FRAME.findall(trace) if not _LIBRARY.search(path)]
    found = _CUSTOM.search(own[-1]) if own else None
    return found[1].removesuffix(".py") if found else None
