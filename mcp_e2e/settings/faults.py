"""A problem in the configuration, as a value: several can be found at once and reported together."""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic_core import PydanticCustomError

Key = tuple[str | int, ...]
"""The path to a setting, as in ``("tests", 0, "timeout_s")``."""


@dataclass(frozen=True)
class Fault:
    """``problem`` completes "<file>, line <n>: "; ``fix`` is an order to the person who edits the file."""

    key: Key
    problem: str
    fix: str


def reject(faults: Iterable[Fault]) -> None:
    """Fail a pydantic validator with all of ``faults``; does nothing when there are none."""
    found = list(faults)
    if found:
        raise PydanticCustomError("faults", "{text}", {"text": "; ".join(f.problem for f in found), "faults": found})


def dotted(key: Key) -> str:
    """A key path as people write it: ``tests[0].timeout_s``."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
