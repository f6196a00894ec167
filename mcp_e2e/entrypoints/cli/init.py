"""init: writes the configuration of a project with ComfyUI."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from mcp_e2e.entrypoints.cli.options import Command, Said
from mcp_e2e.entrypoints.cli.output import Outcome, talk

if TYPE_CHECKING:
    from mcp_e2e.usecases.setting_up import SetUp


@click.command(cls=Command, changes=True, example="mcp-e2e init\nmcp-e2e init --comfyui ~/ComfyUI --dry-run")
@click.option("--comfyui", metavar="PATH|URL", help="Your ComfyUI: its folder, or the address of a running one.")
@click.option("--python", type=click.Path(path_type=Path), metavar="PATH", help="The interpreter that runs it.")
@click.option("--dry-run", is_flag=True, help="Print what would be written, and write nothing.")
@click.pass_obj
def init(said: Said, comfyui: str | None, python: Path | None, dry_run: bool) -> Outcome:
    """Find ComfyUI and workflows, and write mcp-e2e.toml.

    A file that stands there is only added to: workflows that are no tests yet, a service where none is of this kind.
    Nothing is asked. Exit status 4: no ComfyUI was found.
    """
    from mcp_e2e.adapters.comfyui.installation import Machine  # noqa: PLC0415  as in work.inside
    from mcp_e2e.settings import discover  # noqa: PLC0415
    from mcp_e2e.usecases.setting_up import SettingUp, Wish  # noqa: PLC0415

    where = discover(
        os.environ,
        Path.cwd(),
        project=str(said.project) if said.project else None,
        config=str(said.config) if said.config else None,
    )
    machine = Machine(sys.platform, Path.home(), os.environ)
    setting_up = SettingUp(where, os.environ, machine, Path.cwd(), (lambda _: None) if said.quiet else talk)
    wish = Wish(comfyui, Path.cwd() / python.expanduser() if python else None, dry_run)
    made = anyio.run(setting_up.run, wish)
    return Outcome({**made.shown(), "text": made.added} if dry_run else made.shown(), text=_text(said, made, dry_run))


def _text(said: Said, made: SetUp, dry_run: bool) -> str | None:
    """Of a dry run the file alone, to be looked at or redirected; the rest is talk."""
    if not dry_run or said.json:
        return None
    for note in made.notes:
        talk(f"note: {note}")
    return made.added
