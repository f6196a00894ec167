"""What a ComfyUI's ``/system_stats`` tells of memory. Pure.

On a server without a GPU the numbers of its device are those of the RAM once more: such a device is left out.
``vram_free`` counts what the server's own torch holds in reserve, so ``used`` is what cannot be had.
"""

import math
from collections.abc import Mapping
from typing import Any

from mcp_e2e.model.work import RAM, MemorySample, Usage

_MIB = 1 << 20


def memory(stats: object) -> MemorySample:
    """The memories of one answer, RAM first; those it does not tell, or tells nonsense of, are left out."""
    system, devices = _read(stats)
    cpus = [device for device in devices if device.get("type") == "cpu"]
    rams = [_usage(RAM, system, "ram"), *(_usage(RAM, device, "vram") for device in cpus)]
    cards = [_card(device) for device in devices if device not in cpus]
    return tuple(usage for usage in (*[ram for ram in rams if ram][:1], *cards) if usage is not None)


def _read(stats: object) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    told = stats if isinstance(stats, Mapping) else {}
    system, devices = told.get("system"), told.get("devices")
    listed = devices if isinstance(devices, list) else []
    return system if isinstance(system, Mapping) else {}, [each for each in listed if isinstance(each, Mapping)]


def _card(device: Mapping[str, Any]) -> Usage | None:
    usage = _usage(str(device.get("name") or device.get("type") or "device")[:80], device, "vram")
    own = _usage("torch", device, "torch_vram")
    return usage._replace(torch=own.used) if usage and own else usage


def _usage(name: str, told: Mapping[str, Any], prefix: str) -> Usage | None:
    total, free = _mib(told.get(f"{prefix}_total")), _mib(told.get(f"{prefix}_free"))
    if not total or free is None:
        return None
    return Usage(name, total, min(total, max(0, total - free)))


def _mib(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return round(value / _MIB)
