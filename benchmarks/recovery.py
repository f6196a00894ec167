"""What a project with a long past costs: the folders of 1,000 jobs read, and a fresh server that opens and settles.

    python benchmarks/recovery.py --jobs 1000 --real 24

Real commands are run by a real server; a quarter of them lose their keeper to SIGKILL, so that nobody knows how they
ended. Their folders are copied under new ids up to the wished number, as of yesterday, and each copy has its row in the
database. A bare read of two small files of each folder, in the same run, is what to compare with. Ends with status 1
when anything takes longer, beside that, than it may: settling for the first time looks at each job once, and settling
again, which a server does every two seconds, at none that is over.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio

from mcp_e2e.bootstrap import App, Options, open_app
from mcp_e2e.model.jobs import Job, JobState
from mcp_e2e.process import jobs
from mcp_e2e.process.identity import send_signal
from mcp_e2e.process.records import list_jobs
from mcp_e2e.settings.discover import FILE_NAME
from mcp_e2e.store import sessions
from mcp_e2e.store.database import open_database
from mcp_e2e.store.layout import Layout
from mcp_e2e.store.opening import Founding
from mcp_e2e.usecases.rebuilding import alone

MOST = {"list_jobs": 10.0, "open, settle": 10.0, "settle again": 0.1, "job list": 3.0, "status": 3.0}
"""Times a bare read of two small files of every job."""
AGE_S = 86_400
ROUNDS = 7
STATE_DIR = ".mcp-e2e"


async def ran(app: App, layout: Layout, count: int) -> None:
    """So many real jobs, of which each fourth is lost."""
    for at in range(count):
        command = f"echo {at}" if at % 4 else f"echo {at}; exec sleep 60"
        answer = await app.execs.run(app.caller, command=command, wait_seconds=10 if at % 4 else 0)
        if at % 4 == 0:
            await lose(layout, jobs.look(layout.jobs, answer.job))


async def lose(layout: Layout, job: Job) -> None:
    """Its command is bound to the keeper and ends with it."""
    assert job.keeper is not None
    send_signal(job.keeper, signal.SIGKILL)
    lost = await jobs.wait(layout.jobs, job.id, 10)
    if lost.state is not JobState.LOST:
        raise SystemExit(f"{job.id} was to be lost, not {lost.state}")


def copied(layout: Layout, count: int) -> list[str]:
    """New ids of copies of the folders that are there, until there are ``count``."""
    there = sorted(layout.jobs.iterdir())
    ids = []
    for at in range(count - len(there)):
        model, job = there[at % len(there)], jobs.new_job_id()
        shutil.copytree(model, layout.jobs / job, ignore=shutil.ignore_patterns("ctl"))
        spec = json.loads((model / "spec.json").read_text())
        (layout.jobs / job / "spec.json").write_text(json.dumps(spec | {"id": job}))
        yesterday = time.time() - AGE_S
        for file in (layout.jobs / job).iterdir():
            os.utime(file, (yesterday, yesterday))
        ids.append(job)
    return ids


async def indexed(layout: Layout, ids: list[str]) -> None:
    async with open_database(layout.database, Founding(partial(alone, layout), lambda _: None)) as database:
        for job in ids:
            await database.run(
                lambda con, job=job: sessions.add_job(con, job, "safe_exec", "echo", "bench (pid 1)", time.time())
            )


def bare(layout: Layout) -> None:
    """Two small files of each job, and nothing made of them."""
    for folder in sorted(layout.jobs.iterdir()):
        for name in ("spec.json", "state.json"):
            (folder / name).read_bytes()


def took(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


async def awaited(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return 1000 * (time.perf_counter() - began)


async def fresh(project: Path) -> dict[str, float]:
    """Median milliseconds of what servers do that find this past: each round is a server of its own."""
    found: dict[str, list[float]] = {name: [] for name in ("open, settle", "settle again", "job list", "status")}
    for _ in range(ROUNDS):
        async with open_app(Options(project), os.environ, settles=False) as app:
            found["open, settle"].append(await awaited(app.settle))
            found["settle again"].append(await awaited(app.settle))
            found["job list"].append(await awaited(lambda: app.execs.job(app.caller)))
            found["status"].append(await awaited(lambda: app.status.show(app.caller)))
    return {name: statistics.median(times) for name, times in found.items()}


async def measure(project: Path, count: int, real: int) -> tuple[dict[str, float], dict[str, float], float, float]:
    layout = Layout(project / STATE_DIR)
    async with open_app(Options(project), os.environ) as app:
        await ran(app, layout, real)
    few = await fresh(project)
    await indexed(layout, copied(layout, count))
    known = list_jobs(layout.jobs)
    lost = sum(job.state is JobState.LOST for job in known)
    if len(known) != count or not 0 < lost < count:
        raise SystemExit(f"{len(known)} jobs are there, {lost} of them lost")
    two = statistics.median(took(lambda: bare(layout)) for _ in range(ROUNDS))
    looks = statistics.median(took(lambda: list_jobs(layout.jobs)) for _ in range(ROUNDS))
    return few, await fresh(project), two, looks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1_000)
    parser.add_argument("--real", type=int, default=24)
    options = parser.parse_args()
    count: int = options.jobs
    with tempfile.TemporaryDirectory(prefix="mcp-e2e-bench-") as folder:
        project = Path(folder).resolve() / "project"
        project.mkdir()
        (project / FILE_NAME).write_text(f'[project]\nstate_dir = "{STATE_DIR}"\n', encoding="utf-8")
        few, many, two, looks = anyio.run(measure, project, count, options.real)
    print(f"the past: {count:,} jobs, a quarter of them lost; medians of {ROUNDS}, ms")
    print(f"  {'':22} {options.real:5} jobs {count:5,} jobs    a job  of bare  at most")
    print(f"  {'two files each, bare':22} {'':10} {two:10.1f} {two / count:8.3f}")
    met = []
    for name, value in {"list_jobs": looks, **many}.items():
        met.append(value <= MOST[name] * two)
        before = f"{few[name]:10.1f}" if name in few else f"{'':10}"
        told = f"{value:10.1f} {value / count:8.3f} {value / two:8.2f} {MOST[name]:8.2f}"
        print(f"  {name:22} {before} {told}  {'met' if met[-1] else 'MISSED'}", flush=True)
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
