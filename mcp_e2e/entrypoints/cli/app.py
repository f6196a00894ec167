"""The command ``mcp-e2e``: which commands there are, in the order its help shows them."""

import click

from mcp_e2e import __version__
from mcp_e2e.entrypoints.cli import (
    breaker,
    completion,
    config,
    doctor,
    execs,
    golden,
    guard,
    history,
    init,
    install,
    logs,
    prompts,
    running,
    runs,
    serving,
    sessions,
)
from mcp_e2e.entrypoints.cli.options import Group

PROGRAM = "mcp-e2e"
COMMANDS: tuple[click.Command, ...] = (
    serving.serve,
    serving.demo,
    init.init,
    install.install,
    doctor.doctor,
    sessions.start,
    sessions.stop,
    sessions.status,
    runs.plan,
    runs.next_,
    running.run,
    runs.checkpoint,
    runs.report,
    runs.reset,
    execs.exec_,
    execs.jobs,
    logs.logs,
    runs.runs,
    history.history,
    golden.golden,
    breaker.breaker,
    guard.guard,
    config.config,
    prompts.prompts,
    completion.completion,
)
EXIT_CODES = """\
Exit status: 0 ok, 1 a test failed, 2 usage, 3 internal error, 4 service unavailable, 5 nothing selected, 6 refused,
7 timed out, 8 configuration, 9 lock held, 130 interrupted. exec ends with the command's own."""


class Ordered(Group):
    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=Ordered,
    epilog=EXIT_CODES,
    commands={command.name or "": command for command in COMMANDS},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name=PROGRAM)
def cli() -> None:
    """Slow end-to-end tests on a service that stays alive.

    Begin in your project's folder with: mcp-e2e install claude (or vscode, cursor, codex); then mcp-e2e doctor.
    """
