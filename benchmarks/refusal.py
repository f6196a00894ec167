"""What a refusal by the open breaker costs beside trivial calls that are allowed, over stdio, on one server.

    python benchmarks/refusal.py --calls 200 --files 5000

Three red tests open the breaker; then refusals and allowed calls take turns, so that all meet the same machine: in a
plain folder, and in a checkout of many files. A look that has been answered equally nine times is throttled, and told
apart. Ends with status 1 when a refusal takes more than twice as long as the quickest kind of allowed ``job``.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import anyio

from mcp_e2e.demo.agent import Agent, Reply, connected
from mcp_e2e.demo.project import Project
from mcp_e2e.settings.discover import FILE_NAME

MOST = 2.0
REDS = 3
CONFIG = """\
[project]
state_dir = ".mcp-e2e"

[[tests]]
id = "red"
command = ["sh", "-c", "echo AssertionError: no; exit 1"]
"""
REFUSED = ("refused safe_exec", "refused run_test")
ALLOWED = ("job list", "job output")
LOOKS = ("next_test", "status")

Seconds = dict[str, list[float]]


def write(root: Path, files: int) -> Project:
    """A project of one red test: a checkout of so many files more, a plain folder without any."""
    project = Project(root)
    project.server_log.parent.mkdir(parents=True)
    (root / FILE_NAME).write_text(CONFIG, encoding="utf-8")
    for at in range(files):
        path = root / f"{at // 100:03}" / f"{at:06}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"value = {at}\n" * 20)
    if files:
        (root / ".gitignore").write_text(f"{project.server_log.parent.name}/\n", encoding="utf-8")
        who = ("-c", "user.name=b", "-c", "user.email=b@example.org")
        for words in (("init", "-q"), ("add", "--all"), (*who, "commit", "-qm", "b")):
            subprocess.run(["git", *words], cwd=root, check=True, stdout=subprocess.DEVNULL)
    return project


async def opened(agent: Agent) -> str:
    """Open the breaker as an agent does; a job to look at, with much output."""
    job = (await agent.do("safe_exec", argv=["seq", "5000"])).data["job"]
    total = REDS + 1  # the run goes on, so that every reply says where it stands
    (await agent.do("plan_run", tests=["red"], count=total)).must(total=total)
    for _ in range(REDS):
        (await agent.do("run_test", checkpoint=True)).must(verdict="failed", checkpointed="failure")
    return str(job)


class Calls:
    """An agent that tries its luck: each call differs from the ones before, where its tool has arguments."""

    def __init__(self, agent: Agent, job: str) -> None:
        self._agent, self._job = agent, job
        self._turn = itertools.count(1)

    async def make(self, kind: str) -> tuple[str, float]:
        """Its kind as it turned out, and the seconds it took."""
        reply = await self._ask(kind, next(self._turn))
        reply.holds("refused", expected=kind in REFUSED, seen=bool(reply.data.get("refused")))
        throttled = "look_again_after_s" in reply.data
        reply.holds("throttled", expected=throttled and kind in LOOKS, seen=throttled)
        return f"{kind}, throttled" if throttled else kind, reply.seconds

    async def _ask(self, kind: str, turn: int) -> Reply:
        match kind:
            case "refused safe_exec":
                return await self._agent.ask("safe_exec", command=f"make try{turn}")
            case "refused run_test":
                return await self._agent.ask("run_test", test="red", params={"seed": turn})
            case "job list":  # the offset makes it another look, and changes nothing of its work
                return await self._agent.ask("job", action="list", offset=turn)
            case "job output":
                return await self._agent.ask("job", action="output", id=self._job, offset=turn)
        return await self._agent.ask(kind)


async def measure(project: Project, calls: int) -> Seconds:
    spent: Seconds = defaultdict(list)
    async with connected(project) as agent:
        made = Calls(agent, await opened(agent))
        for _ in range(calls):
            for kind in (*REFUSED, *ALLOWED, *LOOKS):
                found, seconds = await made.make(kind)
                spent[found].append(seconds)
    return spent


def told(files: int, calls: int) -> bool:
    """Print what was measured; whether it met the target."""
    with tempfile.TemporaryDirectory(prefix="mcp-e2e-bench-") as folder:
        spent = anyio.run(measure, write(Path(folder).resolve() / "project", files), calls)
    medians = {kind: statistics.median(times) for kind, times in spent.items()}
    base = min(medians[kind] for kind in ALLOWED)
    print(f"{f'a checkout of {files:,} files' if files else 'a plain folder'}, the breaker open, over stdio, ms")
    print(f"  {'':22} calls  median    p95   ratio")
    for kind, times in spent.items():
        median, p95 = 1000 * medians[kind], 1000 * statistics.quantiles(times, n=20)[-1]
        print(f"  {kind:22} {len(times):5} {median:7.1f} {p95:6.1f} {medians[kind] / base:7.2f}")
    worst = max(medians[kind] for kind in REFUSED) / base
    print(f"  {'refused, at most':28} {MOST:22.2f}   {'met' if worst <= MOST else 'MISSED'}", flush=True)
    return worst <= MOST


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--files", type=int, default=5_000)
    options = parser.parse_args()
    met = [told(files, options.calls) for files in (0, options.files)]
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
