"""The command line ``mcp-e2e``: the same use-cases as the MCP server's, for people and scripts."""

import traceback

import click

from mcp_e2e.entrypoints.cli.app import PROGRAM, cli
from mcp_e2e.entrypoints.cli.options import Said
from mcp_e2e.entrypoints.cli.output import INTERRUPTED, Interrupted, Outcome, complain, show, talk, utf8_streams
from mcp_e2e.errors import E2EError, UsageError

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Do what ``argv`` says and answer the exit status (CONTRACT 6); nothing but a defect of ours raises out of it."""
    utf8_streams()
    said = Said()
    try:
        ended = cli.main(args=list(argv), prog_name=PROGRAM, standalone_mode=False, obj=said)
        return show(said, ended) if isinstance(ended, Outcome) else int(ended or 0)
    except click.UsageError as error:
        said.json = said.json or "--json" in argv
        if isinstance(error, click.exceptions.NoArgsIsHelpError) and not said.json:
            talk(error.format_message())
            return error.exit_code
        return complain(said, _usage(error))
    except click.ClickException as error:
        return complain(said, UsageError(error.format_message()))
    except (click.Abort, KeyboardInterrupt):
        return complain(said, Interrupted(INTERRUPTED, remedy=said.goes_on))
    except E2EError as error:
        return complain(said, error)
    except Exception as error:
        return _defect(said, error)


def _usage(error: click.UsageError) -> UsageError:
    path = error.ctx.command_path if error.ctx else PROGRAM
    nothing = isinstance(error, click.exceptions.NoArgsIsHelpError)
    return UsageError("no command was given" if nothing else error.format_message(), remedy=f"See: {path} --help")


def _defect(said: Said, error: BaseException) -> int:
    """Errors out of task groups come in groups; a foreseen one among them is what the person wants to read."""
    cause = error
    while isinstance(cause, BaseExceptionGroup):
        cause = next((each for each in cause.exceptions if isinstance(each, E2EError)), cause.exceptions[0])
    if isinstance(cause, E2EError):
        return complain(said, cause)
    traceback.print_exception(error)
    return complain(said, E2EError(f"{type(cause).__name__}: {cause}"))
