"""Limits that a control group holds, where this user may make one below the tests' own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_e2e.model.jobs import ResourceLimits
from mcp_e2e.process import keeper
from mcp_e2e.process.keeping import cgroup
from mcp_e2e.process.keeping.cgroup import Group

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


JOINED = """
import os
import signal
import subprocess
import sys
sys.path.append(sys.argv[1])
import subprocess, time
from keeping.cgroup import Group
Group(sys.argv[2]).join()
subprocess.Popen(["setsid", "sleep", "60"])
print("in", flush=True)
time.sleep(60)
"""


async def test_the_end_of_a_group_leaves_nobody_behind(room):
    """Whoever joined it and all that came from him are killed at once, in whatever session; then it can go."""
    own = own_group()
    if own is None or not os.access(own, os.W_OK):
        pytest.skip("this user has been given no control group (v2)")
    folder = own / f"mcp-e2e-test-{os.getpid()}"
    folder.mkdir()
    group = Group(str(folder))
    keeping = str(Path(keeper.__file__).parent)
    child = subprocess.Popen([sys.executable, "-S", "-c", JOINED, keeping, str(folder)], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"in\n"
        assert len((folder / "cgroup.procs").read_text().split()) == 2
        group.kill()
        assert child.wait(10) == -signal.SIGKILL
        await room.until(lambda: not (folder / "cgroup.procs").read_text())
    finally:
        child.kill()
        child.communicate()
        group.remove()
    assert not folder.exists()


def test_a_new_keeper_clears_only_what_dead_ones_left(tmp_path):
    """A group that is empty for a moment belongs to a keeper that is about to start its command."""
    (tmp_path / "cgroup.subtree_control").write_text("pids io\n")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for pid in (os.getpid(), gone.pid):
        (tmp_path / f"mcp-e2e-{pid}").mkdir()
    assert cgroup._usable(str(tmp_path)) == (str(tmp_path), {"pids"})
    assert [path.name for path in tmp_path.glob("mcp-e2e-*")] == [f"mcp-e2e-{os.getpid()}"]
