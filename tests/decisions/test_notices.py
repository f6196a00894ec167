"""From two looks at what moves to the addresses that read otherwise."""

import pytest

from mcp_e2e.decisions.notices import Marks, changed

BEFORE = Marks(event=7, live={"a-1": "running step 1"}, config="1")
ALL = {"status", "progress", "runs", "config"}


@pytest.mark.parametrize(
    ("after", "runs", "told"),
    [
        (BEFORE, set(), set()),
        (Marks(8, BEFORE.live, "1"), set(), {"status", "progress"}),
        (Marks(8, BEFORE.live, "1"), {"r-1"}, {"status", "progress", "runs", "runs/r-1", "runs/r-1/report"}),
        (Marks(7, {"a-1": "running step 2"}, "1"), set(), {"progress"}),
        (Marks(7, {}, "1"), set(), {"progress"}),
        (Marks(7, BEFORE.live, "2"), set(), ALL),
        (Marks(7, BEFORE.live, "1", fault="the disk is full"), set(), ALL),
        (Marks(3, BEFORE.live, "1"), set(), {"status", "progress"}),
    ],
)
def test_what_reads_otherwise_is_told(after: Marks, runs: set[str], told: set[str]) -> None:
    """And nothing else; a database made anew counts its events from somewhere else."""
    assert changed(BEFORE, after, runs) == told
