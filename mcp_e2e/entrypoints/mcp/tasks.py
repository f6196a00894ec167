"""The tasks extension (2026-07-28): slow calls answer with a task to be polled, where the client has declared it.

A task is the work itself, not a call that waits: its id names the attempt, the job or the service, and ``tasks/get``
looks at that. So a task outlives this server, any server of the project answers for it, and a verdict counts as
delivered only to whoever fetches it. Cancelling a task ends nobody's work, as cancelling a call does not.
"""

import base64
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mcp import MCPError, types
from mcp.server.lowlevel import Server
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_e2e.bootstrap import App
from mcp_e2e.decisions.tools import UNDER_WAY
from mcp_e2e.entrypoints.mcp.calls import answered, failed
from mcp_e2e.entrypoints.mcp.elicitation import Asking
from mcp_e2e.entrypoints.mcp.handlers import Context, Visit
from mcp_e2e.errors import E2EError, NotFound, SetupError, UsageError
from mcp_e2e.model.answers import Answer
from mcp_e2e.usecases.replies import when

EXTENSION = "io.modelcontextprotocol/tasks"
GRACE_S = 2.0  # what ends sooner is answered as ever
POLL_MS = 2_000
_LATEST = 2.0**35  # Unix time that a date can still tell

Result = types.CallToolResult | types.InputRequiredResult | dict[str, Any]


class TaskParams(types.RequestParams):
    task_id: str


@dataclass(frozen=True)
class Task:
    """Work that a call began. ``subject``: id of the attempt or job, name of the service; ``begun``: Unix time, s."""

    tool: str
    subject: str
    begun: float
    checkpoint: bool = False

    @property
    def id(self) -> str:
        told = json.dumps([self.tool, self.subject, self.begun, self.checkpoint], separators=(",", ":"))
        return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")

    @classmethod
    def of(cls, task_id: str) -> "Task":
        """Raises MCPError -32602 for an id that no server of ours has given out."""
        try:
            tool, subject, begun, checkpoint = json.loads(base64.urlsafe_b64decode(task_id + "=" * (-len(task_id) % 4)))
            task = cls(tool, subject, float(begun), checkpoint is True)
            if task.tool in _SUBJECTS and subject.isprintable() and 0 <= task.begun < _LATEST:
                return task
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            pass
        raise _unknown(task_id)

    def shown(self, status: str, message: str | None = None) -> dict[str, Any]:
        """As the extension puts it. It never expires: what it stands for stays in the project's state."""
        facts: dict[str, Any] = {"taskId": self.id, "status": status, "ttlMs": None, "createdAt": when(self.begun)}
        facts |= {"lastUpdatedAt": when(time.time()), "pollIntervalMs": POLL_MS}
        return facts | ({"statusMessage": message} if message else {})


async def _attempt(at: Visit, task: Task) -> Answer:
    return await at.app.attempts.outcome(at.caller, task.subject, checkpoint=task.checkpoint)


async def _session(at: Visit, task: Task) -> Answer:
    return await at.app.sessions.outcome(task.subject)


async def _job(at: Visit, task: Task) -> Answer:
    return await at.app.execs.outcome(task.subject)


_SUBJECTS: Mapping[str, tuple[str, Callable[[Visit, Task], Awaitable[Answer]]]] = {
    "run_test": ("attempt", _attempt),
    "start_session": ("service", _session),
    "safe_exec": ("job", _job),
}


