"""From a call to an answer: parse, one use-case, translate. Whatever happens, the answer fits the tool's output schema.

A failing verdict is an answer like any other. ``is_error`` marks calls that did not do their work: wrong arguments,
refusals, anticipated failures, and defects of ours (logged with their traceback, never shown).
"""

import logging
from collections.abc import Mapping
from typing import Any

from mcp.types import CallToolResult, ResourceLink, TextContent

from mcp_e2e.adapters.media import content_type
from mcp_e2e.entrypoints.mcp.arguments import Arguments
from mcp_e2e.entrypoints.mcp.handlers import Visit
from mcp_e2e.entrypoints.mcp.schemas import fits, output_schema
from mcp_e2e.entrypoints.mcp.tools import TOOLS, Tool
from mcp_e2e.entrypoints.mcp.usage import example, find, parse
from mcp_e2e.errors import ConfigError, E2EError, Refused, StoreError, UsageError
from mcp_e2e.formats.text import clip, plain
from mcp_e2e.model.answers import Answer

logger = logging.getLogger(__name__)

PATIENCE_S = 45.0
MOST_LINKS = 8
_PATIENCE_BY_CLIENT = {
    "claude-code": 240.0,  # no request limit worth the name, idle limit of minutes that progress resets
    "Visual Studio Code": 240.0,  # waits without a limit; over HTTP 300 s
    "Visual Studio Code - Insiders": 240.0,
}


def patience(client: str) -> float:
    """Seconds a call may wait when it does not say: most clients give up at 60."""
    return _PATIENCE_BY_CLIENT.get(client, PATIENCE_S)


async def call(name: str, arguments: Mapping[str, Any] | None, at: Visit) -> CallToolResult:
    """Do one tool call; never raises (cancellation aside)."""
    try:
        tool = find(name)
        answer = await tool.run(at, await _parsed(tool, arguments, at))
    except E2EError as error:
        return failed(name, error, await position(at))
    except Exception:
        logger.exception("tool %s failed", name)
        return failed(name, E2EError(f"{name} failed inside the server; the log on its stderr says where."))
    return await answered(answer, at)


async def answered(answer: Answer, at: Visit) -> CallToolResult:
    """A use-case's answer as a tool's result."""
    said = answer.shown()
    shown = clip(said | (await position(at) if answer.position is None else {}))
    told = {key: value for key, value in shown.items() if key != "position"}
    result = _result(shown, plain(told | {"position": shown.get("position")}))  # its own facts first
    if at.links:
        result.content.extend(_images(said))
    return result


def _images(said: Mapping[str, Any]) -> list[ResourceLink]:
    """The pictures that an attempt gave, to be shown by a client that can; the bytes are read when somebody looks."""
    evidence = said.get("evidence")
    listed = evidence.get("artifacts", ()) if isinstance(evidence, Mapping) else ()
    found = [(each, content_type(each["name"])) for each in listed]
    return [
        ResourceLink(uri=each["uri"], name=each["name"], mime_type=mime, size=each["bytes"])
        for each, mime in found
        if mime.startswith("image/")
    ][:MOST_LINKS]


async def _parsed(tool: Tool, arguments: Mapping[str, Any] | None, at: Visit) -> Arguments:
    """The arguments. A wrong call is noted first, so that the same mistake is not made for ever."""
    try:
        return parse(tool, arguments)
    except UsageError as error:
        try:
            await at.app.misused(at.caller, tool.name, arguments or {}, error)
        except (ConfigError, StoreError):  # there is nowhere to note it: it is answered all the same
            logger.debug("a wrong call of %s could not be noted", tool.name)
        raise


async def position(at: Visit) -> dict[str, Any]:
    """Where the run stands, for replies of tools that know nothing of it; empty outside a run."""
    try:
        here = await at.app.runs.here()
    except E2EError:
        return {}
    return {"position": here.shown()} if here is not None else {}


def failed(name: str, error: E2EError, position: Mapping[str, Any] | None = None) -> CallToolResult:
    """An anticipated failure or a refusal as the result of tool ``name``; ``position`` is ``{"position": …}``."""
    facts = {"next_step": error.advice} | error.facts | dict(position or {})
    if isinstance(error, Refused):
        head = {"refused": True, "message": error.message, "remedy": error.advice}
        said = head | _fitting(name, facts) | {"code": error.code}
        return _result(clip(said), error.text, is_error=True)
    if error.advice == UsageError.remedy and name in TOOLS:
        facts.setdefault("example", example(TOOLS[name]))
    head = {"code": error.code, "message": error.message, "remedy": error.advice}
    said = head | {key: value for key, value in _fitting(name, facts).items() if value is not None} | head
    shown = clip(said)
    spoken = {key: value for key, value in shown.items() if key != "remedy" or value != shown["next_step"]}
    return _result(shown, plain(spoken), is_error=True)


def _fitting(name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts; one that the answer's schema knows under another type goes by its name and an underscore."""
    known = output_schema(TOOLS[name].answer)["properties"] if name in TOOLS else {}
    return {key if key not in known or fits(value, known[key]) else f"{key}_": value for key, value in facts.items()}


def _result(shown: dict[str, Any], text: str, *, is_error: bool = False) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=text)], structured_content=shown, is_error=is_error)
