"""Prompts as VS Code's prompt files: ``.github/prompts/<name>.prompt.md``; it asks for every ``${input:…}`` in them."""

from collections.abc import Iterator, Mapping, Sequence

from mcp_e2e.formats.prompts.header import headed
from mcp_e2e.model.prompts import Argument, Template

FOLDER = ".github/prompts"


def files(templates: Sequence[Template]) -> Mapping[str, str]:
    return {f"{FOLDER}/{each.name}.prompt.md": render(each) for each in templates}


def render(template: Template) -> str:
    """Each argument is asked for once, in a list above the text, which names it in angle brackets."""
    fields = {"description": template.description, "agent": "agent"}
    words = {argument.name: f"<{argument.name}>" for argument in template.arguments}
    return headed(fields, "\n\n".join([*_asked(template), template.worded(words)]))


def _asked(template: Template) -> Iterator[str]:
    if template.arguments:
        yield "\n".join(map(_argument, template.arguments))


def _argument(argument: Argument) -> str:
    otherwise = "" if argument.required else f" (if that is empty: {argument.default})"
    return f"- `<{argument.name}>`: ${{input:{argument.name}:{argument.description}}}{otherwise}"
