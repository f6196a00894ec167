"""Time that a session saved by staying alive, and how it was reckoned: measured facts only. Pure."""

from collections.abc import Sequence
from statistics import median

from mcp_e2e.decisions.wording import some
from mcp_e2e.model.runs import Run


def boot_saved(run: Run, boots: Sequence[float]) -> tuple[float | None, str | None]:
    """Seconds not spent on booting, and how they were reckoned; None when no boot was measured."""
    if not boots:
        return None, None
    joined = sum(bool(attempt.joined_running) for slot in run.slots for attempt in slot.attempts if not attempt.open)
    boot_s = median(boots)
    saved_s = round(joined * boot_s, 1)
    how = (
        f"{some(joined, 'attempt')} found the service running x {boot_s:.1f} s"
        f" (median of {some(len(boots), 'measured boot')}) = {saved_s} s"
    )
    return saved_s, how
