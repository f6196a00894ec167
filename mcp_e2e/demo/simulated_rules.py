"""What the SIMULATED ComfyUI refuses: the checks of a posted graph, in the forms the real API answers with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcp_e2e.demo.simulated_nodes import NODES
from mcp_e2e.demo.simulated_studio import Studio
from mcp_e2e.demo.simulated_versions import Version

Graph = Mapping[str, Mapping[str, Any]]


class Rejected(Exception):
    """The whole prompt is refused; ``body`` is the answer's JSON (status 400)."""

    def __init__(
        self,
        kind: str,
        message: str,
        details: str = "",
        *,
        node_errors: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        error = {"type": kind, "message": message, "details": details, "extra_info": extra or {}}
        self.body = {"error": error, "node_errors": node_errors or {}}


class Cycle(Exception):
    """``node`` feeds itself."""

    def __init__(self, node: str) -> None:
        super().__init__(node)
        self.node = node


@dataclass(frozen=True)
class Accepted:
    """The output nodes that will run, and the complaints about branches that will not."""

    outputs: list[str]
    node_errors: dict[str, Any]


def is_link(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def links(node: Mapping[str, Any]) -> list[str]:
    return [value[0] for value in node.get("inputs", {}).values() if is_link(value)]


def validate(prompt: Any, targets: list[str] | None, studio: Studio, version: Version) -> Accepted:
    """Refuse or accept a graph; one bad branch beside a good one is dropped, as the real server does.

    ``targets`` are the output nodes that shall run, None for all. What is no graph at all raises anything: status 500.
    """
    for node, body in prompt.items():
        if version.ui_format_is_500:
            body.keys()
        name = body.get("class_type") if isinstance(body, dict) else None
        if name not in NODES:
            raise _unknown(node, name, version)
    outputs = [node for node, body in prompt.items() if NODES[body["class_type"]].saves]
    outputs = [node for node in outputs if targets is None or node in targets]
    if not outputs:
        raise Rejected("prompt_no_outputs", "The prompt has no outputs.")
    return _by_branch(prompt, outputs, studio, version)


def _unknown(node: str, name: str | None, version: Version) -> Rejected:
    said = f"Node class {name} does not exist." if name else "A node has no class_type."
    if not version.names_the_problem:
        return Rejected("invalid_prompt", said, f"Node ID '#{node}'")
    about = {"node_id": node, "class_type": name, "node_title": name}
    return Rejected("missing_node_type", said, f"Node ID '#{node}'", extra=about)


def _by_branch(graph: Graph, outputs: list[str], studio: Studio, version: Version) -> Accepted:
    errors: dict[str, Any] = {}
    good = []
    for output in outputs:
        complaints = _of_branch(graph, output, studio)
        for node, found in complaints.items():
            about = {"errors": found, "dependent_outputs": [], "class_type": graph[node]["class_type"]}
            errors.setdefault(node, about)["dependent_outputs"].append(output)
        if not complaints:
            good.append(output)
    if not good:
        told = errors if version.names_the_problem else _without_cycles(errors)
        raise Rejected("prompt_outputs_failed_validation", "The prompt's outputs failed validation.", node_errors=told)
    return Accepted(good, errors)


def _of_branch(graph: Graph, output: str, studio: Studio) -> dict[str, list[dict[str, Any]]]:
    """The complaints of each node. What feeds a node through an input that is wrong itself is not looked at."""
    try:
        upstream(graph, output)
    except Cycle as cycle:
        return {cycle.node: [_complaint("dependency_cycle", "The nodes form a cycle", cycle.node, {})]}
    found: dict[str, list[dict[str, Any]]] = {}
    waiting = [output]
    while waiting:
        node = waiting.pop()
        found[node] = _complaints(graph, node, studio)
        wrong = {complaint["extra_info"].get("input_name") for complaint in found[node]}
        given = graph[node].get("inputs", {})
        right = [value[0] for name, value in given.items() if is_link(value) and name not in wrong]
        waiting += [feeder for feeder in right if feeder in graph and feeder not in found]
    return {node: complaints for node, complaints in found.items() if complaints}


def _without_cycles(errors: dict[str, Any]) -> dict[str, Any]:
    return {node: about for node, about in errors.items() if about["errors"][0]["type"] != "dependency_cycle"}


def upstream(graph: Graph, output: str) -> list[str]:
    """``output`` and all that feeds it, feeders first. Raises ``Cycle``."""
    order: list[str] = []
    path: set[str] = set()

    def visit(node: str) -> None:
        if node in order or node not in graph:
            return
        if node in path:
            raise Cycle(node)
        path.add(node)
        for feeder in links(graph[node]):
            visit(feeder)
        path.discard(node)
        order.append(node)

    visit(output)
    return order


def _complaints(graph: Graph, node: str, studio: Studio) -> list[dict[str, Any]]:
    node_class = NODES[graph[node]["class_type"]]
    if "inputs" not in graph[node]:
        return [_complaint("exception_during_inner_validation", "The node has no inputs", "'inputs'", {})]
    given = graph[node]["inputs"]
    found = []
    for name, config in (*node_class.required.items(), *node_class.optional.items()):
        if name in given and name == node_class.file_input and not is_link(given[name]):
            about = {"input_name": name, "received_value": given[name]}
            lost = studio.find(str(given[name])) is None
            complaint = _complaint("custom_validation_failed", "The file is not there", name, about) if lost else None
        elif name in given:
            complaint = _judge(graph, name, config, given[name])
        elif name in node_class.required:
            complaint = _complaint("required_input_missing", "A required input is missing", name, {"input_name": name})
        else:
            complaint = None
        if complaint:
            found.append(complaint)
    return found


def _judge(graph: Graph, name: str, config: list[Any], value: Any) -> dict[str, Any] | None:
    about = {"input_name": name, "input_config": config, "received_value": value}
    wanted = config[0]
    if is_link(value):
        feeder = NODES[graph[value[0]]["class_type"]] if value[0] in graph else None
        if feeder is None:
            return _complaint("exception_during_validation", "The linked node is missing", f"{value[0]!r}", {})
        slot = value[1]
        if not isinstance(slot, int) or not 0 <= slot < len(feeder.gives):
            return _complaint("exception_during_validation", "The linked node has no such output", f"{slot!r}", about)
        if feeder.gives[slot] != wanted:
            return _complaint("return_type_mismatch", "The linked output has another type", name, about)
        return None
    if isinstance(wanted, list):
        ok = value in wanted
        return None if ok else _complaint("value_not_in_list", "Value not in list", f"{name}: {value!r}", about)
    if wanted not in ("INT", "FLOAT", "STRING"):
        return _complaint("invalid_input_type", f"{wanted} must be linked", name, about)
    return _number(name, wanted, config[1], value, about) if wanted != "STRING" else None


def _number(
    name: str, kind: str, limits: Mapping[str, Any], value: Any, about: dict[str, Any]
) -> dict[str, Any] | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return _complaint("invalid_input_type", f"Not a {kind}", f"{name}: {value!r}", about)
    if number < limits.get("min", number):
        return _complaint("value_smaller_than_min", f"Value {value} is below {limits['min']}", name, about)
    if number > limits.get("max", number):
        return _complaint("value_bigger_than_max", f"Value {value} is above {limits['max']}", name, about)
    return None


def _complaint(kind: str, message: str, details: str, extra: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "message": message, "details": details, "extra_info": extra}
