"""What is wrong with a graph by itself: links to what does not exist, circles, values that no JSON holds. Pure.

A server looks only at what its output nodes need, and so does this: a broken rest that nothing needs runs everywhere.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from mcp_e2e.adapters.comfyui.raised import title_of
from mcp_e2e.adapters.comfyui.workflow import Graph, is_link
from mcp_e2e.decisions.node_errors import node_label

Info = Mapping[str, Mapping[str, Any]]  # /object_info: what the server says of each node class
_EXPORT = "or export the workflow again"


def label(graph: Graph, node: str) -> str:
    """``node 3 "portrait" (KSampler)``; the class of a node that is not there is not known."""
    if node not in graph.nodes:
        return f"node {node}"
    return node_label(node, graph.class_of(node), title_of(graph.nodes[node]))


def surely_broken(graph: Graph) -> tuple[str, ...]:
    """Known without a server: the faults when no end of the graph is without one; else some output may well run."""
    faults = _faults(graph)
    ends = set(graph.nodes) - {feeder for node in graph.nodes for feeder in graph.feeders(node) if feeder != node}
    whole = any(not graph.needed([end]) & faults.keys() for end in ends)
    unsendable = tuple(_unsendable(graph))  # the whole graph goes out as JSON, also what nothing needs
    return unsendable if whole else (*unsendable, *_sentences(faults))


def broken(graph: Graph, info: Info) -> tuple[str, ...]:
    """Known from the server's classes: the faults in what its output nodes need, and whether there is such a node."""
    if not _ends(graph, info):
        return (no_output(graph),)
    used = looked_at(graph, info)
    faults = {node: found for node, found in _faults(graph, info).items() if node in used}
    return (*_unsendable(graph), *_sentences(faults))


def looked_at(graph: Graph, info: Info) -> set[str]:
    """What the server looks at: its output nodes and all that feeds them; everything where there is none."""
    return graph.needed(_ends(graph, info) or graph.nodes)


def _ends(graph: Graph, info: Info) -> set[str]:
    """The output nodes, and those of unknown class, which may be some."""
    known = {node: info.get(graph.class_of(node)) for node in graph.nodes}
    return {node for node, told in known.items() if not told or told.get("output_node")}


def no_output(graph: Graph) -> str:
    """The sentence for a workflow that would show nothing."""
    return (
        f"{graph.name}: no node of it saves or shows anything (prompt_no_outputs): add an output node, for example"
        " SaveImage, and link it to what is to be tested"
    )


def links(graph: Graph, node: str) -> Iterator[tuple[str, str, int]]:
    """``(input, feeder, output)`` of each link into ``node``."""
    for name, value in graph.nodes[node]["inputs"].items():
        if is_link(value):
            yield name, value[0], value[1]


def circles(graph: Graph) -> tuple[str, ...]:
    """One sentence for each circle."""
    return tuple(_sentences(_circles(graph)))


def _circles(graph: Graph) -> dict[str, list[str]]:
    """The sentence at one node of each circle, nothing at its others."""
    try:
        TopologicalSorter({node: graph.feeders(node) for node in graph.nodes}).prepare()
    except CycleError:
        found: dict[str, list[str]] = {}
        for node in graph.nodes:
            way = _way_back(graph, node) if node not in found else ()
            for each in way:
                found.setdefault(each, [])
            if way:
                found[node] = [of_circle(graph, way)]
        return found
    return {}


def _way_back(graph: Graph, start: str) -> tuple[str, ...]:
    """The shortest way from ``start`` along its links back to it; empty when there is none."""
    came: dict[str, str] = {}
    frontier = [start]
    for node in frontier:
        for feeder in sorted(graph.feeders(node)):
            if feeder == start:
                way = [start, node]
                while way[-1] != start:
                    way.append(came[way[-1]])
                return tuple(reversed(way))
            if feeder in graph.nodes and feeder not in came:
                came[feeder] = node
                frontier.append(feeder)
    return ()


def of_circle(graph: Graph, way: Sequence[str]) -> str:
    """The sentence for a circle, named by the first node of ``way``."""
    inputs = [name for name, feeder, _ in links(graph, way[0]) if feeder == way[1]]
    path = " <- ".join(f"{node} ({graph.class_of(node)})" for node in way)
    return (
        f"{label(graph, way[0])}: input {' and '.join(inputs)} leads in a circle: {path}; remove one of these links,"
        " since no node can wait for itself"
    )


def of_missing(graph: Graph, node: str, name: str, feeder: str) -> str:
    """The sentence for a link to a node that does not exist."""
    there = ", ".join(list(graph.nodes)[:8])
    return (
        f"{label(graph, node)}: input {name} is linked to node {feeder}, which is not in {graph.name}; link it to one"
        f" that is ({there}{', ...' if len(graph.nodes) > 8 else ''}), {_EXPORT}"
    )


def of_slot(graph: Graph, node: str, name: str, feeder: str, slot: int, gives: Sequence[Any] | None) -> str:
    """The sentence for a link to an output that does not exist; ``gives`` None: what there is, is not known."""
    listed = ", ".join(f"{n}: {kind}" for n, kind in enumerate(gives or ()))
    what = "" if gives is None else f" (it has {listed or 'none'})"
    return (
        f"{label(graph, node)}: input {name} is linked to output {slot} of {label(graph, feeder)}, which has no such"
        f" output{what}; link it to one that exists, {_EXPORT}"
    )


def _faults(graph: Graph, info: Info | None = None) -> dict[str, list[str]]:
    """The sentences about each node's links."""
    faults = _circles(graph)
    for node in graph.nodes:
        if found := list(_links(graph, node, info or {})):
            faults[node] = [*found, *faults.get(node, ())]
    return faults


def _links(graph: Graph, node: str, info: Info) -> Iterator[str]:
    for name, feeder, slot in links(graph, node):
        if feeder not in graph.nodes:
            yield of_missing(graph, node, name, feeder)
            continue
        gives = info.get(graph.class_of(feeder), {}).get("output")
        # "*" stands for any type, and where a node gives that, it mostly has more outputs than it lists.
        if isinstance(gives, list) and "*" not in gives and not -len(gives) <= slot < len(gives):
            yield of_slot(graph, node, name, feeder, slot, gives)


def _sentences(faults: Mapping[str, Iterable[str]]) -> Iterator[str]:
    for found in faults.values():
        yield from found


def _unsendable(graph: Graph) -> Iterator[str]:
    for node, name, value in graph.inputs():
        if isinstance(value, float) and not math.isfinite(value):
            yield f"{label(graph, node)}: input {name} = {value} is no number that can be sent; give a finite one"
