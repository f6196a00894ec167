"""What a finished prompt left behind: its history entry as facts."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from mcp_e2e.adapters.comfyui.raised import node_error
from mcp_e2e.adapters.comfyui.workflow import Graph
from mcp_e2e.model.work import NodeText, OutputFile, PromptFacts

TEXT_CHARS = 1_000_000  # of one text


def prompt_facts(prompt_id: str, entry: Mapping[str, Any]) -> PromptFacts:
    """The facts of one history entry; missing or unknown fields are taken as normal."""
    status = entry.get("status") or {}
    messages: dict[str, Mapping[str, Any]] = {
        str(name): data for name, data in status.get("messages", ()) if isinstance(data, Mapping)
    }
    cached = tuple(map(str, messages.get("execution_cached", {}).get("nodes", ())))
    outcome: Literal["success", "error", "interrupted"] = "success"
    if "execution_interrupted" in messages:
        outcome = "interrupted"
    elif "execution_error" in messages or status.get("status_str", "success") != "success":
        outcome = "error"
    graph, output_nodes = _asked(entry)
    ended = messages.get(f"execution_{outcome}", {})
    if outcome == "success":
        executed = Graph(prompt_id, graph).needed(output_nodes) - set(cached)
    else:
        executed = {str(node) for node in ended.get("executed", ())}
    return PromptFacts(
        prompt_id=prompt_id,
        status=outcome,
        executed=tuple(sorted(executed)),
        cached=cached,
        outputs=tuple(_files(entry.get("outputs") or {})),
        texts=tuple(_texts(entry.get("outputs") or {})),
        output_nodes=output_nodes,
        error=node_error(ended, graph) if outcome == "error" else None,
        started_ms=messages.get("execution_start", {}).get("timestamp"),
        ended_ms=ended.get("timestamp"),
    )


def _asked(entry: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    item = list(entry.get("prompt") or ())
    graph = item[2] if len(item) > 2 and isinstance(item[2], Mapping) else {}
    return graph, tuple(map(str, item[4])) if len(item) > 4 else ()


def _files(outputs: Mapping[str, Any]) -> Iterator[OutputFile]:
    """Whatever names a file, under any key: ``images``, ``gifs``, ``audio``, ``3d``, those of custom nodes."""
    for node, _, item in _items(outputs):
        if isinstance(item, Mapping) and isinstance(item.get("filename"), str):
            where = str(item.get("subfolder") or ""), str(item.get("type") or "output")
            yield OutputFile(node, item["filename"], *where)


def _texts(outputs: Mapping[str, Any]) -> Iterator[NodeText]:
    """What stands under ``text``; some nodes put a list in the list."""
    for node, key, item in _items(outputs):
        if key == "text":
            for text in item if isinstance(item, list) else [item]:
                if isinstance(text, str | int | float):
                    yield NodeText(node, str(text)[:TEXT_CHARS])


def _items(outputs: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for node, groups in outputs.items():
        for key, items in groups.items() if isinstance(groups, Mapping) else ():
            found = [items] if key == "text" and isinstance(items, str) else items
            for item in found if isinstance(found, list) else ():
                yield str(node), str(key), item
