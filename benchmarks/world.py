"""What looking at the world costs: a checkout of many files, seen cold and warm, beside a bare ``git status``.

    python benchmarks/world.py --files 50000 --changed 200

Cold is the first look of a process, warm the median of the next ones. Both run git once more to ask for filters, and
read or stat every changed and untracked file; the ratio to ``git status`` in the same run is what to look at.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import anyio

from mcp_e2e.world import Scope, World
from mcp_e2e.world.contents import RACY_NS

ROUNDS = 7


def make(root: Path, files: int, changed: int) -> None:
    """A checkout with ``files`` committed files, ``changed`` of them edited and as many new ones."""
    for at in range(files):
        path = root / f"{at // 1000:03}" / f"{at // 100 % 10}" / f"{at:06}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"value = {at}\n" * 20)
    git(root, "init", "-q")
    git(root, "add", "--all")
    git(root, "-c", "user.name=b", "-c", "user.email=b@example.org", "commit", "-qm", "b")
    for path in sorted(root.glob("*/*/*.py"))[:: max(1, files // max(1, changed))][:changed]:
        path.write_text("edited\n")
        path.with_name("new_" + path.name).write_text("new\n")
    time.sleep(RACY_NS / 1e9 + 0.1)  # a hash of a file just written is not kept


def git(root: Path, *words: str) -> None:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # or the first one would do the work of the others
    subprocess.run(["git", *words], cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL)


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


async def looks(root: Path) -> tuple[list[float], list[int]]:
    """Seconds of each look, and how many files had been read after it."""
    world, spent, reads = World(deadline_s=120), [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        seen = await world.look(Scope(root))
        spent.append(time.perf_counter() - began)
        reads.append(world.contents.reads)
        if seen.partial:
            raise SystemExit(seen.partial)
    return spent, reads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--changed", type=int, default=200)
    options = parser.parse_args()
    files: int = options.files
    changed: int = options.changed
    with tempfile.TemporaryDirectory(prefix="mcp-e2e-bench-") as folder:
        root = Path(folder).resolve()
        make(root, files, changed)
        git(root, "status")  # the disk's cache is warm for all that is measured
        bare = statistics.median(seconds(lambda: git(root, "status")) for _ in range(ROUNDS))
        spent, reads = anyio.run(looks, root)
    cold, warm = spent[0], statistics.median(spent[1:])
    print(f"a checkout of {files:,} files, {changed} changed, {changed} new; medians of {ROUNDS} but for cold")
    print(f"  git status  {bare * 1000:7.0f} ms")
    print(f"  cold look   {cold * 1000:7.0f} ms  {cold / bare:5.2f} of git status  {reads[0]} files read")
    print(f"  warm look   {warm * 1000:7.0f} ms  {warm / bare:5.2f} of git status  {reads[-1] - reads[0]} files read")


if __name__ == "__main__":
    main()
