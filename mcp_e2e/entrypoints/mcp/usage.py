"""A wrong call runs nothing; its answer makes the next one right: what is wrong, what was meant, an example."""

import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mcp_e2e.entrypoints.mcp.arguments import Arguments
from mcp_e2e.entrypoints.mcp.schemas import input_schema, kinds_of
from mcp_e2e.entrypoints.mcp.tools import TOOLS, Tool
from mcp_e2e.errors import UsageError

_LONGEST = 100  # characters of a name that may be one misspelt
_KINDS = {
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
    "object": "an object",
}


def find(name: str) -> Tool:
    """The tool with that name, or a ``UsageError`` that names the nearest one."""
    if tool := TOOLS.get(name):
        return tool
    near = _nearest(name, TOOLS)
    meant = TOOLS[near] if near else TOOLS["status"]
    remedy = f"Did you mean {near}?" if near else f"Use one of: {', '.join(TOOLS)}."
    raise UsageError(f"There is no tool {name!r}; nothing ran.", remedy=remedy, example=example(meant))


def parse(tool: Tool, arguments: Mapping[str, Any] | None) -> Arguments:
    """The arguments as values, or a ``UsageError`` that names all that is wrong with them; null means left out."""
    known = tool.arguments.model_fields
    sent = {name: value for name, value in (arguments or {}).items() if value is not None or name not in known}
    try:
        return tool.arguments.model_validate(sent)
    except ValidationError as error:
        problems = list(dict.fromkeys(_problem(tool, detail) for detail in error.errors(include_url=False)))
    shown = example(tool, _repaired(tool, sent))
    message = f"Nothing ran: {'; '.join(problems)}".removesuffix("?") + ("?" if problems[-1].endswith("?") else ".")
    raise UsageError(message, remedy=f"Call it like this: {shown}", example=shown) from None


def example(tool: Tool, arguments: Mapping[str, Any] | None = None) -> str:
    """A correct call of ``tool`` as one line of text."""
    return f"{tool.name}({json.dumps(tool.example if arguments is None else arguments, ensure_ascii=False)})"


def _repaired(tool: Tool, sent: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What was sent with misspelt names put right, when that alone makes it correct and short enough to repeat."""
    known = tool.arguments.model_fields
    named = {name if name in known else _nearest(name, known) or name: value for name, value in sent.items()}
    if len(named) < len(sent) or len(json.dumps(named, default=str)) > 400:
        return None
    try:
        tool.arguments.model_validate(named)
    except ValidationError:
        return None
    return named


def _problem(tool: Tool, detail: ErrorDetails) -> str:
    """One wrong argument, named with what it must be."""
    if detail["type"] == "rule":
        return detail["msg"]
    name = str(detail["loc"][0])
    if detail["type"] == "extra_forbidden":
        return f"{tool.name} has no argument {name!r}; {_meant(name, tool.arguments.model_fields)}"
    if detail["type"] == "missing":
        return f"{tool.name} needs {name!r}"
    label, schema, value = _place(input_schema(tool.arguments)["properties"][name], detail, name)
    return f"{label} must be {_described(schema)}, not {_short(value)}"


def _place(schema: Mapping[str, Any], detail: ErrorDetails, label: str) -> tuple[str, Mapping[str, Any], Any]:
    """The innermost spot that the schema knows: ``tests[1]`` or ``params.seed``; what must stand there, what does."""
    for part in detail["loc"][1:]:
        if isinstance(part, int) and "items" in schema:
            schema, label = schema["items"], f"{label}[{part}]"
        elif isinstance(schema.get("additionalProperties"), dict):
            schema, label = schema["additionalProperties"], f"{label}.{part}"
    return label, schema, detail["input"]


def _described(schema: Mapping[str, Any]) -> str:
    """A property's schema in words: "a whole number from 1 to 500"."""
    if choices := schema.get("enum"):
        return " or ".join(json.dumps(choice) for choice in choices)
    words = " or ".join(_KINDS[kind] for kind in kinds_of(schema))
    if "items" in schema:
        words += " of texts"
    if schema.get("minLength") or schema.get("minItems"):
        words += " that is not empty"
    return words + _bounds(schema)


def _bounds(schema: Mapping[str, Any]) -> str:
    match schema:
        case {"minimum": low, "maximum": high}:
            return f" from {low:g} to {high:g}"
        case {"minimum": low}:
            return f" from {low:g}"
        case {"exclusiveMinimum": low}:
            return f" above {low:g}"
    return ""


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _meant(name: str, known: Iterable[str]) -> str:
    names = list(known)
    if near := _nearest(name, names):
        return f"did you mean {near!r}?"
    return f"it takes {', '.join(names)}" if names else "it takes none"


def _nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant: it begins so (``wait``), is spelt alike, or contains it."""
    names, said = list(known), name[:_LONGEST].lower().replace("-", "_")
    begun = [known for known in names if said and known.startswith(said)]
    near = get_close_matches(said, names, 1)
    return next(iter([*begun, *near, *(known for known in names if said and (said in known or known in said))]), None)
