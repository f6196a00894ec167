"""Completions of what a person types into a prompt's argument or into the braces of a resource's address."""

import re
from collections.abc import Sequence

from mcp.types import (
    CompleteRequestParams,
    CompleteResult,
    Completion,
    PromptReference,
    ResourceTemplateReference,
)

from mcp_e2e.bootstrap import App
from mcp_e2e.entrypoints.mcp import resources
from mcp_e2e.usecases.prompting import templates

MOST = 100  # the protocol's bound
_KINDS = {"tests": "test"}  # arguments by another name than that of what they name


async def complete(app: App, params: CompleteRequestParams) -> CompleteResult:
    """The names that go on from what was typed, those that begin with it first; none for what nobody knows.

    An unknown prompt or argument is no error here: nobody wants to read one while typing, and using it is one.
    """
    name = params.argument.name
    given = (params.context.arguments if params.context else None) or {}
    known = await app.names.of(_KINDS.get(name, name), given) if name in _arguments(params.ref) else []
    fitting = _fitting(known, params.argument.value)
    shown = Completion(values=fitting[:MOST], total=len(fitting), has_more=len(fitting) > MOST)
    return CompleteResult(completion=shown)


def _arguments(ref: PromptReference | ResourceTemplateReference) -> Sequence[str]:
    if isinstance(ref, PromptReference):
        prompt = templates().get(ref.name)
        return [argument.name for argument in prompt.arguments] if prompt else []
    known = ref.uri in {template.uri_template for template in resources.templates()}
    return re.findall(r"\{(\w+)\}", ref.uri) if known else []


def _fitting(names: Sequence[str], typed: str) -> list[str]:
    fitting = [name for name in names if typed.lower() in name.lower()]
    return sorted(fitting, key=lambda name: not name.lower().startswith(typed.lower()))  # keeps their order
