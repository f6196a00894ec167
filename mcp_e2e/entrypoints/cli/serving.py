"""serve and demo."""

from typing import NoReturn

import click

from mcp_e2e.entrypoints.cli.options import Command, Said
from mcp_e2e.entrypoints.mcp import quick


@click.command(cls=Command, example="mcp-e2e serve --project /path/to/project")
@click.pass_obj
def serve(said: Said) -> NoReturn:
    """Be the MCP server, on stdin and stdout.

    An editor or agent starts it this way; it ends when its client leaves, and what it started lives on."""
    where = said.options()
    quick.serve(str(where.project) if where.project else None, str(where.config) if where.config else None)


@click.command(cls=Command, example="mcp-e2e demo")
@click.option("--keep", is_flag=True, help="Keep the demo's project folder.")
def demo(keep: bool) -> int:
    """Watch it all at work, in a folder of its own."""
    from mcp_e2e.demo import tour  # noqa: PLC0415  it brings an MCP client along

    return tour.main(keep=keep)
