"""Run a ComfyUI workflow: check, submit under our own id, follow by polling, collect, judge."""

import time
from typing import Any

import anyio

from mcp_e2e.adapters.comfyui import POLL_S, ComfyUI
from mcp_e2e.adapters.outputs import collect
from mcp_e2e.decisions import verdict
from mcp_e2e.errors import ServiceUnavailable, SetupError
from mcp_e2e.executors import artifacts
from mcp_e2e.executors.orders import Outcome, Watch, WorkflowOrder
from mcp_e2e.model.runs import Verdict
from mcp_e2e.model.work import OutputFile, PromptFacts, PromptState


async def run_workflow(order: WorkflowOrder, watch: Watch) -> Outcome:
    """Queue or join the prompt and judge how it ended.

    Raises:
        SetupError: nodes or models are unknown to the server, or it rejected the workflow: it never ran.
    """
    try:
        async with ComfyUI(order.url) as client:
            await _submit(client, order, watch)
            started_at, expired = await _follow(client, order, watch)
            return await _judge(client, order, started_at, expired=expired)
    except ServiceUnavailable as error:
        return Outcome(verdict.of_lost(order.test, f"ComfyUI stopped answering: {error.message}"), _evidence(order))


async def _submit(client: ComfyUI, order: WorkflowOrder, watch: Watch) -> None:
    if order.submitted:  # never twice: what did not arrive is unknown to the server and ends as lost
        return
    problems = await client.check(order.graph)
    if problems:
        raise SetupError(
            f"workflow {order.graph.name} cannot run on this ComfyUI: {'; '.join(problems)}", problems=list(problems)
        )
    await watch.submitted()
    await client.submit(order.graph, order.prompt_id)


async def _follow(client: ComfyUI, order: WorkflowOrder, watch: Watch) -> tuple[float | None, bool]:
    """When the prompt began to run, and whether its time limit ended it."""
    started_at, deadline = order.running_since, None
    while (state := await client.state(order.prompt_id)) in {PromptState.PENDING, PromptState.RUNNING}:
        if state is PromptState.RUNNING and deadline is None:
            started_at = started_at or time.time()
            deadline = anyio.current_time() + order.timeout_s - (time.time() - started_at)
            await watch.started(started_at)
        expired = deadline is not None and anyio.current_time() > deadline
        if expired or await watch.cancelled():
            await client.cancel(order.prompt_id)
            return started_at, expired
        await watch.progress(message=f"prompt {state.value}")
        await anyio.sleep(POLL_S)
    return started_at, False


async def _judge(client: ComfyUI, order: WorkflowOrder, started_at: float | None, *, expired: bool) -> Outcome:
    facts = await client.history(order.prompt_id)
    if facts is None:
        gone = f"ComfyUI does not know prompt {order.prompt_id} any more: it was restarted, or its queue was cleared"
        return Outcome(verdict.of_lost(order.test, gone), _evidence(order), started_at)
    if expired and facts.status != "success":
        message = f"still running after its time limit ({order.timeout_s:.0f} s); the prompt was interrupted"
        judgement = verdict.failed(order.test, Verdict.TIMED_OUT, "timeout", message)
        return Outcome(judgement, _evidence(order, facts), *_span(facts, started_at))
    collected = await collect(client, _saved(facts), order.folder)
    evidence = _evidence(order, facts) | {"artifacts": artifacts.listed(order.attempt, collected.artifacts)}
    judgement = verdict.of_prompt(order.test, facts, collected, order.expect)
    return Outcome(judgement, evidence, *_span(facts, started_at))


def _span(facts: PromptFacts, started_at: float | None) -> tuple[float | None, float | None]:
    """The server's own times in seconds where it tells them."""
    begun = facts.started_ms / 1000 if facts.started_ms else started_at
    return begun, facts.ended_ms / 1000 if facts.ended_ms else None


def _evidence(order: WorkflowOrder, facts: PromptFacts | None = None) -> dict[str, Any]:
    evidence: dict[str, Any] = {"workflow": order.graph.name, "prompt_id": order.prompt_id}
    if facts is not None:
        evidence |= {"cached": facts.from_cache, "nodes_executed": len(facts.executed), "outputs": _files(facts)}
        if facts.error is not None and facts.error.traceback:
            evidence["log_tail"] = facts.error.traceback
    return evidence


def _saved(facts: PromptFacts) -> tuple[OutputFile, ...]:
    """The files a workflow is judged by: previews count only where nothing is saved."""
    saved = tuple(file for file in facts.fresh_outputs if file.type == "output")
    return saved or facts.fresh_outputs


def _files(facts: PromptFacts) -> list[dict[str, str]]:
    """What the server wrote in its own folders: cleaned before the next attempt."""
    return [{"filename": file.filename, "subfolder": file.subfolder, "type": file.type} for file in facts.fresh_outputs]
