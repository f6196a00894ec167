"""logs: what a service, job or test has written; and following it while it is written."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcp_e2e.entrypoints.cli import completion
from mcp_e2e.entrypoints.cli.options import Command, Said
from mcp_e2e.entrypoints.cli.output import Outcome, put_bytes
from mcp_e2e.entrypoints.cli.work import inside, is_person
from mcp_e2e.errors import NotFound, UsageError
from mcp_e2e.process import jobs, output
from mcp_e2e.process.sparse import BLOCK_BYTES, extents, read_at
from mcp_e2e.store.layout import Layout

if TYPE_CHECKING:
    from mcp_e2e.bootstrap import App
    from mcp_e2e.process.redaction import Redactor

LINES = 200
POLL_S = 0.2


@click.command(cls=Command, example="mcp-e2e logs -f comfyui\nmcp-e2e logs j-01h4abcd1234 --lines 0")
@click.argument("name", required=False, metavar="[SERVICE|JOB|ATTEMPT]", shell_complete=completion.services)
@click.option("-f", "--follow", is_flag=True, help="Go on until it ends.")
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), default=LINES, show_default=True, help="Last lines; 0: everything."
)
@click.pass_obj
def logs(said: Said, name: str | None, follow: bool, lines: int) -> Outcome:
    """What a service, job or attempt has written.

    The first configured service unless named."""
    if follow and said.json:
        raise UsageError("--follow and --json exclude each other", remedy="Leave one of them out.")
    said.goes_on = "Only the watching has ended."

    async def work(app: App) -> Outcome:
        job, log = await _find(app, name or _first_service(app))
        begin = where_lines_begin(log, lines)
        if said.json:
            size = log.stat().st_size if log.exists() else 0
            text, _ = output.read_slice(log, begin, size, app.views.redactor())
            return Outcome({"job": job, "log": str(log), "text": text})
        if follow:
            await stream(app, job, log, begin)
        else:
            output.pour(log, begin, put_bytes, _redactor(app), last=True)
        return Outcome({}, text="")

    return inside(said, work)


def _first_service(app: App) -> str:
    loaded = app.settings()
    loaded.needs_file()
    name = next(iter(loaded.settings.services), None)
    if name is None:
        raise NotFound("no service is configured", remedy="Name a job or an attempt: mcp-e2e jobs lists them.")
    return name


async def _find(app: App, name: str) -> tuple[str, Path]:
    """The job behind ``name`` and its log."""
    found = await app.execs.job(app.caller, action="output", id=name)
    if found.job is None or found.log is None:
        raise NotFound(
            f"{name} runs a workflow and has no log of its own", remedy="Look into its service's: mcp-e2e logs."
        )
    return found.job, Path(found.log)


def _redactor(app: App) -> Redactor | None:
    """None where a person looks at the program's own output; into a pipe or to an agent no secrets go."""
    return None if is_person() and sys.stdout.isatty() else app.views.redactor()


async def stream(app: App, job_id: str, log: Path, begin: int) -> None:
    """Everything from ``begin`` on to stdout, until the job has ended."""
    folder, live, redactor = Layout(app.state_dir).jobs, True, _redactor(app)
    while live:
        live = (await jobs.wait(folder, job_id, POLL_S)).live
        begin = output.pour(log, begin, put_bytes, redactor, last=not live)


def where_lines_begin(log: Path, lines: int) -> int:
    """The offset of the last ``lines`` lines, 0 for all of them."""
    size = log.stat().st_size if log.exists() else 0
    if not lines or not size:
        return 0
    with log.open("rb", buffering=0) as file:
        wanted = lines + (read_at(file, size - 1, size) == b"\n")
        for first, stop in reversed(list(extents(file, 0, size))):
            for start in range(stop - (stop - first - 1) % BLOCK_BYTES - 1, first - 1, -BLOCK_BYTES):
                block = read_at(file, start, min(stop, start + BLOCK_BYTES))
                ends = [match.end() for match in re.finditer(b"\n", block)]
                if len(ends) >= wanted:
                    return start + ends[-wanted]
                wanted -= len(ends)
    return 0
