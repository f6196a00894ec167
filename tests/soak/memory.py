"""Whether what lives from beginning to end keeps its size: medians of the first, the middle and the last third."""

import statistics
from collections import defaultdict
from dataclasses import dataclass, field

import anyio
import psutil

from mcp_e2e.process.records import list_jobs
from tests.soak.actor import Phase
from tests.soak.chaos import SAFE, servers
from tests.soak.project import Project

EVERY_S = 2.0
MOST_GROWTH, MOST_MIB = 1.25, 10.0  # both have to be exceeded
FEWEST = 9


@dataclass
class Memory:
    """Sizes in MiB by name and pid, in the order they were taken. ``names``: of the servers to watch; empty: all.

    ``service``: whose keeper is watched; ``warm_s``: so long a process only warms up.
    """

    names: frozenset[str] = SAFE
    service: str = "calm"
    warm_s: float = 0.0
    seen: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))

    async def watch(self, project: Project, phase: Phase) -> None:
        while not phase.calm.is_set():
            watched = {
                f"server {name}": who.pid for name, who in servers().items() if name in self.names or not self.names
            }
            for job in list_jobs(project.state.jobs):
                if job.live and job.labels.get("service") == self.service and job.keeper:
                    watched[f"keeper of {self.service}"] = job.keeper.pid
            for name, pid in watched.items():
                try:
                    self.seen[name, pid].append(psutil.Process(pid).memory_info().rss / 2**20)
                except psutil.Error:
                    continue
            await anyio.sleep(EVERY_S)

    def thirds(self) -> dict[str, tuple[float, float, float]]:
        """The medians of each that was seen for long."""
        found = {}
        for (name, pid), seen in self.seen.items():
            sizes = seen[round(self.warm_s / EVERY_S) :]
            third = len(sizes) // 3
            if len(sizes) >= FEWEST:
                parts = sizes[:third], sizes[third:-third], sizes[-third:]
                found[f"{name} (pid {pid})"] = tuple(map(statistics.median, parts))
        return found

    def wrong(self) -> list[str]:
        return [
            f"{name} grew from {first:.1f} to {last:.1f} MiB"
            for name, (first, _, last) in self.thirds().items()
            if last > first * MOST_GROWTH and last > first + MOST_MIB
        ]
