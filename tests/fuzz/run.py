"""Both doors of real servers, fed with inputs from a seed; ``make fuzz`` feeds 50,000.

    python -m tests.fuzz.run --inputs 50000 --seed 7
    python -m tests.fuzz.run --seed 7 --door stdio --only 1234      one input again, on a new server

Ends with status 1, the seed, and the kept inputs when a server died, was silent, said what it must not, or has grown.
"""

import argparse
import random
import tempfile
from pathlib import Path

from tests.fuzz import over_pipes
from tests.fuzz.lives import Plan, Tally, plans
from tests.fuzz.messages import ERAS
from tests.fuzz.project import PYTHON


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=50_000, help="over both doors together")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--door", choices=("stdio",))
    parser.add_argument("--only", type=int, nargs="+", help="these inputs alone")
    parser.add_argument("--era", choices=ERAS, default="legacy", help="of ``--only``")
    parser.add_argument("--python", default=PYTHON, help="the interpreter whose mcp-e2e is served; default: this one")
    options = parser.parse_args()
    kept = Path(tempfile.mkdtemp(prefix="mcp-e2e-fuzz-")).resolve()
    print(f"seed {options.seed}, {options.inputs} inputs, in {kept}", flush=True)
    tally = Tally()
    lives = [Plan(options.era == "modern", options.only, False)] if options.only else plans(options.inputs)
    for plan in lives:
        over_pipes.live(tally, kept, options.seed, plan, options.python)
    print("\n".join(tally.told()))
    for line in tally.wrong:
        print("WRONG:", line)


if __name__ == "__main__":
    main()
