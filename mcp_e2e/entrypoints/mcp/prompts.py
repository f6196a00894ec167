"""Prompts over MCP: the templates of ``agent-prompts/``, listed, and served with their arguments filled in."""

from collections.abc import Mapping

from mcp.types import GetPromptResult, Prompt, PromptArgument, PromptMessage, TextContent

from mcp_e2e.entrypoints.mcp.invalid import invalid
from mcp_e2e.errors import UsageError
from mcp_e2e.model.prompts import Template, not_known
from mcp_e2e.usecases.prompting import templates


def listed() -> list[Prompt]:
    """All prompts, in a fixed order."""
    return [_listed(template) for template in templates().values()]


def _listed(template: Template) -> Prompt:
    arguments = [
        PromptArgument(name=a.name, description=a.description, required=a.required) for a in template.arguments
    ]
    return Prompt(name=template.name, title=template.title, description=template.description, arguments=arguments)


def get(name: str, values: Mapping[str, str] | None) -> GetPromptResult:
    """One prompt as a message.

    Raises:
        MCPError: -32602 when there is no such prompt, or its arguments are wrong.
    """
    try:
        template = templates().get(name)
        if template is None:
            raise not_known(f"there is no prompt {name!r}", name, list(templates()))
        content = TextContent(text=template.filled(values or {}))
    except UsageError as error:
        raise invalid(error.message) from error
    return GetPromptResult(description=template.description, messages=[PromptMessage(role="user", content=content)])
