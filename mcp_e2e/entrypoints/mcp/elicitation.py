"""Asking a client's user to clear an incident: each client once per incident, where a person has configured it.

An answer is no proof of a person: clients answer by program too. That is why it is off unless the limits in force say
otherwise, and why anything but the incident's code, typed in time, leaves the refusal as it was.

The two protocol eras ask differently. Up to 2025-11-25 the server sends a request of its own and waits for the reply.
On 2026-07-28 it may not: the call is answered with the question, and the client repeats the call with the reply. A
repeated call is never run, whatever the reply: it gets the answer of the call that was refused.
"""

import hmac
import logging
import secrets
from dataclasses import dataclass

import anyio
from mcp import MCPError
from mcp.server.session import ServerSession
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from mcp_e2e.entrypoints.mcp.calls import call, failed, position
from mcp_e2e.entrypoints.mcp.handlers import Context, Visit
from mcp_e2e.entrypoints.mcp.usage import find, parse
from mcp_e2e.errors import E2EError, Refused, UsageError
from mcp_e2e.model.calls import BreakerState

logger = logging.getLogger(__name__)

AT_MOST_S = 60.0
LEAST_S = 1.0  # nobody reads and types in less: then the one question is kept for another call
_REMEMBERED_S = 600.0  # after its deadline: a repeat that comes later is told to call anew
_EVIDENCE_CHARS = 300
_KEY = "incident"
_FIELD = "code"
_OWN_WORDS = {"message", "code", "remedy", "position"}  # of a refusal: said anew once it is cleared


@dataclass
class _Question:
    """``answer``: what the refused call is told; the refusal, unless the code was typed before ``deadline``."""

    incident: str
    params: CallToolRequestParams
    answer: CallToolResult
    deadline: float
    replied: bool = False

    @property
    def form(self) -> ElicitRequestFormParams:
        about = f"the code of the incident: {self.incident}"
        field = {"type": "string", "title": "Incident code", "description": f"To let one test run, type {about}"}
        return ElicitRequestFormParams(
            message=_message(self.incident, self.answer.structured_content["evidence"]),
            requested_schema={"type": "object", "properties": {_FIELD: field}, "required": [_FIELD]},
        )

    def is_of(self, params: CallToolRequestParams) -> bool:
        return (params.name, params.arguments) == (self.params.name, self.params.arguments)


class Asking:
    """What this process has asked its clients (over HTTP they are many), and the tool calls around it."""

    def __init__(self) -> None:
        self._asked: set[tuple[str, str]] = set()  # incident and client
        self._sent: dict[str, _Question] = {}  # by the state that the client hands back, on 2026-07-28

    async def call(
        self, ctx: Context, params: CallToolRequestParams, at: Visit
    ) -> CallToolResult | InputRequiredResult:
        """Do one tool call, and ask when the open breaker stopped it; never raises (cancellation aside)."""
        if params.request_state is not None:
            return await self._repeated(params, at)
        begun = anyio.current_time()
        refused = await call(params.name, params.arguments, at)
        incident = _stopped_by(refused)
        if incident is None or (incident, at.caller.name) in self._asked or not _can_ask(ctx.session):
            return refused
        deadline = min(anyio.current_time() + AT_MOST_S, begun + _patience(params, at))
        if deadline - anyio.current_time() < LEAST_S:
            return refused
        self._asked.add((incident, at.caller.name))  # before anything is awaited: calls that overlap ask once
        try:
            return await self._ask(ctx, _Question(incident, params, refused, deadline), at)
        except Exception:  # a defect of the question must not cost the agent the refusal
            logger.exception("asking about the incident %s failed", incident)
            return refused

    async def _ask(self, ctx: Context, question: _Question, at: Visit) -> CallToolResult | InputRequiredResult:
        if not await at.app.breaker.may_ask(question.incident):
            return question.answer
        if ctx.session.protocol_version in MODERN_PROTOCOL_VERSIONS:
            state = secrets.token_urlsafe(16)  # says nothing and cannot be guessed, so it needs no seal
            oldest = anyio.current_time() - _REMEMBERED_S
            self._sent = {key: sent for key, sent in self._sent.items() if sent.deadline > oldest} | {state: question}
            return InputRequiredResult(input_requests={_KEY: ElicitRequest(params=question.form)}, request_state=state)
        await at.progress(0, None, "waiting for the user to answer")
        return await _settled(question, await _reply(ctx, question), at)

    async def _repeated(self, params: CallToolRequestParams, at: Visit) -> CallToolResult:
        """The answer of a call that comes back with the reply. Repeated again, it gets the same answer again."""
        question = self._sent.get(str(params.request_state))
        if question is None or not question.is_of(params):
            error = UsageError(
                "this requestState belongs to no question of this server about this call: nothing was run",
                remedy="Make the call again without requestState and inputResponses.",
            )
            return failed(params.name, error, await position(at))
        if not question.replied:
            question.replied = True  # before anything is awaited: the first reply is the one that counts
            question.answer = await _settled(question, (params.input_responses or {}).get(_KEY), at)
        return question.answer


