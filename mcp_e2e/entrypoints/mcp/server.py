"""The MCP server ``e2e``: which handler answers what. Both protocol eras, any transport; no decision is taken here."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mcp import types
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.lowlevel import Server

from mcp_e2e import __version__
from mcp_e2e.bootstrap import App, Options, open_app
from mcp_e2e.entrypoints.mcp import completions, prompts, resources
from mcp_e2e.entrypoints.mcp.calls import patience
from mcp_e2e.entrypoints.mcp.elicitation import Asking
from mcp_e2e.entrypoints.mcp.handlers import Context, Progress, Visit
from mcp_e2e.entrypoints.mcp.invalid import admit
from mcp_e2e.entrypoints.mcp.line import Line
from mcp_e2e.entrypoints.mcp.pages import page
from mcp_e2e.entrypoints.mcp.progress import heartbeat
from mcp_e2e.entrypoints.mcp.schemas import input_schema
from mcp_e2e.entrypoints.mcp.stdio import log_to_stderr, run_stdio
from mcp_e2e.entrypoints.mcp.subscriptions import Subscriptions
from mcp_e2e.entrypoints.mcp.tasks import Result, Tasks
from mcp_e2e.entrypoints.mcp.tools import TOOLS
from mcp_e2e.model.runs import Caller

INSTRUCTIONS = """\
Runs this project's slow end-to-end tests (ComfyUI workflows, web apps: all listed in mcp-e2e.toml) on a service that \
stays alive between tests. Use it instead of starting ComfyUI or long tests in a terminal. Unit tests and quick \
commands: your own terminal; safe_exec is for commands that are slow, may hang or must survive.
Order: plan_run, then run_test and checkpoint per slot, then report. Every reply has next_step: do that. New \
conversation or lost context: status.
running, starting, queued are no failures. Repeat the same call: it joins the same work and hands over the verdict. \
Never start that work elsewhere.
A failed test is a normal reply. Read failure and evidence, change something, run it again. On unchanged files one \
retry is free; the next is refused until something changes: a file, or one checkpoint with a new note. Repeats that \
tell nothing new are refused; idle status calls get the last answer again. The server's verdict stands; you cannot \
record success over it.
Do not restart a healthy service. To load changed service code: stop_session, then start_session.
Three red tests in a row stop all work for every agent here until a person clears it; so do three refusals. Then other \
arguments, tools, shells or waiting do not help: tell the user the sentence in the refusal and stop. For a suite that \
may be broken start with plan_run(mode="survey").
Never kill the service by name, delete the state folder, or edit limits in mcp-e2e.toml to pass a refusal.
"""

_CACHED = CacheHint(ttl_ms=3_600_000, scope="public")
_UNCHANGING: tuple[CacheableMethod, ...] = (
    "server/discover",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
)
_NAME_CHARS = 60
_LINKS_SINCE = "2025-06-18"

Paged = types.PaginatedRequestParams | None
Lifespan = Callable[["Server[App]"], AbstractAsyncContextManager[App]]


def caller_of(ctx: Context) -> Caller:
    """Who asks: the client by the name it gives, served by this process."""
    base = ctx.lifespan_context.caller
    params = ctx.session.client_params
    said = params.client_info.name if params else ""
    name = "".join(char for char in said if char.isprintable()).strip()[:_NAME_CHARS]
    return replace(base, name=name or base.name, pid=os.getpid())


async def _list_tools(_: Context, params: Paged) -> types.ListToolsResult:
    tools, following = page([tool.listed() for tool in TOOLS.values()], params)
    return types.ListToolsResult(tools=tools, next_cursor=following)


def _input_schema(name: str) -> Mapping[str, Any] | None:
    """For the SDK, which over HTTP else lists all tools before each call to check its headers."""
    return input_schema(TOOLS[name].arguments) if name in TOOLS else None


async def _silent(_: float, __: float | None, ___: str) -> None:
    """Where nobody hears of progress."""


def _visit(ctx: Context, progress: Progress = _silent) -> Visit:
    caller = caller_of(ctx)
    links = ctx.protocol_version >= _LINKS_SINCE
    return Visit(ctx.lifespan_context, caller, patience(caller.name), progress, links=links)


async def _call_tool(tasks: Tasks, ctx: Context, params: types.CallToolRequestParams) -> Result:
    async def send(value: float, message: str) -> None:
        await ctx.session.report_progress(value, None, message)

    async with heartbeat(send, params.name) as progress:
        return await tasks.call(ctx, params, _visit(ctx, progress))


async def _list_resources(_: Context, params: Paged) -> types.ListResourcesResult:
    listed, following = page(resources.resources(), params)
    return types.ListResourcesResult(resources=listed, next_cursor=following)


async def _list_templates(_: Context, params: Paged) -> types.ListResourceTemplatesResult:
    listed, following = page(resources.templates(), params)
    return types.ListResourceTemplatesResult(resource_templates=listed, next_cursor=following)


async def _read_resource(ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
    return await resources.read(ctx.lifespan_context, caller_of(ctx), params.uri)


async def _list_prompts(_: Context, params: Paged) -> types.ListPromptsResult:
    listed, following = page(prompts.listed(), params)
    return types.ListPromptsResult(prompts=listed, next_cursor=following)


async def _get_prompt(_: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
    return prompts.get(params.name, params.arguments)


async def _complete(ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
    return await completions.complete(ctx.lifespan_context, params)


class E2EServer(Server[App]):
    """The SDK's server that promises only what it does: none of its lists ever changes while it runs."""

    def get_capabilities(self, *args: Any, **kwargs: Any) -> types.ServerCapabilities:
        said = super().get_capabilities(*args, **kwargs)
        for part in (said.tools, said.prompts, said.resources):
            if part is not None:
                part.list_changed = False
        return said


