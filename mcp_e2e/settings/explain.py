"""From what pydantic found to sentences: what is wrong with a key and what to write instead."""

from collections.abc import Iterator
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mcp_e2e.settings.faults import Fault, Key
from mcp_e2e.settings.schema import Settings
from mcp_e2e.settings.services import ENV_NAME, NAME, NO_NUL, URL_PATH

_WRONG = {
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "list_type": "must be a list in [ ]",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "literal_error": "must be {expected}",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "finite_number": "must be a finite number",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
}
_FORMS = {
    NAME: "may hold only letters, digits, dot, underscore and dash, and needs a letter or digit",
    NO_NUL: "must not hold the character NUL",
    ENV_NAME: "must be the name of a variable, without '='",
    URL_PATH: "must begin with /",
}


def explain(error: ValidationError) -> Iterator[Fault]:
    """Every problem of a validation, keys counted from the top of the file. Values under ``env`` are never shown."""
    for found in error.errors(include_url=False):
        key = tuple(part for part in found["loc"] if part != "[key]")
        if found["type"] == "faults":
            for fault in found["ctx"]["faults"]:
                yield Fault((*key, *fault.key), fault.problem, fault.fix)
        elif found["type"] == "extra_forbidden":
            yield _unknown(key)
        elif found["type"] == "missing":
            yield Fault(key, "is missing", f"Add it. {_meaning(key)}".strip())
        else:
            yield Fault(key, _wrong(found, key), _fix(found["type"], key))


def _unknown(key: Key) -> Fault:
    table = _table_at(key[:-1])
    known = list(table.model_fields) if table else []
    near = get_close_matches(str(key[-1]), known, 1, cutoff=0.5)
    fix = f"Did you mean '{near[0]}'?" if near else f"Known here: {', '.join(known)}."
    return Fault(key, "not a known key", fix)


def _wrong(found: ErrorDetails, key: Key) -> str:
    context: dict[str, Any] = found.get("ctx", {})
    pattern = _WRONG.get(found["type"])
    if context.get("expected") == "True":
        context["expected"] = "true"  # as TOML writes it
    problem = pattern.format(**context) if pattern else _FORMS.get(context.get("pattern", ""), found["msg"])
    return problem + _seen(found["input"], key)


def _seen(value: object, key: Key) -> str:
    """What stands there, when it is short and cannot be a secret."""
    if "env" in key or isinstance(value, dict | list) or value == "":
        return ""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return f", not {text}" if len(text) <= 60 and text.isprintable() else ""


def _fix(kind: str, key: Key) -> str:
    if kind == "string_type" and "env" in key:
        return "Put quotes around the value."
    return _meaning(key) or "Correct it."


def _meaning(key: Key) -> str:
    """The description of the setting that ``key`` is, or is an item of."""
    names = [at for at, part in enumerate(key) if isinstance(part, str)]
    for at in reversed(names):
        table = _table_at(key[:at])
        field = table.model_fields.get(str(key[at])) if table else None
        if field is not None:
            return f"{key[at]}: {field.description}"
    return ""


def _table_at(key: Key) -> type[BaseModel] | None:
    """The model that describes the table at ``key``; None where no table is expected."""
    wanted: Any = Settings
    for part in key:
        wanted = _step(wanted, part)
    return wanted if _is_table(wanted) else None


def _step(wanted: Any, part: str | int) -> Any:
    if _is_table(wanted):
        field = wanted.model_fields.get(str(part))
        return _bare(field.annotation) if field else None
    return _bare(get_args(wanted)[-1]) if get_origin(wanted) in {list, dict} else None


def _bare(annotation: Any) -> Any:
    """A type without ``Annotated`` and without ``None``."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) is UnionType or get_origin(annotation) is Union:
        return _bare(next(option for option in get_args(annotation) if option is not NoneType))
    return annotation


def _is_table(wanted: Any) -> bool:
    return isinstance(wanted, type) and issubclass(wanted, BaseModel)
