"""exec and jobs: commands in process trees of their own."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcp_e2e.entrypoints.cli.logs import stream
from mcp_e2e.entrypoints.cli.options import Command, Said, refuse_inside_job
from mcp_e2e.entrypoints.cli.output import Outcome, TimedOut
from mcp_e2e.entrypoints.cli.progress import Telling
from mcp_e2e.entrypoints.cli.work import inside
from mcp_e2e.errors import E2EError, LaunchError

if TYPE_CHECKING:
    from mcp_e2e.bootstrap import App
    from mcp_e2e.model.answers import ExecAnswer, JobAnswer

COULD_NOT_RUN = 125
SIGNALLED = 128


@click.command(
    "exec",
    cls=Command,
    changes=True,
    context_settings={"allow_interspersed_args": False},
    example="mcp-e2e exec -- pytest -q tests/unit\nmcp-e2e exec --timeout 60 'make build 2>&1 | tail'",
)
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="[--] CMD...")
@click.option("--cwd", metavar="FOLDER", help="Where it runs: a folder inside the project.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds until it is ended.")
@click.option("--yes", is_flag=True, help="Run it although it may destroy what cannot be got back.")
@click.option("--detach", is_flag=True, help="Answer at once; it goes on in the background.")
@click.pass_obj
def exec_(
    said: Said, words: tuple[str, ...], cwd: str | None, timeout: float | None, *, yes: bool, detach: bool
) -> Outcome:
    """Run a command in a process tree of its own.

    It is ended as a whole, apart from the service, and does not die with this terminal.

    One word with spaces is a line for the shell, several words are a program and its arguments. Both of its streams
    come on stdout. Ends with the command's own exit status, 128 + n after signal n, 125 when it could not be run, 7
    when its time was over.
    """
    line = words[0] if len(words) == 1 and " " in words[0].strip() else None
    argv = list(words) if line is None else None
    whole = said.json and not detach

    async def work(app: App) -> Outcome:
        said.goes_on = "The command goes on: `mcp-e2e jobs` shows it."
        with Telling(said) as telling:
            answer = await app.execs.run(
                app.caller,
                command=line,
                argv=argv,
                cwd=_from_here(app, cwd),
                timeout_s=timeout,
                confirm=yes,
                wait_seconds=math.inf if whole else 0.0,
                progress=telling.tick,
            )
        if detach or whole:
            return Outcome(answer.shown()) if detach else _ended(answer)
        said.goes_on = (
            f"It goes on: `mcp-e2e logs -f {answer.job}` shows it, `mcp-e2e jobs --cancel {answer.job}` ends it."
        )
        await stream(app, answer.job, Path(answer.log or ""), 0)
        return _ended(await app.execs.job(app.caller, action="wait", id=answer.job))

    try:
        return inside(said, work)
    except LaunchError as error:
        return Outcome({}, error, status=COULD_NOT_RUN, text="")


def _from_here(app: App, cwd: str | None) -> str | None:
    """``--cwd`` is said from where the person stands; the use-case counts from the project."""
    if cwd is None:
        return None
    here = Path(cwd).expanduser().absolute()
    return str(here if here.is_dir() else app.settings().project / cwd)


def _ended(answer: ExecAnswer | JobAnswer) -> Outcome:
    """The command's own status, or why it has none."""
    data, text = answer.shown(), ""
    if answer.reason == "timeout":
        return Outcome(
            data, TimedOut("its time limit ended the command", remedy="Give it more with --timeout."), text=text
        )
    if answer.exit_code is not None:
        return Outcome(data, status=answer.exit_code, text=text)
    if answer.signal is not None:
        return Outcome(data, status=SIGNALLED + answer.signal, text=text)
    gone = E2EError("the command ended without a record", remedy=f"{answer.next_step} Its log: {answer.log}")
    return Outcome(data, gone, status=COULD_NOT_RUN, text=text)


@click.command(cls=Command, example="mcp-e2e jobs\nmcp-e2e jobs --cancel j-01h4abcd1234")
@click.option("--cancel", metavar="ID", help="End this job or attempt with its whole tree.")
@click.pass_obj
def jobs(said: Said, cancel: str | None) -> Outcome:
    """What still runs, and what ended within the last hour."""
    if cancel is not None:
        refuse_inside_job(os.environ, "mcp-e2e jobs --cancel")

    async def work(app: App) -> Outcome:
        answer = await app.execs.job(app.caller, action="cancel" if cancel else "list", id=cancel)
        return Outcome(answer.shown())

    return inside(said, work)
