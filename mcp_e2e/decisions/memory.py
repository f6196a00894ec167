"""Memory before, at its peak and after an attempt, put together from looks. Pure.

MiB in use on the machine, other programs' included. A peak is that of the looks: what rose and fell between two of
them was not seen.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from mcp_e2e.model.work import RAM, MemorySample, Usage


def highest(one: MemorySample, other: MemorySample) -> MemorySample:
    """The larger use of each memory in either."""
    mine, theirs = {usage.name: usage for usage in one}, {usage.name: usage for usage in other}
    return tuple(_higher(mine.get(name), theirs.get(name)) for name in {**mine, **theirs})


def _higher(one: Usage | None, other: Usage | None) -> Usage:
    known = [usage for usage in (one, other) if usage is not None]
    most = max(known, key=lambda usage: usage.used)
    torch = max((usage.torch for usage in known if usage.torch is not None), default=None)
    return Usage(most.name, most.total, most.used, torch)


def told(before: MemorySample, peak: MemorySample, after: MemorySample, looks: int) -> dict[str, Any] | None:
    """What an attempt's evidence says: ``ram_…``, ``vram_…`` of the first device, ``more_devices``; None: no look.

    A moment that was not seen is left out. ``device`` is ``cpu`` where the server has no memory of its own to compute
    in, so that its RAM is all that counts.
    """
    if not peak:
        return None
    moments = {"before": before, "peak": peak, "after": after}
    cards = [usage.name for usage in peak if usage.name != RAM]
    facts = {"unit": "MiB", "looks": looks, **_of(RAM, "ram", moments), "device": cards[0] if cards else "cpu"}
    for name in cards[:1]:
        facts |= _of(name, "vram", moments)
    more = [{"device": name, **_of(name, "vram", moments)} for name in cards[1:]]
    return facts | ({"more_devices": more} if more else {})


def _of(name: str, prefix: str, moments: Mapping[str, MemorySample]) -> dict[str, int]:
    facts: dict[str, int] = {}
    for moment, sample in moments.items():
        for usage in sample:
            if usage.name == name:
                facts |= {f"{prefix}_total": usage.total, f"{prefix}_{moment}": usage.used}
    peaks = [usage.torch for usage in moments["peak"] if usage.name == name and usage.torch is not None]
    return facts | ({f"torch_{prefix}_peak": peaks[0]} if peaks and prefix == "vram" else {})


def sentence(memory: Mapping[str, Any]) -> str:
    """``VRAM 512 MiB before, peak 8100 of 8192 (cuda:0 …); RAM 900 MiB before, peak 2100 of 24152``."""
    parts = [_part("VRAM", "vram", each) for each in (memory, *memory.get("more_devices", ())) if "vram_peak" in each]
    return "; ".join([*parts, *([_part("RAM", "ram", memory)] if "ram_peak" in memory else [])])


def _part(title: str, prefix: str, memory: Mapping[str, Any]) -> str:
    before, own = memory.get(f"{prefix}_before"), memory.get(f"torch_{prefix}_peak")
    told_before = f"{before} MiB before, " if before is not None else ""
    shares = [f"{own} of them the server's own"] if own is not None else []
    where = [str(memory.get("device"))] if prefix == "vram" else []
    extra = f" ({', '.join([*shares, *where])})" if shares or where else ""
    return f"{title} {told_before}peak {memory[f'{prefix}_peak']} of {memory.get(f'{prefix}_total')} MiB{extra}"


def fullest(memories: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The one that came nearest to its limit: in VRAM where the server has it, else in RAM."""
    return max(memories, key=_fullness, default=None)


def _fullness(memory: Mapping[str, Any]) -> float:
    prefix = "vram" if "vram_peak" in memory else "ram"
    return float(memory.get(f"{prefix}_peak", 0) / (memory.get(f"{prefix}_total") or 1))