class Tasks:
    """``visit`` makes a call's surroundings; calls are done through ``asking``."""

    def __init__(self, asking: Asking, visit: Callable[[Context], Visit]) -> None:
        self._asking = asking
        self._visit = visit

    def serve(self, server: Server[App]) -> None:
        """Declare the extension and answer its methods."""
        server.extensions[EXTENSION] = {}
        for method, handler in (
            ("tasks/get", self._get),
            ("tasks/cancel", self._cancel),
            ("tasks/update", self._update),
        ):
            server.add_request_handler(method, TaskParams, handler)

    async def call(self, ctx: Context, params: types.CallToolRequestParams, at: Visit) -> Result:
        """Do one tool call: its result, or a task where it goes on and the client speaks of tasks."""
        arguments = params.arguments or {}
        if params.name not in _SUBJECTS or not _declared(ctx) or arguments.get("env"):
            return await self._asking.call(ctx, params, at)  # a job's own secrets are known to its call only
        begun = time.time()
        result = await self._asking.call(ctx, params, replace(at, at_most_s=GRACE_S))
        if not isinstance(result, types.CallToolResult) or not _goes_on(result):
            return result
        if at.asked(arguments.get("wait_seconds")) <= GRACE_S:
            return result  # it did not want to wait
        said = result.structured_content
        kind, _ = _SUBJECTS[params.name]
        task = Task(params.name, said[kind], round(begun, 3), arguments.get("checkpoint") is True)
        return {"resultType": "task"} | task.shown("working", said.get("stage") or said["state"])

    async def _get(self, ctx: Context, params: TaskParams) -> dict[str, Any]:
        """How it stands; with the result of the tool once the work has ended."""
        task, at = _asked_for(ctx, params), self._visit(ctx)
        try:
            answer = await _SUBJECTS[task.tool][1](at, task)
            result = await answered(answer, at)
        except (NotFound, UsageError):  # such a service is not even configured
            raise _unknown(params.task_id) from None
        except SetupError as error:
            result = failed(task.tool, error)
        except E2EError as error:  # the work may go on all the same: to be asked again
            raise MCPError(types.INTERNAL_ERROR, error.message, {"code": error.code, "remedy": error.advice}) from error
        said = result.structured_content
        if _goes_on(result):
            return task.shown("working", (said.get("progress") or {}).get("message") or said.get("stage"))
        whole = result.model_dump(by_alias=True, mode="json", exclude_none=True)
        return task.shown("completed") | {"result": whole}

    async def _cancel(self, ctx: Context, params: TaskParams) -> dict[str, Any]:
        """The client waits no more. The work goes on; job(cancel) and stop_session end it."""
        _asked_for(ctx, params)
        return {}

    async def _update(self, ctx: Context, params: TaskParams) -> dict[str, Any]:
        """No task of ours asks for input."""
        _asked_for(ctx, params)
        return {}


def _goes_on(result: types.CallToolResult) -> bool:
    return not result.is_error and result.structured_content.get("state") in UNDER_WAY


def _declared(ctx: Context) -> bool:
    capabilities = ctx.session.client_capabilities
    return (
        ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
        and capabilities is not None
        and EXTENSION in (capabilities.extensions or {})
    )


def _asked_for(ctx: Context, params: TaskParams) -> Task:
    """The task that a request is about.

    Raises:
        MCPError: -32601 in the handshake era, -32021 from a client that has not declared the extension, -32020 where
            the header names another task than the body, -32602 for an unknown one.
    """
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        raise MCPError(types.METHOD_NOT_FOUND, "Method not found", ctx.method)
    if not _declared(ctx):
        needed = types.ClientCapabilities(extensions={EXTENSION: {}})
        data = types.MissingRequiredClientCapabilityErrorData(required_capabilities=needed)
        raise MCPError(
            types.MISSING_REQUIRED_CLIENT_CAPABILITY,
            f"{ctx.method} needs the client capability extensions[{EXTENSION!r}]",
            data.model_dump(by_alias=True, mode="json", exclude_none=True),
        )
    named = ctx.request.headers.get("mcp-name") if ctx.request is not None else None
    if named is not None and named != params.task_id:
        raise MCPError(types.HEADER_MISMATCH, "Mcp-Name is not the taskId of the body")
    return Task.of(params.task_id)


def _unknown(task_id: str) -> MCPError:
    return MCPError(types.INVALID_PARAMS, f"there is no task {task_id[:80]!r}")
