"""config example, show and schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from mcp_e2e.entrypoints.cli.options import Group, Said
from mcp_e2e.entrypoints.cli.output import Outcome
from mcp_e2e.entrypoints.cli.work import inside

if TYPE_CHECKING:
    from mcp_e2e.bootstrap import App


@click.group(cls=Group)
def config() -> None:
    """An example to begin with, what is in force, the schema."""


@config.command(example="mcp-e2e config example > mcp-e2e.toml")
@click.pass_obj
def example(said: Said) -> Outcome:
    """A whole mcp-e2e.toml to begin with, for a service that is no ComfyUI.

    It works as it is: then put your own service and test into it. For ComfyUI: mcp-e2e init.
    """
    from mcp_e2e.settings.example import EXAMPLE  # noqa: PLC0415  as in work.inside

    return Outcome({"text": EXAMPLE}, text=None if said.json else EXAMPLE.rstrip("\n"))


@config.command(example="mcp-e2e config show")
@click.pass_obj
def show(said: Said) -> Outcome:
    """Every setting in force, defaults included; secrets are masked."""

    async def work(app: App) -> Outcome:
        return Outcome(app.views.config())

    return inside(said, work)


@config.command(example="mcp-e2e config schema > mcp-e2e.schema.json")
@click.pass_obj
def schema(said: Said) -> Outcome:
    """The JSON Schema of mcp-e2e.toml, for editors."""
    from mcp_e2e.settings import json_schema  # noqa: PLC0415  as in work.inside

    found = json_schema()
    return Outcome(found, text=None if said.json else json.dumps(found, indent=2))
