"""What a service that stays alive saves: the same tests on one session, and with a restart before each. Both measured.

    python benchmarks/session_reuse.py --tests 5 --boot-seconds 3

The service is the SIMULATED ComfyUI, so the seconds are its own; the ratio is what to look at. A real ComfyUI boots
slower and tests longer: put its times into ``(tests * (boot + test)) / (boot + tests * test)``.
"""

import argparse
import tempfile
import time
from pathlib import Path

import anyio

from mcp_e2e.demo.agent import Agent, connected
from mcp_e2e.demo.project import GOOD, Project, simulated, write


async def one_session(agent: Agent, tests: int) -> float:
    """Seconds for all tests on a service that boots once."""
    began = time.monotonic()
    (await agent.do("start_session")).must(state="ready")
    await run(agent, tests, restart=False)
    return time.monotonic() - began


async def restart_each_time(agent: Agent, tests: int) -> float:
    """Seconds for all tests on a service that boots for each of them."""
    began = time.monotonic()
    await run(agent, tests, restart=True)
    return time.monotonic() - began


async def run(agent: Agent, tests: int, *, restart: bool) -> None:
    (await agent.do("plan_run", tests=list(GOOD), count=tests)).must(total=tests, joined=False)
    for _ in range(tests):
        if restart:
            (await agent.do("stop_session")).must(state="stopped")
            (await agent.do("start_session")).must(state="ready")
        (await agent.do("run_test", checkpoint=True)).must(verdict="passed", checkpointed="success")


async def measure(project: Project, tests: int) -> tuple[float, float]:
    async with connected(project) as agent:
        try:
            return await one_session(agent, tests), await restart_each_time(agent, tests)
        finally:
            with anyio.CancelScope(shield=True):
                await agent.ask("stop_session")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", type=int, default=5)
    parser.add_argument("--boot-seconds", type=float, default=3.0)
    options = parser.parse_args()
    tests: int = options.tests
    with tempfile.TemporaryDirectory(prefix="mcp-e2e-bench-") as folder:
        project = write(Path(folder).resolve() / "project", simulated(options.boot_seconds))
        kept, restarted = anyio.run(measure, project, tests)
    print(f"{tests} tests, SIMULATED ComfyUI that boots in {options.boot_seconds:g} s, one run each")
    print(f"  one session      {kept:6.1f} s  {kept / tests:5.2f} s a test")
    print(f"  restart for each {restarted:6.1f} s  {restarted / tests:5.2f} s a test")
    print(f"  ratio            {restarted / kept:6.2f}    restart for each / one session")


if __name__ == "__main__":
    main()
