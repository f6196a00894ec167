"""install: lets an editor or agent start this server for the project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcp_e2e.adapters.editors import EDITORS
from mcp_e2e.entrypoints.cli.options import Command, Said
from mcp_e2e.entrypoints.cli.output import Outcome, talk
from mcp_e2e.settings import discover

if TYPE_CHECKING:
    from mcp_e2e.usecases.editors import Installed


@click.command(cls=Command, changes=True, example="mcp-e2e install claude\nmcp-e2e install codex --dry-run")
@click.argument("client", type=click.Choice(list(EDITORS)))
@click.option("--dry-run", is_flag=True, help="Print what would be written, and write nothing.")
@click.option("--force", is_flag=True, help="Replace an entry e2e that starts another program.")
@click.option("--user", is_flag=True, help="Codex only: your own config.toml, not the project's.")
@click.pass_obj
def install(said: Said, client: str, dry_run: bool, force: bool, user: bool) -> Outcome:
    """Write the entry that starts this server into an editor's file.

    The file is the project's own. Nothing else in it changes; what cannot be understood is left as it is.
    """
    from mcp_e2e.usecases.editors import Editors, Order  # noqa: PLC0415  as in work.inside

    where = discover(
        os.environ,
        Path.cwd(),
        project=str(said.project) if said.project else None,
        config=str(said.config) if said.config else None,
    )
    made = Editors(where, os.environ, Path.home()).install(Order(client, user, force, dry_run))
    return Outcome({**made.shown(), "diff": made.diff} if dry_run else made.shown(), text=_text(said, made, dry_run))


def _text(said: Said, made: Installed, dry_run: bool) -> str | None:
    """Of a dry run the change alone on stdout, to be looked at or redirected; the rest is talk."""
    if not dry_run or said.json:
        return None
    talk("\n".join([f"{made.file} {made.done}", *(f"note: {note}" for note in made.notes), made.next_step]))
    return made.diff.removesuffix("\n")
