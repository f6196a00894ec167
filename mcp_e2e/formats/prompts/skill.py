"""Prompts as Agent Skills (agentskills.io): ``<place>/<name>/SKILL.md``.

Two places reach everybody: Claude Code reads the first one, Codex and others the second, Copilot and VS Code both. One
text serves all, so the places may also be links to each other: arguments are plain words, which every agent
understands, and not ``$ARGUMENTS``, which Claude Code alone fills in (and puts behind a text that has none).
"""

from collections.abc import Iterator, Mapping, Sequence

from mcp_e2e.formats.prompts.header import headed
from mcp_e2e.model.prompts import Argument, Template

PLACES = (".claude/skills", ".agents/skills")
_TOOLS = (
    "The tools named here are those of the MCP server mcp-e2e, mostly called `e2e`. If you do not have them, tell the"
    " user that `mcp-e2e serve` is not set up in this editor, and stop."
)
_ASKED = "Take from what the user has said, also behind this skill's name:"


def files(templates: Sequence[Template]) -> Mapping[str, str]:
    return {f"{place}/{each.name}/SKILL.md": render(each) for place in PLACES for each in templates}


def render(template: Template) -> str:
    fields = {"name": template.name, "description": f"{template.description} Use when {template.when}"}
    words = {argument.name: f"<{argument.name}>" for argument in template.arguments}
    return headed(fields, "\n\n".join([f"# {template.title}", *_before(template), template.worded(words)]))


def _before(template: Template) -> Iterator[str]:
    yield _TOOLS
    if template.arguments:
        yield _ASKED
        yield "\n".join(map(_argument, template.arguments))


def _argument(argument: Argument) -> str:
    otherwise = "Ask if it was not said." if argument.required else f"If nothing was said: {argument.default}."
    return f"- `<{argument.name}>`: {argument.description} {otherwise}"
