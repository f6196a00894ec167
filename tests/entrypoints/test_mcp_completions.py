"""Completions: which names are offered, in which order."""

import pytest

from mcp_e2e.entrypoints.mcp.completions import _fitting


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("", ["b-a", "Ab", "c", "a"]), ("a", ["Ab", "a", "b-a"]), ("AB", ["Ab"]), ("x", [])],
)
def test_names_that_begin_so_come_first(typed, expected) -> None:
    """Then those that have it in them; each part in the order of the names, newest first."""
    assert _fitting(["b-a", "Ab", "c", "a"], typed) == expected


def test_many_names_are_no_trouble() -> None:
    """Fifty runs of hundreds of attempts: each name is looked at a few times, not once for every other name."""
    looks = 0

    class Name(str):
        def __eq__(self, other: object) -> bool:
            nonlocal looks
            looks += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    names = [Name(f"a-{number}") for number in range(500)]
    assert _fitting(names, "a-") == names
    assert looks <= 2 * len(names)
