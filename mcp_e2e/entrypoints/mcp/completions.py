"""Completions of what a person types into a prompt's argument or into the braces of a resource's address."""

import re
from collections.abc import Sequence

from mcp import MCPError
from mcp.types import (
    INVALID_PARAMS,
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
    """The names that go on from what was typed, those that begin with it first.

    Raises:
        MCPError: -32602 when there is no such prompt, template or argument.
    """
    name = params.argument.name
    if name not in _arguments(params.ref):
        raise MCPError(INVALID_PARAMS, f"{_called(params.ref)} has no argument {name!r}")
    given = (params.context.arguments if params.context else None) or {}
    fitting = _fitting(await app.names.of(_KINDS.get(name, name), given), params.argument.value)
    shown = Completion(values=fitting[:MOST], total=len(fitting), has_more=len(fitting) > MOST)
    return CompleteResult(completion=shown)


def _arguments(ref: PromptReference | ResourceTemplateReference) -> Sequence[str]:
    if isinstance(ref, PromptReference):
        prompt = templates().get(ref.name)
        return [argument.name for argument in prompt.arguments] if prompt else []
    known = ref.uri in {template.uri_template for template in resources.templates()}
    return re.findall(r"\{(\w+)\}", ref.uri) if known else []


def _called(ref: PromptReference | ResourceTemplateReference) -> str:
    return f"prompt {ref.name!r}" if isinstance(ref, PromptReference) else f"resource template {ref.uri!r}"


def _fitting(names: Sequence[str], typed: str) -> list[str]:
    fitting = [name for name in names if typed.lower() in name.lower()]
    return sorted(fitting, key=lambda name: not name.lower().startswith(typed.lower()))  # keeps their order
