"""Global options, understood before and after every command, and what all commands have in common."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mcp_e2e.errors import Refused
from mcp_e2e.process.environment import JOB_MARKER

if TYPE_CHECKING:
    from mcp_e2e.bootstrap import Options


@dataclass
class Said:
    """What the command line says besides the command's own arguments."""

    project: Path | None = None
    config: Path | None = None
    json: bool = False
    no_color: bool = False
    quiet: bool = False
    command: str = "cli"  # names the envelope's schema
    goes_on: str = "Nothing was left running by this command."  # said when it is interrupted

    def options(self) -> Options:
        from mcp_e2e.bootstrap import Options  # noqa: PLC0415  as in work.inside

        return Options(project=self.project, config=self.config)


def _note(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    said = ctx.find_object(Said)
    if said is not None and value:
        setattr(said, param.name or "", value)


def _global(flags: Sequence[str], help_: str, **kwargs: Any) -> click.Option:
    return click.Option(flags, help=help_, expose_value=False, is_eager=True, callback=_note, **kwargs)


def global_options() -> list[click.Parameter]:
    folder, flag = {"type": click.Path(path_type=Path), "metavar": "PATH"}, {"is_flag": True}
    return [
        _global(["--project"], "The project's folder.", **folder),
        _global(["--config"], "The configuration file.", **folder),
        _global(["--json"], "Print one JSON envelope on stdout.", **flag),
        _global(["--no-color"], "No colours (as NO_COLOR).", **flag),
        _global(["--quiet", "-q"], "No progress on stderr.", **flag),
    ]


class Command(click.Command):
    """``changes``: it changes state, so a job may not call it. ``example``: what its help shows."""

    def __init__(self, *args: Any, example: str, changes: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += global_options()
        self.example = example
        self.changes = changes

    def invoke(self, ctx: click.Context) -> Any:
        said = ctx.find_object(Said)
        if said is not None:
            said.command = "-".join(ctx.command_path.split()[1:])
        if self.changes:
            refuse_inside_job(os.environ, ctx.command_path)
        return super().invoke(ctx)

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Example"):
            for line in self.example.splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


class Group(click.Group):
    """Answers an unknown command with the nearest one."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += global_options()

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-") and not ctx.resilient_parsing:
            near = get_close_matches(name, self.commands, 1, cutoff=0.5)
            said = f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(self.list_commands(ctx))}."
            raise click.UsageError(f"No such command {name!r}. {said}", ctx)
        return super().resolve_command(ctx, args)


def refuse_inside_job(environ: Mapping[str, str], path: str) -> None:
    """A command or test under our supervision may look at its project but not steer it. Raises Refused."""
    job = environ.get(JOB_MARKER)
    if not job:
        return
    message = f"{path} was not run: this is a job of mcp-e2e itself ({JOB_MARKER}={job}), which may look but not steer"
    remedy = f"Call it from outside of the job; {path.split(maxsplit=1)[0]} status, report and logs work here."
    raise Refused(message, text=f"{message}. {remedy}", remedy=remedy, refused=True, rule="inside_job", job=job)
