"""A life of ``mcp-e2e serve``: at first many inputs at once, while it loads; then each with a question behind it."""

from pathlib import Path

from tests.fuzz.frames import frames
from tests.fuzz.lives import LOOK, Plan, Tally, life
from tests.fuzz.params import ERAS
from tests.fuzz.pipes import Pipes
from tests.fuzz.project import GUARDS, Project

AT_ONCE = 15
SETTLE = 100


def live(tally: Tally, kept: Path, seed: int, plan: Plan, python: str) -> None:
    """Long lives are opened properly, in the eras by turns; short ones by whatever their first input is.

    Ten MiB at once come in short lives only: the allocator keeps what they took, and would hide what leaks.
    """
    era, guard = ERAS[plan.number % 2], GUARDS[plan.number // 2 % 2]
    project = Project.made(kept / f"stdio-{plan.number}", guard)
    process = project.serve(python)
    try:
        with life(tally, project, process.pid, kept, f"stdio-{era}{plan.short * '-short'}") as watch:
            pipes = Pipes(process, None if plan.short else era)
            watch.seen = pipes.ledger.seen
            for place, number in enumerate(plan.inputs):
                given = frames(seed, number, era, giants=plan.short)
                watch.number, watch.data = number, given.data
                pipes.put(given)
                tally.kinds[given.kind] += 1
                if place >= AT_ONCE:
                    pipes.ask()
                if place % SETTLE == SETTLE - 1:
                    pipes.settle()
                if place % LOOK == 0:
                    watch.look()
            pipes.ask()
            pipes.settle()
            if plan.number % 3:
                pipes.leave()
            else:
                pipes.stop()
    finally:
        project.leave(process)
