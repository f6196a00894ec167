"""prompts export: the prompts as files for editors and agents."""

import os
from pathlib import Path

import click

from mcp_e2e.entrypoints.cli.options import Group, Said, refuse_inside_job
from mcp_e2e.entrypoints.cli.output import Outcome
from mcp_e2e.usecases.exporting import EVERY_TARGET, Exporting, Planned

_DONE = {"missing": "written", "same": "unchanged"}


@click.group(cls=Group)
def prompts() -> None:
    """The prompts that tell an agent how to go about it."""


@prompts.command(example="mcp-e2e prompts export\nmcp-e2e prompts export --target skills --check")
@click.option("--target", type=click.Choice([*EVERY_TARGET, "all"]), default="all", show_default=True)
@click.option("--to", type=click.Path(path_type=Path), metavar="FOLDER", help="Where to; else the project's folder.")
@click.option("--check", is_flag=True, help="Write nothing; exit status 1 and the files that differ.")
@click.option("--force", is_flag=True, help="Replace files that this command did not make.")
@click.pass_obj
def export(said: Said, target: str, to: Path | None, *, check: bool, force: bool) -> Outcome:
    """Write the prompts as Agent Skills, VS Code prompt files and a block in AGENTS.md.

    skills: .claude/skills and .agents/skills, which Claude Code, Copilot, Codex and Cursor read. vscode:
    .github/prompts. agents: a few lines in AGENTS.md; the rest of that file stays. Call it again after an update.
    """
    exporting = Exporting(to.expanduser() if to else _project(said))
    targets = EVERY_TARGET if target == "all" else (target,)
    if check:
        found = exporting.check(targets)
        return Outcome(_shown(found), text=f"All {len(found)} files are as exported.")
    refuse_inside_job(os.environ, "mcp-e2e prompts export")
    done = exporting.write(targets, force=force)
    return Outcome(_shown(done), text="\n".join(f"{_state(each):9}  {each.name}" for each in done))


def _project(said: Said) -> Path:
    from mcp_e2e.settings import discover  # noqa: PLC0415  as in work.inside

    project, config = (str(path) if path else None for path in (said.project, said.config))
    return discover(os.environ, Path.cwd(), project=project, config=config).project


def _state(each: Planned) -> str:
    return _DONE.get(each.state, "replaced")


def _shown(planned: list[Planned]) -> dict[str, object]:
    return {"files": [{"path": each.name, "file": str(each.file), "state": _state(each)} for each in planned]}
