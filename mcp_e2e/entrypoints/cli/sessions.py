"""start, stop, status."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mcp_e2e.entrypoints.cli import completion
from mcp_e2e.entrypoints.cli.options import Command, Said
from mcp_e2e.entrypoints.cli.output import Outcome, TimedOut
from mcp_e2e.entrypoints.cli.progress import Telling
from mcp_e2e.entrypoints.cli.watching import watch
from mcp_e2e.entrypoints.cli.work import inside, is_person
from mcp_e2e.errors import ConfigError, E2EError, ServiceUnavailable

if TYPE_CHECKING:
    from mcp_e2e.bootstrap import App
    from mcp_e2e.model.answers import SessionAnswer

WAIT_S = 300.0


@click.command(cls=Command, changes=True, example="mcp-e2e start\nmcp-e2e start comfyui --wait 0")
@click.argument("service", required=False, shell_complete=completion.services)
@click.option(
    "--wait", type=click.FloatRange(min=0), default=WAIT_S, show_default=True, help="Seconds to wait; 0: do not."
)
@click.pass_obj
def start(said: Said, service: str | None, wait: float) -> Outcome:
    """Start a service, or join it, and wait until it is ready.

    The first configured one unless named.
    Exit status 4: it failed; 7: still starting. Slow boots are never killed.
    """
    said.goes_on = "It starts on without you: `mcp-e2e start` waits for it, `mcp-e2e stop` ends it."

    async def work(app: App) -> Outcome:
        with Telling(said) as telling:
            answer = await app.sessions.start(app.caller, service=service, wait_seconds=wait, progress=telling.tick)
        return Outcome(answer.shown(), _not_ready(answer, wait))

    return inside(said, work)


def _not_ready(answer: SessionAnswer, wait: float) -> E2EError | None:
    if answer.state == "ready" or (answer.state == "starting" and wait == 0):
        return None
    if answer.state == "starting":
        return TimedOut(f"{answer.service} is still starting after {wait:g} s")
    return ServiceUnavailable(
        f"{answer.service} is {answer.state}: {answer.cause or answer.stage}",
        remedy=f"Read its log (mcp-e2e logs {answer.service}), repair the cause, then start it again.",
    )


@click.command(cls=Command, changes=True, example="mcp-e2e stop\nmcp-e2e stop api")
@click.argument("service", required=False, shell_complete=completion.services)
@click.pass_obj
def stop(said: Said, service: str | None) -> Outcome:
    """Stop a service with its whole process tree.

    The first configured one unless named; one that others started is let go."""

    async def work(app: App) -> Outcome:
        return Outcome((await app.sessions.stop(app.caller, service=service)).shown())

    return inside(said, work)


@click.command(cls=Command, example="mcp-e2e status\nmcp-e2e --json status\nmcp-e2e status --watch")
@click.option("--watch", "follow", is_flag=True, help="Go on showing what changes, until Ctrl-C.")
@click.pass_obj
def status(said: Said, *, follow: bool) -> Outcome:
    """Services, tests, run, jobs, breaker, and who else works here.

    --watch redraws one screen of services, breaker, run, attempts and latest events; into a pipe it writes a line for
    each change, with --json an envelope. It only looks: it keeps no service up, and no call is written.
    """
    if follow:
        said.command, said.goes_on = "status-watch", "Only the watching has ended."
        inside(said, lambda app: watch(said, app.boards), reads_only=True)
        return Outcome({}, text="")

    async def work(app: App) -> Outcome:
        answer = (await app.status.show(app.caller, person=is_person())).shown()
        wrong = answer.pop("config_error", None)
        return Outcome(answer, _config_error(wrong) if wrong else None)

    return inside(said, work)


def _config_error(facts: dict[str, str]) -> ConfigError:
    others = {name: value for name, value in facts.items() if name not in {"code", "message", "remedy"}}
    return ConfigError(facts["message"], remedy=facts["remedy"], **others)
