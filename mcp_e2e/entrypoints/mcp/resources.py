"""Resources: the same facts as the tools, by address, for people and programs that read along. Reading only."""

import base64
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from mcp import MCPError
from mcp.types import (
    INTERNAL_ERROR,
    BlobResourceContents,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from mcp_e2e.bootstrap import App
from mcp_e2e.entrypoints.mcp.invalid import invalid, short
from mcp_e2e.errors import E2EError, NotFound
from mcp_e2e.model.runs import Caller

SCHEME = "e2e://"
JSON, MARKDOWN, TEXT = "application/json", "text/markdown", "text/plain"
MAX_LOG_BYTES = 1 << 20
MAX_BLOB_BYTES = 7 << 20  # base64 makes it 9.4 MiB, and a widespread client drops the connection at 10

Content = str | bytes
Read = Callable[[App, Caller, list[str]], Awaitable[tuple[Content, str]]]


async def _status(app: App, caller: Caller, _: list[str]) -> tuple[Content, str]:
    return _json((await app.status.show(caller)).shown())


async def _progress(app: App, _: Caller, __: list[str]) -> tuple[Content, str]:
    return _json(await app.views.progress())


async def _runs(app: App, _: Caller, __: list[str]) -> tuple[Content, str]:
    return _json(await app.views.runs())


async def _config(app: App, _: Caller, __: list[str]) -> tuple[Content, str]:
    return _json(app.views.config())


async def _run(app: App, _: Caller, names: list[str]) -> tuple[Content, str]:
    return _json(await app.views.run(names[0]))


async def _report(app: App, _: Caller, names: list[str]) -> tuple[Content, str]:
    return await app.views.report_markdown(names[0]), MARKDOWN


async def _session_log(app: App, _: Caller, names: list[str]) -> tuple[Content, str]:
    return _tail(await app.views.session_log(names[0])), TEXT


async def _job_log(app: App, _: Caller, names: list[str]) -> tuple[Content, str]:
    return _tail(await app.views.job_log(names[0])), TEXT


async def _artifact(app: App, _: Caller, names: list[str]) -> tuple[Content, str]:
    return await app.views.artifact(names[0], names[1], MAX_BLOB_BYTES)


async def _thumbnail(app: App, _: Caller, names: list[str]) -> tuple[Content, str]:
    return await app.views.thumbnail(names[0], names[1])


@dataclass(frozen=True)
class _Row:
    """``address`` is a URI or, with names in braces, an RFC 6570 template."""

    address: str
    name: str
    description: str
    mime: str | None
    read: Read

    def names(self, uri: str) -> list[str] | None:
        """What ``uri`` fills into the braces, decoded; None when it is not of this form.

        Only ``{name}`` may hold slashes: an artifact may lie in a folder.
        """
        form = re.sub(r"\{(\w+)\}", lambda brace: "(.+)" if brace[1] == "name" else "([^/]+)", self.address)
        found = re.fullmatch(form, uri)
        return [unquote(part) for part in found.groups()] if found else None


_TABLE = (
    _Row(f"{SCHEME}status", "status", "Services, tests, run, jobs, breaker, who else works here.", JSON, _status),
    _Row(f"{SCHEME}progress", "progress", "Where the current run stands and what runs now.", JSON, _progress),
    _Row(f"{SCHEME}runs", "runs", "Recent runs, newest first.", JSON, _runs),
    _Row(f"{SCHEME}config", "config", "The configuration in force; no value of ${…}.", JSON, _config),
    _Row(f"{SCHEME}runs/{{run}}/report", "report", "The report of one run.", MARKDOWN, _report),
    _Row(f"{SCHEME}runs/{{run}}", "run", "One run with its slots, attempts and checkpoints.", JSON, _run),
    _Row(f"{SCHEME}sessions/{{service}}/log", "session-log", "The end of a service's output.", TEXT, _session_log),
    _Row(f"{SCHEME}jobs/{{job}}/log", "job-log", "The end of a job's output.", TEXT, _job_log),
    _Row(
        f"{SCHEME}attempts/{{attempt}}/artifacts/{{name}}/thumbnail",
        "thumbnail",
        "An image that an attempt produced, at most 256 pixels a side and 20 KB: enough to see what it shows.",
        "image/jpeg",
        _thumbnail,
    ),
    _Row(
        f"{SCHEME}attempts/{{attempt}}/artifacts/{{name}}",
        "artifact",
        "A file that an attempt produced, as collected.",
        None,
        _artifact,
    ),
)


def resources() -> list[Resource]:
    return [
        Resource(
            uri=row.address, name=row.name, title=row.name.capitalize(), description=row.description, mime_type=row.mime
        )
        for row in _TABLE
        if "{" not in row.address
    ]


def templates() -> list[ResourceTemplate]:
    return [
        ResourceTemplate(uri_template=row.address, name=row.name, description=row.description, mime_type=row.mime)
        for row in _TABLE
        if "{" in row.address
    ]


async def read(app: App, caller: Caller, uri: str) -> ReadResourceResult:
    """The content behind ``uri``.

    Raises:
        MCPError: -32602 when there is nothing, -32603 with code and remedy when it cannot be read.
    """
    for row in _TABLE:
        if (names := row.names(uri)) is not None:
            return _contents(uri, *await _read(row, app, caller, names, uri))
    raise _not_found(uri)


async def _read(row: _Row, app: App, caller: Caller, names: list[str], uri: str) -> tuple[Content, str]:
    try:
        return await row.read(app, caller, names)
    except NotFound as error:
        raise _not_found(uri) from error
    except E2EError as error:
        data = {"uri": short(uri), "code": error.code, "remedy": short(error.advice)}
        raise MCPError(INTERNAL_ERROR, short(error.message), data) from error


def _contents(uri: str, content: Content, mime: str) -> ReadResourceResult:
    if isinstance(content, str):
        return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=mime, text=content)])
    blob = base64.b64encode(content).decode("ascii")
    return ReadResourceResult(contents=[BlobResourceContents(uri=uri, mime_type=mime, blob=blob)])


def _not_found(uri: str) -> MCPError:
    return invalid(f"Resource not found: {uri}", uri=uri)


def _json(value: Mapping[str, Any] | list[dict[str, Any]]) -> tuple[Content, str]:
    return json.dumps(value, ensure_ascii=False, indent=1), JSON


def _tail(log: str) -> str:
    """The end of a log, cut at a line."""
    if len(log) <= MAX_LOG_BYTES:
        return log
    return "… (the beginning is left out)\n" + log[-MAX_LOG_BYTES:].partition("\n")[2]