def _stopped_by(result: CallToolResult) -> str | None:
    """The incident of the open breaker that stopped the call; None for every other answer."""
    said = result.structured_content
    if not result.is_error or said.get("refused") is not True or said.get("state") != BreakerState.OPEN:
        return None
    return said.get("incident") if said.get("owner_action_required") else None


def _can_ask(session: ServerSession) -> bool:
    """Whether the client shows forms to its user, and there is a way to it (some kinds of HTTP have none)."""
    declared = session.client_capabilities
    shows = declared.elicitation if declared else None
    if shows is None or (shows.form is None and shows.url is not None):  # naming neither means forms
        return False
    return session.protocol_version in MODERN_PROTOCOL_VERSIONS or session.can_send_request


def _patience(params: CallToolRequestParams, at: Visit) -> float:
    """How long the call wants to wait in all, seconds."""
    try:
        given = parse(find(params.name), params.arguments)
    except UsageError:  # a wrong call, repeated until it was refused
        return at.patience_s
    return at.asked(getattr(given, "wait_seconds", None))


async def _reply(ctx: Context, question: _Question) -> ElicitResult | None:
    """What came back; None when nothing did. The SDK withdraws the question when the time is over or the call ends."""
    form = question.form
    try:
        with anyio.move_on_after(question.deadline - anyio.current_time()):
            return await ctx.session.elicit_form(form.message, form.requested_schema, ctx.request_id)
    except (MCPError, ValidationError) as error:  # its handler failed, it left, or it answered nonsense
        logger.debug("the client did not answer: %s", error)
    return None


async def _settled(question: _Question, reply: object, at: Visit) -> CallToolResult:
    """What the refused call is told: that a person has cleared the incident, or its refusal as it was."""
    if anyio.current_time() > question.deadline or not _is_right(reply, question.incident):
        return question.answer
    try:
        with anyio.CancelScope(shield=True):  # a person has decided: that holds, though the client may leave now
            now = await at.app.breaker.show()
            if (now.state, now.incident) != (BreakerState.OPEN, question.incident):
                return question.answer
            await at.app.breaker.reset(at.caller, actor={"via": "elicitation", "client": at.caller.name})
    except E2EError as error:
        logger.warning("the incident %s could not be cleared: %s", question.incident, error)
        return question.answer
    return failed(question.params.name, _cleared(question), await position(at))


def _is_right(reply: object, incident: str) -> bool:
    if not isinstance(reply, ElicitResult) or reply.action != "accept":
        return False
    typed = str((reply.content or {}).get(_FIELD, "")).strip()
    return hmac.compare_digest(typed.encode(errors="replace"), incident.encode())


def _cleared(question: _Question) -> Refused:
    """The same refusal, for nothing was run; but the way is free now."""
    name = question.params.name
    step = (
        f"A person has just cleared incident {question.incident}: one test may run now as a probe (run_test). "
        "A pass closes the breaker, a red test opens it again."
    )
    said = {key: value for key, value in question.answer.structured_content.items() if key not in _OWN_WORDS}
    said |= {"state": BreakerState.HALF_OPEN.value, "retryable": True, "owner_action_required": False}
    said |= {"cleared_by": [], "next_step": step}
    message = f"{name} was not run: incident {question.incident} was open when it was called."
    return Refused(message, text=f"REFUSED: {message} {step}", remedy=step, **said)


def _message(incident: str, evidence: list[str]) -> str:
    """The question: what stopped the tests, and what typing the code does."""
    seen = " ".join("".join(char if char.isprintable() else " " for char in "; ".join(evidence)).split())
    shown = seen if len(seen) <= _EVIDENCE_CHARS else f"{seen[: _EVIDENCE_CHARS - 1]}…"
    return (
        f"mcp-e2e has stopped all tests of this project by incident {incident}. Evidence: {shown}. "
        f"To let one test run as a probe, type {incident}. Decline to leave them stopped; you are asked once."
    )
