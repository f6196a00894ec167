"""Prompts: the Markdown files of ``agent-prompts/``, served with their arguments filled in.

Each begins with TOML between two ``+++`` lines: name, title, description, ``[[arguments]]``. In the text
``{{name}}`` stands for an argument.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from mcp import MCPError
from mcp.types import INVALID_PARAMS, GetPromptResult, Prompt, PromptArgument, PromptMessage, TextContent

_FENCE = "+++"


@dataclass(frozen=True)
class Argument:
    """``default`` is what the text says when the argument is left out."""

    name: str
    description: str
    required: bool = False
    default: str = ""


@dataclass(frozen=True)
class Template:
    name: str
    title: str
    description: str
    text: str
    arguments: tuple[Argument, ...] = ()

    def listed(self) -> Prompt:
        arguments = [
            PromptArgument(name=a.name, description=a.description, required=a.required) for a in self.arguments
        ]
        return Prompt(name=self.name, title=self.title, description=self.description, arguments=arguments)

    def filled(self, values: Mapping[str, str]) -> str:
        """The text with all its arguments.

        Raises:
            MCPError: -32602 for an unknown argument, or a required one that is missing.
        """
        known = {argument.name: argument for argument in self.arguments}
        if unknown := [name for name in values if name not in known]:
            raise _wrong(f"prompt {self.name} has no argument {unknown[0]!r}", unknown[0], list(known))
        for argument in self.arguments:
            if argument.required and not values.get(argument.name, "").strip():
                raise MCPError(INVALID_PARAMS, f"prompt {self.name} needs the argument {argument.name!r}")
        said = {name: values.get(name, "").strip() or argument.default for name, argument in known.items()}
        return re.sub(r"\{\{(\w+)\}\}", lambda found: said[found[1]], self.text)


def folder() -> Path:
    """Where the prompts lie: inside the installed package, else beside it in the repository."""
    packaged = Path(__file__).parents[2] / "_prompts"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "agent-prompts"


@cache
def templates() -> Mapping[str, Template]:
    """All prompts by name, in a fixed order."""
    found = [_parsed(path.read_text("utf-8")) for path in sorted(folder().glob("*.md"))]
    return {template.name: template for template in found}


def get(name: str, values: Mapping[str, str] | None) -> GetPromptResult:
    """One prompt as a message.

    Raises:
        MCPError: -32602 when there is no such prompt, or its arguments are wrong.
    """
    template = templates().get(name)
    if template is None:
        raise _wrong(f"there is no prompt {name!r}", name, list(templates()))
    content = TextContent(text=template.filled(values or {}))
    return GetPromptResult(description=template.description, messages=[PromptMessage(role="user", content=content)])


def _parsed(source: str) -> Template:
    _, head, text = source.split(_FENCE + "\n", 2)
    fields = tomllib.loads(head)
    arguments = tuple(Argument(**argument) for argument in fields.pop("arguments", ()))
    return Template(**fields, text=text.strip() + "\n", arguments=arguments)


def _wrong(problem: str, name: str, known: list[str]) -> MCPError:
    near = get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there is: {', '.join(known) or 'none'}"
    return MCPError(INVALID_PARAMS, f"{problem}; {hint}")
