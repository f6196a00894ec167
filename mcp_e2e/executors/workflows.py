"""Run a ComfyUI workflow: check, submit under our own id, follow by polling, collect, judge."""

import time
from dataclasses import dataclass, replace
from typing import Any

import anyio

from mcp_e2e.adapters.comfyui.client import POLL_S, ComfyUI
from mcp_e2e.adapters.comfyui.workflow import Graph
from mcp_e2e.decisions import verdict
from mcp_e2e.errors import ServiceUnavailable, SetupError
from mcp_e2e.executors.examining import examined
from mcp_e2e.executors.orders import Outcome, Watch, WorkflowWork
from mcp_e2e.model.runs import Verdict
from mcp_e2e.model.work import PromptFacts, PromptState

SILENT_S = 15.0  # a busy server may miss a poll; one that is silent for longer has died


async def submit_workflow(work: WorkflowWork, graph: Graph, watch: Watch) -> None:
    """Check the graph against the server and queue it.

    Raises:
        SetupError: nodes or models are unknown to the server, or it rejected the workflow: it never ran.
        ServiceUnavailable: the server is gone, or does not know of the prompt after a lost reply.
        Withdrawn: it must not begin any more.
    """
    async with ComfyUI(work.url) as client:
        problems = await client.check(graph)
        if problems:
            raise SetupError(
                f"workflow {graph.name} cannot run on this ComfyUI: {'; '.join(problems)}", problems=list(problems)
            )
        await watch.submitted()
        await client.submit(graph, work.prompt_id)


async def follow_workflow(work: WorkflowWork, watch: Watch) -> Outcome:
    """Wait for the prompt's end, whoever queued it, and judge it."""
    async with ComfyUI(work.url) as client:
        seen = _Seen(work.running_since)
        try:
            await _follow(client, work, watch, seen)
            return await _judge(client, work, seen, watch)
        except ServiceUnavailable as error:
            return Outcome(
                verdict.of_lost(work.test, f"ComfyUI stopped answering: {error.message}"), _evidence(work), seen.running
            )


@dataclass
class _Seen:
    """When the prompt was first seen running (UTC seconds), and whether its time limit ended it."""

    running: float | None
    expired: bool = False


async def _follow(client: ComfyUI, work: WorkflowWork, watch: Watch, seen: _Seen) -> None:
    deadline = None
    while (state := await _state(client, work.prompt_id)) in {PromptState.PENDING, PromptState.RUNNING}:
        if state is PromptState.RUNNING and deadline is None:
            seen.running = seen.running or time.time()
            deadline = anyio.current_time() + work.timeout_s - (time.time() - seen.running)
            await watch.started(seen.running)
        seen.expired = deadline is not None and anyio.current_time() > deadline
        if seen.expired or await watch.cancelled():
            await client.cancel(work.prompt_id)
            return
        await watch.progress(f"prompt {state.value}")
        await anyio.sleep(POLL_S)


async def _state(client: ComfyUI, prompt_id: str) -> PromptState:
    """Where the prompt stands, asked again for ``SILENT_S`` while the server does not answer."""
    give_up = anyio.current_time() + SILENT_S
    while True:
        try:
            return await client.state(prompt_id)
        except ServiceUnavailable:
            if anyio.current_time() > give_up:
                raise
            await anyio.sleep(POLL_S)


async def _judge(client: ComfyUI, work: WorkflowWork, seen: _Seen, watch: Watch) -> Outcome:
    facts = await client.history(work.prompt_id)
    if seen.expired and (facts is None or facts.status != "success"):
        message = f"still running after its time limit ({work.timeout_s:.0f} s); the prompt was interrupted"
        judgement = verdict.failed(work.test, Verdict.TIMED_OUT, "timeout", message)
        return Outcome(judgement, _evidence(work, facts), *_span(facts, seen))
    if facts is None:
        gone = f"ComfyUI does not know prompt {work.prompt_id} any more: it was restarted, or its queue was cleared"
        return Outcome(verdict.of_lost(work.test, gone), _evidence(work), seen.running)
    found = await examined(client, work, facts, watch, _span(facts, seen))
    return replace(found, evidence={**_evidence(work, facts), **found.evidence})


def _span(facts: PromptFacts | None, seen: _Seen) -> tuple[float | None, float | None]:
    """The server's own times in seconds where it tells them."""
    begun = facts.started_ms / 1000 if facts and facts.started_ms else seen.running
    return begun, facts.ended_ms / 1000 if facts and facts.ended_ms else None


def _evidence(work: WorkflowWork, facts: PromptFacts | None = None) -> dict[str, Any]:
    evidence: dict[str, Any] = {"workflow": work.name, "prompt_id": work.prompt_id}
    if facts is not None:
        evidence |= {"cached": facts.from_cache, "nodes_executed": len(facts.executed), "outputs": _files(facts)}
        if facts.error is not None and facts.error.traceback:
            evidence["log_tail"] = facts.error.traceback
    return evidence


def _files(facts: PromptFacts) -> list[dict[str, str]]:
    """What the server wrote in its own folders: cleaned before the next attempt."""
    return [{"filename": file.filename, "subfolder": file.subfolder, "type": file.type} for file in facts.fresh_outputs]
