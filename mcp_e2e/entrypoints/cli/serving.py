"""serve and demo."""

import os
from functools import partial

import anyio
import click

from mcp_e2e.entrypoints.cli.options import Command, Said
from mcp_e2e.entrypoints.cli.output import talk
from mcp_e2e.entrypoints.mcp import quick
from mcp_e2e.errors import UsageError


@click.command(cls=Command, example="mcp-e2e serve --project /path/to/project\nmcp-e2e serve --http 127.0.0.1:8765")
@click.option("--http", metavar="HOST:PORT", help="Serve over HTTP instead, at /mcp, behind a bearer token.")
@click.option("--no-auth", is_flag=True, help="With --http on loopback: ask for no token.")
@click.pass_obj
def serve(said: Said, http: str | None, no_auth: bool) -> int:
    """Be the MCP server, on stdin and stdout or over HTTP.

    An editor or agent starts it on stdin and stdout; it ends when its client leaves. Over HTTP it serves many
    and ends by Ctrl-C. What it started lives on."""
    if http is None:
        if no_auth:
            raise UsageError("--no-auth needs --http", remedy="On stdin and stdout there is no token to leave out.")
        where = said.options()
        quick.serve(str(where.project) if where.project else None, str(where.config) if where.config else None)
    return _serve_http(said, http, auth=not no_auth)


def _serve_http(said: Said, where: str, *, auth: bool) -> int:
    from mcp_e2e.entrypoints.mcp.http.address import parse_address  # noqa: PLC0415
    from mcp_e2e.entrypoints.mcp.http.serving import serve_http  # noqa: PLC0415  as above

    address = parse_address(where)
    return anyio.run(partial(serve_http, said.options(), os.environ, address, auth=auth, say=talk))


@click.command(cls=Command, example="mcp-e2e demo")
@click.option("--keep", is_flag=True, help="Keep the demo's project folder.")
def demo(keep: bool) -> int:
    """Watch it all at work, in a folder of its own."""
    from mcp_e2e.demo import tour  # noqa: PLC0415  it brings an MCP client along

    return tour.main(keep=keep)
