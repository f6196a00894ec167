"""How soon a command runs: by a keeper that stands by, by one started for it, and by a bare subprocess; side by side.

    python benchmarks/start.py --rounds 60

A bare ``subprocess.run(["true"])`` is started and waited for; a job is launched with all its confinement until its
program has been executed. Rounds alternate, so that a busy machine is busy for all three.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import psutil

from mcp_e2e.model.jobs import JobSpec
from mcp_e2e.process import jobs, sandbox
from mcp_e2e.process.spare import Spare

MOST = 8.0  # times a bare subprocess, by a keeper that stands by
MOST_MIB = 12.0


def spec(private: Path) -> JobSpec:
    job = jobs.new_job_id()
    env = {"PATH": os.environ["PATH"], "MCP_E2E_JOB": job}
    return JobSpec(job, "command", ("true",), Path("/"), env, confinement=sandbox.confinement("auto", private))


def took(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


async def measure(private: Path, rounds: int) -> dict[str, list[float]]:
    folder, spare = private / "jobs", Spare()
    found: dict[str, list[float]] = {"bare": [], "warm": [], "cold": []}
    for _ in range(rounds):
        found["bare"].append(took(lambda: subprocess.run(["true"], check=True)))
        for name, keeper in (("warm", spare), ("cold", None)):
            spare.prepare()
            await anyio.sleep(0.05)  # it stands by, as it does when an agent calls
            one = spec(private)
            began = time.perf_counter()
            await jobs.launch(folder, one, keeper)
            found[name].append((time.perf_counter() - began) * 1000)
            await jobs.wait(folder, one.id, 10)
    spare.close()
    return found


async def keeper_mib(private: Path) -> float:
    job = spec(private)
    idle = await jobs.launch(private / "jobs", JobSpec(job.id, "service", ("sleep", "60"), job.cwd, job.env))
    assert idle.keeper is not None
    size = psutil.Process(idle.keeper.pid).memory_info().rss / 2**20
    await jobs.stop(private / "jobs", idle.id)
    return float(size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    rounds: int = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="mcp-e2e-bench-") as folder:
        private = Path(folder).resolve() / "private"
        private.mkdir(mode=0o700)
        level = sandbox.level(spec(private).confinement.layers).level
        found = anyio.run(measure, private, rounds)
        size = anyio.run(keeper_mib, private)
    medians = {name: statistics.median(times) for name, times in found.items()}
    print(f"{rounds} rounds, medians; sandbox {level}")
    for name, text in (("bare", "subprocess.run"), ("warm", "keeper stands by"), ("cold", "keeper started for it")):
        print(
            f"  {text:22} {medians[name]:6.2f} ms  {medians[name] / medians['bare']:5.1f} x  min {min(found[name]):.2f}"
        )
    print(f"  memory of an idle service's keeper {size:.1f} MiB")
    sys.exit(medians["warm"] > MOST * medians["bare"] or size > MOST_MIB)


if __name__ == "__main__":
    main()
