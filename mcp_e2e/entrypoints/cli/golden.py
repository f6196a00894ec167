"""golden accept and list: what a workflow's images must look like is for a person to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mcp_e2e.entrypoints.cli import completion, person
from mcp_e2e.entrypoints.cli.options import Group, Said
from mcp_e2e.entrypoints.cli.output import Outcome, talk
from mcp_e2e.entrypoints.cli.work import inside
from mcp_e2e.formats.text import plain

if TYPE_CHECKING:
    from mcp_e2e.bootstrap import App
    from mcp_e2e.usecases.goldens import Offer

NOT_DONE = "nothing was accepted"


@click.group(cls=Group)
def golden() -> None:
    """The images that a test's images must look like."""


@golden.command("list", example="mcp-e2e golden list")
@click.pass_obj
def list_(said: Said) -> Outcome:
    """Tests that compare images, and what they measured last."""

    async def work(app: App) -> Outcome:
        tests = await app.goldens.known()
        step = "Accept others with: mcp-e2e golden accept TEST." if tests else "No test has golden images."
        return Outcome({"tests": tests, "next_step": step})

    return inside(said, work)


@golden.command(example="mcp-e2e golden accept portrait", changes=True)
@click.argument("test", required=False, shell_complete=completion.tests)
@click.option("--attempt", metavar="ID", help="Accept the images of this attempt, not of the latest.")
@click.option("--yes", is_flag=True, help="Do not ask, and need no terminal; for scripts that are no agent's.")
@click.pass_obj
def accept(said: Said, test: str | None, attempt: str | None, yes: bool) -> Outcome:
    """Keep the images of TEST's latest attempt as golden ones.

    They are to be committed with the project. The attempt must have passed, or failed only because its images are not
    like the golden ones. For a person: an agent is refused. Shows what is replaced, and how far it differs, before it
    asks.
    """
    person.no_agent(NOT_DONE, "Ask the user to look at the images and to accept them in a terminal of their own.")
    if not yes:
        person.at_terminal(NOT_DONE, "Call it in a terminal, or with --yes from a script of yours.")
    offer = inside(said, lambda app: app.goldens.offer(test, attempt))
    if not yes:
        talk(plain(offer.shown()))
        if person.typed("Accept these images? [y/N] ").lower() not in {"y", "yes"}:
            raise person.refused(
                NOT_DONE, "the answer was not yes", "Call again when they are as they should be.", "no"
            )

    async def work(app: App) -> Outcome:
        await app.goldens.accept(app.caller, offer, person.actor())
        return Outcome({**offer.shown(), "next_step": _advice(app, offer)})

    return inside(said, work)


def _advice(app: App, offer: Offer) -> str:
    test = app.settings().settings.test(offer.test)
    commit = f"Commit {offer.folder}."
    if test is not None and test.expect is not None and test.expect.golden:
        return commit
    return f"{commit} To compare with them write golden = true into the expect of {offer.test}."
