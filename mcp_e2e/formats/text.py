"""Any answer as text: ``plain`` for agents and terminals, ``clip`` to keep an answer within its size."""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mcp_e2e.formats.clean import clean, one_line

NEXT_STEP = "next_step"
WIDTH = 160  # characters of a line that still reads at a glance
KEPT = frozenset({NEXT_STEP, "code", "verdict", "position"})
MARK = "clipped"
_WORD = 64  # bytes of JSON: ids, states and other words are never cut


def plain(data: Mapping[str, Any]) -> str:
    """``key: value`` lines in the order given, ``next_step`` last, empty things left out; no newline at the end."""
    told = {key: value for key, value in data.items() if key != NEXT_STEP}
    if NEXT_STEP in data:
        told[NEXT_STEP] = data[NEXT_STEP]
    return "\n".join(_lines(told))


def _lines(data: Mapping[str, Any]) -> Iterator[str]:
    for key, value in data.items():
        yield from _entry(f"{one_line(str(key))}:", value)


def _entry(head: str, value: Any) -> Iterator[str]:
    """``head value`` on one line where it fits, else the value as a block, indented under ``head`` or behind a dash."""
    if _empty(value):
        return
    short = _short(value)
    if short is not None:
        yield f"{head} {short}"
        return
    lines = [f"  {line}" for line in _block(value)]
    if head == "-":
        lines[0] = f"-{lines[0][1:]}"
    else:
        yield head
    yield from lines


def _block(value: Any) -> Iterator[str]:
    match value:
        case Mapping():
            yield from _lines(value)
        case list() | tuple():
            for item in value:
                yield from _entry("-", item)
        case _:
            yield from clean(str(value)).strip("\n").split("\n")


def _empty(value: Any) -> bool:
    match value:
        case None:
            return True
        case str():
            return not clean(value).strip()
        case Mapping():
            return all(map(_empty, value.values()))
        case list() | tuple():
            return all(map(_empty, value))
    return False


def _short(value: Any) -> str | None:
    """The value on one line, or None when it needs a block. A lone string may be as long as it likes."""
    match value:
        case str():
            text = clean(value).strip("\n")
            return None if "\n" in text else text.strip()
        case Mapping():
            return _joined([(f"{one_line(str(key))}=", item) for key, item in value.items()])
        case list() | tuple():
            return _joined([("", item) for item in value])
    return _scalar(value)


def _joined(pairs: Sequence[tuple[str, Any]]) -> str | None:
    """Scalars that fit on one line together, comma between; None when one of them is no scalar or has a comma."""
    said = []
    for name, value in pairs:
        if _empty(value):
            continue
        if isinstance(value, Mapping | list | tuple):
            return None
        said.append(name + _scalar(value))
    text = ", ".join(said)
    return text if len(text) <= WIDTH and "\n" not in text and text.count(",") == len(said) - 1 else None


def _scalar(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.3f}".rstrip("0").rstrip(".")
    return clean(str(value)).strip()


def clip(data: Mapping[str, Any], limit_bytes: int = 8192) -> dict[str, Any]:
    """``data`` with its longest strings, lists and nested objects shortened until its JSON fits ``limit_bytes``.

    Bytes are those of ``json.dumps`` with its defaults; UTF-8 or compact writing is never longer. Strings keep a
    quarter of their room from the head and the rest from the tail, around a marker; lists lose their last items.
    ``clipped`` names every top-level field that lost something. ``next_step``, ``code``, ``verdict`` and ``position``
    are never touched: the bound holds as long as these alone are within it.
    """
    if _cost(data) <= limit_bytes:
        return dict(data)

    def levelled(level: int) -> dict[str, Any]:
        cut = {key: value if key in KEPT else _shrunk(value, level) for key, value in data.items()}
        return {**cut, MARK: _mark(data, cut, limit_bytes // 8)}

    return _largest(levelled, limit_bytes, limit_bytes) or _fewer_fields(data, limit_bytes)


def _fewer_fields(data: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """The last resort, for answers with very many fields: whole fields go, the largest first."""
    least = {key: value if key in KEPT else _shrunk(value, 0) for key, value in data.items()}
    by_cost = sorted(least.keys() - KEPT, key=lambda key: (_cost({key: least[key]}), key))

    def smallest(count: int) -> dict[str, Any]:
        keep = KEPT.union(by_cost[:count])
        cut = {key: value for key, value in least.items() if key in keep}
        return {**cut, MARK: _mark(data, cut, limit // 8)}

    return _largest(smallest, len(by_cost), limit) or {key: least[key] for key in data if key in KEPT}


def _largest(make: Callable[[int], dict[str, Any]], most: int, limit: int) -> dict[str, Any] | None:
    """``make(n)`` for the largest ``n`` up to ``most`` that was seen to fit; None when not even ``make(0)`` does."""
    best, low, high = None, 0, most
    while low <= high:
        middle = (low + high) // 2
        made = make(middle)
        if _cost(made) <= limit:
            best, low = made, middle + 1
        else:
            high = middle - 1
    return best


def _shrunk(value: Any, level: int) -> Any:
    """``value`` cut to ``level``: that many bytes a string, with shares of it for items of lists and of objects."""
    match value:
        case str():
            return _cut(value, max(level, _WORD))
        case Mapping():
            return {key: _shrunk(item, level) for key, item in list(value.items())[: level // 16]}
        case list() | tuple():
            return [_shrunk(item, level) for item in value[: level // _WORD]]
    return value


def _cut(text: str, room: int) -> str:
    """``text`` in at most ``room`` bytes of JSON, quotes included; ``room`` is enough for the marker."""
    if _cost(text) <= room:
        return text
    left = max(0, room - _cost(_gap(len(text))))
    head = _fitting(text, left // 4)
    tail = _fitting(text[::-1], left - left // 4)[::-1]
    return head + _gap(len(text) - len(head) - len(tail)) + tail


def _gap(characters: int) -> str:
    return f"\n[... {characters} characters left out ...]\n"


def _fitting(text: str, room: int) -> str:
    """The longest head of ``text`` that takes at most ``room`` bytes inside a JSON string."""
    near = text[:room]
    return near[: bisect_right(range(len(near) + 1), room, key=lambda length: _cost(near[:length]) - 2) - 1]


def _cost(value: Any) -> int:
    return len(json.dumps(value))


def _mark(data: Mapping[str, Any], cut: Mapping[str, Any], room: int) -> str:
    """Which fields are shorter than they were; those that do not fit into ``room`` bytes are counted."""
    losses = list(_losses(data, cut))
    named = bisect_right(range(len(losses) + 1), room, key=lambda count: _cost(losses[:count])) - 1
    more = [f"{len(losses) - named} more"] if named < len(losses) else []
    return ", ".join(losses[:named] + more)


def _losses(data: Mapping[str, Any], cut: Mapping[str, Any]) -> Iterator[str]:
    """One word or two for every field that is shorter than it was."""
    for key, value in data.items():
        name = _cut(key, _WORD)
        if key not in cut:
            yield f"{name} (left out)"
        elif isinstance(value, list | tuple) and len(cut[key]) < len(value):
            yield f"{name} ({len(cut[key])} of {len(value)} items)"
        elif _cost(cut[key]) < _cost(value):
            yield f"{name} ({_cost(cut[key])} of {_cost(value)} bytes)"
