"""Stand-ins for standard modules whose import alone would double the keeper's start-up (measured: 14 ms to 43 ms)."""

from __future__ import annotations

import _json

TYPE_CHECKING = False  # type checkers take it for True; the typing module costs 10 ms
if TYPE_CHECKING:
    from typing import Any


class quietly:  # noqa: N801
    """``contextlib.suppress``."""

    def __init__(self, *errors: type[BaseException]) -> None:
        self._errors = errors

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, self._errors)


class _Strict:
    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float
    memo: dict[str, str] = {}  # noqa: RUF012


def loads(text: str) -> Any:
    """``json.loads`` of one value without white space before it; raises ValueError or StopIteration."""
    scan = _json.make_scanner(_Strict())  # type: ignore[arg-type]
    return scan(text, 0)[0]


def dumps(value: Any) -> str:
    """``json.dumps`` in ASCII, of plain values."""
    if isinstance(value, str):
        return str(_json.encode_basestring_ascii(value))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{dumps(str(key))}: {dumps(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(dumps, value)) + "]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
