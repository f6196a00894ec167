"""Which resources read otherwise than before: from two looks at what moves, their addresses. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

STATUS, PROGRESS, RUNS, CONFIG = "status", "progress", "runs", "config"


@dataclass(frozen=True)
class Marks:
    """One look. ``event``: number of the latest; ``live``: what each open attempt says of itself; ``config``: the state
    of its files; ``fault``: why nothing else could be read."""

    event: int = 0
    live: Mapping[str, str] = field(default_factory=dict)
    config: str = ""
    fault: str = ""


def changed(before: Marks, after: Marks, runs: Collection[str]) -> set[str]:
    """What to read again, without the scheme; ``runs``: those that the events between the two looks belong to."""
    told: set[str] = set()
    if before.fault != after.fault or before.config != after.config:
        told |= {STATUS, PROGRESS, RUNS, CONFIG}
    if before.event != after.event:
        told |= {STATUS, PROGRESS}
    if runs:
        told.add(RUNS)
        told.update(address for run in runs for address in (f"runs/{run}", f"runs/{run}/report"))
    if before.live != after.live:
        told.add(PROGRESS)
    return told
