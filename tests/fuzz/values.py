"""Values of every kind and size, and JSON written as no library would: huge numbers, twice the same key, half a pair.

No string here does harm as a shell line, a program, a folder or a variable.
"""

import json
import random
from collections.abc import Callable
from typing import Any

MIB = 1 << 20
STRINGS = (
    *(
        "",
        " ",
        "x",
        "true",
        "null",
        "0",
        "status",
        "passes",
        "api",
        "latest",
        "success",
        "-",
        "--",
        "{}",
        "[]",
        '["true"]',
    ),
    *(
        "a\x00b",
        "\x1b[31mred",
        "line\nline\r\n",
        "\u2028\u2029",
        "\ufeff",
        "\u202eabc",
        "e\u0301" * 40,
        "\U0001f9ea" * 9,
    ),
    *(
        "\ud800",
        "\udfff\ud83d",
        "..",
        "../../etc/passwd",
        "/nowhere",
        "%2e%2e%2f",
        "%00",
        "%",
        "C:\\nowhere",
        "\\\\?\\x",
    ),
    *("{name}", "${HOME}", "{{code}}", "(" * 40, "[a-z", "(a+)+$", "*", "**/*", "from-1", "from-99999999999999999999"),
    *("2025-11-25", "2024-11-05", "2026-07-28", "1999-01-01", "__proto__", "__class__", "_meta", "e2e://status"),
)
NUMBERS = (0, 1, -1, 3, 500, 501, 2**31, 2**53 + 1, 2**63, 2**70, -(2**70), 10**400, 0.5, -0.0, 1e308, 5e-324, 3.0)


class Raw(str):
    """JSON as it is to be written."""


class Pairs(list[tuple[str, Any]]):
    """An object with its members in order; keys may come twice."""


RAW = tuple(
    map(Raw, ("1e999", "-1e999", "NaN", "-Infinity", "1" + "0" * 5000, "0." + "1" * 5000, "1E-9999", "-0", r'"\u0000"'))
)


def written(value: Any) -> str:
    """``value`` as JSON."""
    match value:
        case Raw():
            return str(value)
        case Pairs():
            return "{" + ",".join(f"{json.dumps(key)}:{written(item)}" for key, item in value) + "}"
        case dict():
            return written(Pairs(value.items()))
        case list() | tuple():
            return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value)


def text(rng: random.Random) -> str:
    """A string; one in thirty is long."""
    if rng.random() < 0.03:
        return rng.choice(("a", "\u00e9", '"', "\\", "\n")) * rng.choice((300, 9_000, 70_000))
    return rng.choice(STRINGS)


def anything(rng: random.Random, depth: int = 3) -> Any:
    """A value that fits nowhere in particular."""
    kind = rng.randrange(10 if depth else 7)
    if kind < 3:
        return text(rng)
    if kind < 5:
        return rng.choice(NUMBERS)
    if kind == 5:
        return rng.choice((None, True, False))
    if kind == 6:
        return rng.choice(RAW)
    if kind == 7:
        return [anything(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {text(rng): anything(rng, depth - 1) for _ in range(rng.randrange(4))}


def deep(rng: random.Random, depth: int) -> Raw:
    """A value so many levels deep."""
    if rng.random() < 0.5:
        return Raw("[" * depth + "]" * depth)
    return Raw('{"a":' * depth + "1" + "}" * depth)


def mutated(rng: random.Random, value: Any) -> Any:
    """``value`` with one thing changed somewhere inside."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        return _CHANGES[rng.randrange(len(_CHANGES))](rng, dict(value), key)
    if isinstance(value, list) and value and rng.random() < 0.8:
        place = rng.randrange(len(value))
        return [*value[:place], mutated(rng, value[place]), *value[place + 1 :]]
    if isinstance(value, dict) and rng.random() < 0.7:
        return {**value, text(rng): anything(rng)}
    return anything(rng)


def _dropped(rng: random.Random, value: dict[str, Any], key: str) -> Any:
    del value[key]
    return value


def _renamed(rng: random.Random, value: dict[str, Any], key: str) -> Any:
    item = value.pop(key)
    return {**value, rng.choice((key.upper(), f"{key}_", text(rng))): item}


def _twice(rng: random.Random, value: dict[str, Any], key: str) -> Any:
    return Pairs([*value.items(), (key, anything(rng))])


def _added(rng: random.Random, value: dict[str, Any], key: str) -> Any:
    return {**value, text(rng): anything(rng)}


def _replaced(rng: random.Random, value: dict[str, Any], key: str) -> Any:
    return {**value, key: anything(rng)}


def _inside(rng: random.Random, value: dict[str, Any], key: str) -> Any:
    return {**value, key: mutated(rng, value[key])}


def _wrapped(rng: random.Random, value: dict[str, Any], key: str) -> Any:
    return {**value, key: [value[key]]}


_CHANGES: tuple[Callable[[random.Random, dict[str, Any], str], Any], ...] = (
    *(_dropped, _renamed, _twice, _added, _replaced, _wrapped),
    *(_inside, _inside, _inside),
)
