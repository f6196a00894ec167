"""JSON Schemas for ``tools/list``: small enough for an agent's context, and true.

Input schemas are closed and flat (no titles, no ``$defs``, no "or null"). Output schemas validate *every* answer of
a tool, also errors and refusals: one widespread client checks them on those too.
"""

import types
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from mcp_e2e.model.answers import Answer

Schema = dict[str, Any]

_NAMES: Mapping[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array"}
_FAILURE = {"code": "string", "message": "string", "remedy": "string", "refused": "boolean"}
_REFUSAL_TOO = {"evidence": "array"}  # an object in run_test's answer, a list of sentences in a refusal


@cache
def input_schema(model: type[BaseModel]) -> Schema:
    """The closed, compact schema of a tool's arguments."""
    full = model.model_json_schema()
    schema: Schema = {"type": "object", "properties": {n: _compact(p) for n, p in full.get("properties", {}).items()}}
    if required := full.get("required"):
        schema["required"] = required
    return schema | {"additionalProperties": False}


@cache
def output_schema(answer: type[Answer]) -> Schema:
    """The open schema of all that a tool may answer: only ``next_step`` is always there."""
    properties: dict[str, Any] = {name: {"type": kind} for name, kind in _FAILURE.items()}
    for name, field in answer.model_fields.items():
        kind = _json_type(field.annotation)
        properties[name] = _any_of(dict.fromkeys((kind, _REFUSAL_TOO.get(name, kind))))
    return {"type": "object", "properties": properties, "required": ["next_step"]}


def fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """True when ``value`` has the type that a property of ``output_schema`` names."""
    return any(_is(value, kind) for kind in kinds_of(schema))


def kinds_of(schema: Mapping[str, Any]) -> list[str]:
    """The types a property admits."""
    return [branch["type"] for branch in schema.get("anyOf", [schema])]


def _any_of(kinds: Iterable[str]) -> Schema:
    """One type, or branches of one type each: a list of types is what some model providers do not read."""
    branches: list[Schema] = [{"type": kind} for kind in kinds]
    return branches[0] if len(branches) == 1 else {"anyOf": branches}


def _is(value: Any, kind: str) -> bool:
    match kind:
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list | tuple)
    return isinstance(value, Mapping)


def _compact(node: Mapping[str, Any]) -> Schema:
    """One property without titles, null branches and null defaults."""
    small = {key: value for key, value in node.items() if key not in {"title", "anyOf", "items"}}
    if small.get("default", ...) is None:
        del small["default"]
    branches = [branch for branch in node.get("anyOf", ()) if branch != {"type": "null"}]
    if len(branches) == 1:
        small = _compact(branches[0]) | small
    if "items" in node:
        small["items"] = _compact(node["items"])
    if isinstance(values := small.get("additionalProperties"), dict):
        kinds = [kind for kind in kinds_of(values) if kind != "integer"]  # an integer is a number
        small["additionalProperties"] = _any_of(kinds)
    return small


def _json_type(annotation: Any) -> str:
    """The JSON name of a field's type; nested models and mappings are plain objects."""
    if get_origin(annotation) in {Union, types.UnionType}:
        annotation = next(arg for arg in get_args(annotation) if arg is not type(None))
    return _NAMES.get(get_origin(annotation) or annotation, "object")
