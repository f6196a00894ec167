"""Prompts as they stand in ``agent-prompts/``: served over MCP, and exported as files."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from mcp_e2e.errors import UsageError

_LONGEST = 100  # characters of a name that may be one misspelt


@dataclass(frozen=True)
class Argument:
    """``default`` is what the text says when the argument is left out."""

    name: str
    description: str
    required: bool = False
    default: str = ""


@dataclass(frozen=True)
class Template:
    """``when``: in which case an agent takes it up by itself, behind "Use when"; ``{{name}}`` is an argument."""

    name: str
    title: str
    description: str
    when: str
    text: str
    arguments: tuple[Argument, ...] = ()

    def worded(self, words: Mapping[str, str]) -> str:
        """The text with ``words`` in the place of its arguments; each must be there."""
        return re.sub(r"\{\{(\w+)\}\}", lambda found: words[found[1]], self.text)

    def filled(self, values: Mapping[str, str]) -> str:
        """The text with the values that somebody gave.

        Raises:
            UsageError: an unknown argument, or a required one that is missing.
        """
        known = {argument.name: argument for argument in self.arguments}
        if unknown := [name for name in values if name not in known]:
            raise not_known(f"prompt {self.name} has no argument {unknown[0]!r}", unknown[0], list(known))
        for argument in self.arguments:
            if argument.required and not values.get(argument.name, "").strip():
                raise UsageError(f"prompt {self.name} needs the argument {argument.name!r}")
        return self.worded({name: values.get(name, "").strip() or each.default for name, each in known.items()})


def not_known(problem: str, name: str, known: list[str]) -> UsageError:
    """``problem`` with the name that was meant, or those there are."""
    near = get_close_matches(name[:_LONGEST], known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there is: {', '.join(known) or 'none'}"
    return UsageError(f"{problem}; {hint}")
