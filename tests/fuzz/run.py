"""Both doors of real servers, fed with inputs from a seed; ``make fuzz`` feeds 50,000.

    python -m tests.fuzz.run --inputs 50000 --seed 7
    python -m tests.fuzz.run --seed 7 --door stdio --era modern --only 1234      one input again, on a new server

Ends with status 1, the seed, and the kept inputs when a server died, was silent, said what it must not, or has grown.
"""

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from mcp_e2e.entrypoints.mcp.recorded import load
from tests.fuzz import over_http, over_pipes
from tests.fuzz.idle import Idle
from tests.fuzz.lives import Plan, Tally, plans
from tests.fuzz.params import ERAS
from tests.fuzz.project import PYTHON

DOORS = {"stdio": (over_pipes.live, 0.6), "http": (over_http.live, 0.4)}  # and its share of the inputs
SLOW, SESSIONS = 300, 1_000


def feed(door: str, seed: int, lives: list[Plan], kept: Path, python: str = PYTHON) -> Tally:
    """What one door did with all that."""
    tally = Tally()
    for plan in lives:
        DOORS[door][0](tally, kept, seed, plan, python)
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=50_000, help="over all doors together")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--door", choices=sorted(DOORS), help="this one alone")
    parser.add_argument("--only", type=int, nargs="+", help="these inputs alone")
    parser.add_argument("--era", choices=ERAS, default="legacy", help="of ``--only`` over stdio")
    parser.add_argument("--short", action="store_true", help="``--only`` in a short life")
    parser.add_argument("--python", default=PYTHON, help="the interpreter whose mcp-e2e is served; default: this one")
    options = parser.parse_args()
    kept = Path(tempfile.mkdtemp(prefix="mcp-e2e-fuzz-")).resolve()
    print(f"seed {options.seed}, in {kept}", flush=True)
    if not load():
        print("the opening is not recorded for this code, so the quick start is off: make opening", flush=True)
    wrong = []
    for door in [options.door] if options.door else sorted(DOORS):
        inputs = options.inputs if options.door else round(options.inputs * DOORS[door][1])
        lives = [Plan(ERAS.index(options.era), options.only, options.short)] if options.only else list(plans(inputs))
        tally = feed(door, options.seed, lives, kept, options.python)
        print(f"{door}: " + "\n".join(tally.told()), flush=True)
        wrong += tally.wrong
    if not options.door and not options.only:
        tally = Tally()
        print("idle: " + "; ".join(Idle(SLOW, SESSIONS).live(tally, kept, options.python)), flush=True)
        wrong += tally.wrong
    for line in wrong:
        print(f"WRONG: {line}")
    if wrong:
        print(f"{len(wrong)} wrong; seed {options.seed}; everything is kept in {kept}")
        sys.exit(1)
    shutil.rmtree(kept)
    print("nothing died, nothing was silent, nobody was let in")


if __name__ == "__main__":
    main()
