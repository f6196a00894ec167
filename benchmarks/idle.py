"""What an idle session costs the machine: CPU and memory of its keeper, and beside it of the server and the service.

    python benchmarks/idle.py --seconds 20

A real server starts the SIMULATED ComfyUI; then nobody calls. CPU is what the kernel counted in /proc/PID/stat over
the span, as a share of one core (Linux). Ends with status 1 when the keeper misses a target.
"""

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import anyio
import psutil

from mcp_e2e.demo.agent import connected
from mcp_e2e.demo.project import Project, simulated, write
from mcp_e2e.process import jobs

MOST_SHARE, MOST_MIB = 0.005, 12.0
SETTLE_S = 3.0  # what starting has left to do is no idling
_UTIME, _STIME = 11, 12  # fields of /proc/PID/stat, counted from the one after the name
_HZ = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    share: float
    mib: float


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[_UTIME]) + int(fields[_STIME])) / _HZ


def server() -> int:
    """The one process that we have started ourselves."""
    (child,) = psutil.Process().children()
    return int(child.pid)


async def measure(project: Project, seconds: float) -> dict[str, Cost]:
    async with connected(project) as agent:
        try:
            started = await agent.do("start_session")
            started.must(state="ready")
            keeper = jobs.look(project.state.jobs, started.data["job"]).keeper
            assert keeper is not None
            pids = {"keeper": keeper.pid, "server": server(), "service": int(started.data["pid"])}
            await anyio.sleep(SETTLE_S)
            before = {name: cpu_s(pid) for name, pid in pids.items()}
            began = anyio.current_time()
            await anyio.sleep(seconds)
            span = anyio.current_time() - began
            spent = {name: (cpu_s(pid) - before[name]) / span for name, pid in pids.items()}
            return {
                name: Cost(spent[name], psutil.Process(pid).memory_info().rss / 2**20) for name, pid in pids.items()
            }
        finally:
            with anyio.CancelScope(shield=True):
                await agent.ask("stop_session")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    seconds: float = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(prefix="mcp-e2e-bench-") as folder:
        project = write(Path(folder).resolve() / "project", simulated(0.5))
        found = anyio.run(measure, project, seconds)
    print(f"an idle session, nobody calls for {seconds:g} s; one tick of the clock is {1 / _HZ / seconds:.2%}")
    print(f"  {'':10} {'of a core':>9}  {'RSS, MiB':>8}")
    for name, cost in found.items():
        print(f"  {name:10} {cost.share:9.2%}  {cost.mib:8.1f}")
    keeper = found["keeper"]
    met = keeper.share < MOST_SHARE, keeper.mib <= MOST_MIB
    cpu, memory = ("met" if one else "MISSED" for one in met)
    print(f"  {'keeper, at most':10} {MOST_SHARE:.2%} {cpu}, {MOST_MIB:g} MiB {memory}", flush=True)
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
