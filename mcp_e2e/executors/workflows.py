"""Run a ComfyUI workflow: queue it under our own id, follow it to its end, collect, judge."""

import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anyio

from mcp_e2e.adapters.comfyui.client import POLL_S, ComfyUI
from mcp_e2e.adapters.comfyui.looking import look
from mcp_e2e.adapters.comfyui.workflow import Graph, model_files
from mcp_e2e.decisions import verdict, warmth
from mcp_e2e.errors import ServiceUnavailable
from mcp_e2e.executors.examining import examined
from mcp_e2e.executors.following import DEAD, End, Following
from mcp_e2e.executors.memory import MemoryWatch, watching
from mcp_e2e.executors.orders import Outcome, Watch, WorkflowWork
from mcp_e2e.model.runs import Verdict
from mcp_e2e.model.work import PromptFacts

WITHDRAW_S = 2.0
FREED_S = 5.0
EMPTY = 0.8  # of a device's memory; what is left is for the driver and the desktop
log = logging.getLogger(__name__)


async def run_workflow(work: WorkflowWork, graph: Graph, watch: Watch) -> Outcome:
    """Queue the workflow and stay with it until it is judged.

    Raises:
        SetupError: the server rejected the workflow, with all that is wrong with it: it never ran.
        ServiceUnavailable: the server is gone, or does not know of the prompt after a lost reply.
        Withdrawn: it must not begin any more.
    """
    async with (
        ComfyUI(work.url) as client,
        client.listening(work.prompt_id, graph) as listener,
        watching(work.url) as memory,
    ):
        address, pulse = await listener.address(), await watch.pulse()
        loads = tuple((model.node, model.file) for model in model_files(graph))
        work = replace(work, loads=loads, memory_before=memory.begins())
        await watch.submitted({"loads": loads, "memory": work.memory_before})
        await client.submit(graph, work.prompt_id, address, work.failed_nodes)
        return await _to_the_end(client, work, Following(client, work, watch, listener, pulse), memory)


async def follow_workflow(work: WorkflowWork, watch: Watch) -> Outcome:
    """Stay with a prompt that another process has queued, and judge it."""
    async with (
        ComfyUI(work.url) as client,
        client.listening(work.prompt_id) as listener,
        watching(work.url, work.memory_before) as memory,
    ):
        return await _to_the_end(client, work, Following(client, work, watch, listener), memory)


async def _to_the_end(client: ComfyUI, work: WorkflowWork, following: Following, memory: MemoryWatch) -> Outcome:
    try:
        end = await following.to_the_end()
        memory.ended()
        outcome = await _judge(client, work, end, following.watch)
    except (ServiceUnavailable, TimeoutError) as error:
        why = await following.watch.obituary() or f"ComfyUI stopped answering: {error}"
        outcome = Outcome(verdict.of_lost(work.test, why), _evidence(work), following.running_since)
        await _withdraw(client, work)
    return replace(outcome, evidence={**outcome.evidence, "memory": await memory.facts()})


async def _judge(client: ComfyUI, work: WorkflowWork, end: End, watch: Watch) -> Outcome:
    facts = end.facts
    if end.dead:
        await _withdraw(client, work)
        return Outcome(verdict.of_lost(work.test, DEAD), _evidence(work), end.running_since, restart=DEAD)
    if end.deaf or (end.expired and (facts is None or facts.status != "success")):
        return _cut_off(work, end)
    if facts is None:
        gone = f"ComfyUI does not know prompt {work.prompt_id} any more: it was restarted, or its queue was cleared"
        return Outcome(verdict.of_lost(work.test, gone), _evidence(work), end.running_since)
    found = await examined(client, work, facts, watch, _span(facts, end))
    outcome = replace(found, evidence={**_evidence(work, facts), **found.evidence})
    failure = outcome.judgement.failure
    if failure is not None and failure.kind == "out_of_memory" and facts.error is not None:
        return await _out_of_memory(client, work, outcome)
    return outcome


async def _withdraw(client: ComfyUI, work: WorkflowWork) -> None:
    """A lost attempt is made again: what may still stand in a queue must not run beside it."""
    with suppress(ServiceUnavailable), anyio.move_on_after(WITHDRAW_S):
        await client.cancel(work.prompt_id, within_s=WITHDRAW_S)


def _cut_off(work: WorkflowWork, end: End) -> Outcome:
    """Ended from our side: over its time, or cancelled while a node does not listen."""
    deaf = "; the running node does not listen to an interrupt" if end.deaf else "; the prompt was interrupted"
    if end.expired:
        message = f"still running after its time limit ({work.timeout_s:.0f} s){deaf}"
        judgement = verdict.failed(work.test, Verdict.TIMED_OUT, "timeout", message)
    else:
        judgement = verdict.failed(work.test, Verdict.CANCELLED, "cancelled", f"cancelled{deaf}")
    restart = "a node ran on after it was interrupted" if end.deaf else None
    return Outcome(judgement, _evidence(work, end.facts), *_span(end.facts, end), restart=restart)


async def _out_of_memory(client: ComfyUI, work: WorkflowWork, outcome: Outcome) -> Outcome:
    """Have the memory given back. In a process that others had used, running out of it shows nothing about this test.

    So it is made again: in the same process where all came back, in a new one where not, unless the queue holds
    somebody else's prompts, which would die with it. A server that cannot be asked for it changes no verdict.
    """
    if not work.owned:
        return outcome
    try:
        await client.free()
        if work.clean_process:
            return outcome
        back = await _memory_is_back(work.url)
        queue = await client.queue()
    except ServiceUnavailable as error:
        log.warning("%s was not freed: %s", work.url, error)
        return outcome
    failure = outcome.judgement.failure
    why = f"out of memory in a process that earlier tests had used: {failure.message if failure else ''}"
    judgement = verdict.failed(work.test, Verdict.LOST, "out_of_memory", why)
    evidence = {**outcome.evidence, "recovery": "models and cached results were unloaded"}
    restart = None if back or queue.running or queue.pending else "it ran out of memory, which did not come back"
    return Outcome(judgement, evidence, outcome.started_at, outcome.ended_at, restart)


async def _memory_is_back(url: str) -> bool:
    """Whether the first device has become nearly empty; the server frees it a moment after it was asked to."""
    with anyio.move_on_after(FREED_S):
        while True:
            device = (await look(url)).device
            if device is not None and device.vram_free >= EMPTY * device.vram_total > 0:
                return True
            await anyio.sleep(POLL_S)
    return False


def _span(facts: PromptFacts | None, end: End) -> tuple[float | None, float | None]:
    """The server's own times in seconds where it tells them."""
    begun = facts.started_ms / 1000 if facts and facts.started_ms else end.running_since
    return begun, facts.ended_ms / 1000 if facts and facts.ended_ms else None


def _evidence(work: WorkflowWork, facts: PromptFacts | None = None) -> dict[str, Any]:
    evidence: dict[str, Any] = {"workflow": work.name, "prompt_id": work.prompt_id, **warmth.told(work.loads, facts)}
    if facts is not None:
        evidence |= {"cached": facts.from_cache, "nodes_executed": len(facts.executed), "outputs": _files(facts)}
        if facts.error is not None and facts.error.traceback:
            evidence["log_tail"] = facts.error.traceback
    return evidence


def _files(facts: PromptFacts) -> list[dict[str, str]]:
    """What the server wrote in its own folders: cleaned before the next attempt."""
    return [{"filename": file.filename, "subfolder": file.subfolder, "type": file.type} for file in facts.fresh_outputs]
