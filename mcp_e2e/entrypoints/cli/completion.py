"""completion: the script for a shell, and what can stand for tests, services and runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

from mcp_e2e.entrypoints.cli.options import Command, Said
from mcp_e2e.entrypoints.cli.output import Outcome

if TYPE_CHECKING:
    from mcp_e2e.settings import Source

_SHELLS = {shell: found for shell in ("bash", "zsh", "fish", "powershell") if (found := get_completion_class(shell))}
_RUNS = 20
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


@click.command(cls=Command, example="mcp-e2e completion bash")
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> Outcome:
    """Print the script that completes words in your shell.

    bash, zsh: eval "$(mcp-e2e completion bash)" in ~/.bashrc, with zsh in ~/.zshrc. fish: into
    ~/.config/fish/completions/mcp-e2e.fish. powershell: mcp-e2e completion powershell | Out-String | Invoke-Expression
    """
    root = ctx.find_root()
    program = root.info_name or ""
    script = _SHELLS[shell](root.command, {}, program, variable(program))
    text = ShellComplete.source(script)  # bash's own would start a bash first, to see how old it is
    return Outcome({"shell": shell, "script": text}, text=text)


def variable(program: str) -> str:
    """By which click knows that it is asked for completions."""
    return f"_{program}_COMPLETE".replace("-", "_").upper()


def _completing(known: Callable[[Source], Iterable[str]]) -> Complete:
    """Nobody wants to read an error while typing: where there is no project, there is nothing to choose from."""

    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        said = ctx.find_object(Said) or Said()
        project, config = (str(path) if path else None for path in (said.project, said.config))
        with suppress(Exception):
            from mcp_e2e.settings import Source  # noqa: PLC0415  only where a name is wanted

            source = Source(os.environ, Path.cwd(), project=project, config=config)
            return [CompletionItem(name) for name in known(source) if name.startswith(incomplete)]
        return []

    return complete


def _runs(source: Source) -> Iterable[str]:
    from mcp_e2e.store.layout import Layout  # noqa: PLC0415  as above
    from mcp_e2e.store.names import latest_runs, reading  # noqa: PLC0415

    folder = source.known_state_dir()
    if folder is None:
        return ()
    with reading(Layout(folder).database) as con:
        return latest_runs(con, _RUNS)


tests = _completing(lambda source: [test.id for test in source.current().settings.tests])
services = _completing(lambda source: source.current().settings.services)
runs = _completing(_runs)
