"""Reads a prompt's source: TOML between two ``+++`` lines (name, title, description, when, arguments), then text."""

import tomllib

from mcp_e2e.model.prompts import Argument, Template

_FENCE = "+++\n"


def parse(source: str) -> Template:
    _, head, text = source.split(_FENCE, 2)
    fields = tomllib.loads(head)
    arguments = tuple(Argument(**argument) for argument in fields.pop("arguments", ()))
    return Template(**fields, text=text.strip() + "\n", arguments=arguments)