def build_server(lifespan: Lifespan, subscriptions: Subscriptions | None = None) -> Server[App]:
    """The server; ``lifespan`` opens the App, once per process. Who has to end streams passes ``subscriptions``."""
    subscribed = subscriptions or Subscriptions()

    @asynccontextmanager
    async def told(server: Server[App]) -> AsyncIterator[App]:
        async with lifespan(server) as app, subscribed.told(app):
            yield app

    tasks = Tasks(Asking(), _visit)
    server = E2EServer(
        "e2e",
        title="End-to-end tests",
        version=__version__,
        instructions=INSTRUCTIONS,
        cache_hints=dict.fromkeys(_UNCHANGING, _CACHED),
        lifespan=told,
        get_tool_input_schema=_input_schema,
        on_list_tools=_list_tools,
        on_list_resources=_list_resources,
        on_list_resource_templates=_list_templates,
        on_read_resource=_read_resource,
        on_subscribe_resource=subscribed.subscribe,
        on_unsubscribe_resource=subscribed.unsubscribe,
        on_subscriptions_listen=subscribed.listen,
        on_list_prompts=_list_prompts,
        on_get_prompt=_get_prompt,
        on_completion=_complete,
    )
    server.add_request_handler("tools/call", types.CallToolRequestParams, partial(_call_tool, tasks))
    tasks.serve(server)
    server.middleware.insert(0, admit)
    return server


def opens(options: Options, environ: Mapping[str, str]) -> Lifespan:
    """A lifespan that opens the App for one project."""

    @asynccontextmanager
    async def lifespan(_: Server[App]) -> AsyncIterator[App]:
        async with open_app(options, environ, client_name="mcp", door="mcp", settles=True) as app:
            yield app

    return lifespan


async def serve(project: str | None, config: str | None, environ: Mapping[str, str], line: Line) -> None:
    """Serve on stdin and stdout until the client leaves or a signal comes; then the process ends, and never returns."""
    log_to_stderr(sys.stderr)
    where = Options(Path(project) if project else None, Path(config) if config else None)
    await run_stdio(build_server(opens(where, environ)), line)
