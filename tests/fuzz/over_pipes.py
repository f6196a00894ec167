"""A life of ``mcp-e2e serve``: at first many inputs at once, while it loads; then each with a question behind it."""

from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.frames import LEADS, frames
from tests.fuzz.lives import LOOK, Tally, life
from tests.fuzz.pipes import Pipes
from tests.fuzz.project import GUARDS, Project

AT_ONCE = 15
SETTLE = 100


def live(tally: Tally, kept: Path, seed: int, number: int, numbers: Sequence[int], python: str) -> None:
    lead, guard = LEADS[number % len(LEADS)], GUARDS[number // len(LEADS) % len(GUARDS)]
    project = Project.made(kept / f"stdio-{number}", guard)
    process = project.serve(python)
    try:
        with life(tally, project, process.pid, kept, "stdio") as watch:
            pipes = Pipes(process, lead)
            if number % 2:
                pipes.open()
            for place, each in enumerate(numbers):
                given = frames(seed, each, lead)
                watch.number, watch.data = each, given.data
                pipes.put(given)
                tally.kinds[given.kind] += 1
                if place == AT_ONCE and not number % 2 and lead != "none":
                    pipes.lead = "none"  # whatever came first has settled it
                if place >= AT_ONCE:
                    pipes.ask()
                if place % SETTLE == 0:
                    pipes.settle()
                if place % LOOK == 0:
                    watch.look()
            pipes.ask()
            pipes.settle()
            pipes.leave() if number % 3 else pipes.stop()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        project.leave()
