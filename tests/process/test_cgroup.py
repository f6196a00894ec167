"""Limits that a control group holds, where this user may make one below the tests' own."""

import sys
from pathlib import Path

import pytest

from mcp_e2e.model.jobs import ResourceLimits

BOMB = """
import os, time
children = 0
try:
    for _ in range(40):
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        children += 1
except OSError as full:
    print(children, full.strerror, flush=True)
time.sleep(60)
"""
HOG = "x = bytearray(300 << 20)\nprint('had it all')"


def own_group() -> Path | None:
    """As the kernel tells it, without the product's help."""
    lines = Path("/proc/self/cgroup").read_text().splitlines() if sys.platform == "linux" else []
    mounts = Path("/proc/self/mounts").read_text().splitlines() if lines else []
    where = next((words[1] for words in map(str.split, mounts) if words[2] == "cgroup2"), None)
    below = next((line[4:] for line in lines if line.startswith("0::/")), None)
    return Path(where) / below if where is not None and below is not None else None


def needs(controller: str) -> Path:
    group = own_group()
    told = group / "cgroup.subtree_control" if group is not None else None
    if group is None or told is None or not told.exists() or controller not in told.read_text().split():
        pytest.skip(f"no control group (v2) in which {controller} can be limited has been given to this user")
    return group


async def test_a_group_holds_the_number_of_processes(room):
    """Not one more is born than allowed; the whole tree is ended for it, and the group is gone."""
    group = needs("pids")
    job = await room.command(sys.executable, "-S", "-c", BOMB, limits=ResourceLimits(processes=20))
    assert "cgroup" in job.layers
    ended = (await room.end(job)).exit
    assert ended.reason == "processes"
    assert ended.stdout.head == "19 Resource temporarily unavailable\n"
    assert list(group.glob("mcp-e2e-*")) == []


async def test_a_group_holds_memory(room):
    """The kernel ends all of it at once, and the record says which limit it was."""
    needs("memory")
    ended = (await room.end(await room.python(HOG, limits=ResourceLimits(memory_bytes=100 << 20)))).exit
    assert (ended.reason, ended.stdout.head) == ("memory", "")
