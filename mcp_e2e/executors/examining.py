"""Examine what a finished prompt produced: collect it, compare it, have it judged by a command of the test's own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import anyio.to_thread

from mcp_e2e.adapters import goldens
from mcp_e2e.adapters.comfyui.collecting import Disk, Source, collect
from mcp_e2e.decisions import expectations, verdict
from mcp_e2e.decisions.expectations import Shown
from mcp_e2e.errors import E2EError, NotFound, StoreError
from mcp_e2e.executors import artifacts
from mcp_e2e.executors.commands import follow_command
from mcp_e2e.executors.orders import CommandWork, JudgeWork, Outcome, Watch, WorkflowWork
from mcp_e2e.model.runs import Verdict
from mcp_e2e.model.work import Collected, Comparison, PromptFacts, Pulse
from mcp_e2e.process import jobs

MOST_TOLD = 20
Span = tuple[float | None, float | None]
"""When the test began and ended, UTC seconds, as far as that is known."""


async def examined(client: Source, work: WorkflowWork, facts: PromptFacts, watch: Watch, span: Span) -> Outcome:
    """The verdict and its evidence. The test's own command is asked only where nothing else is amiss.

    Raises:
        ServiceUnavailable: the server went away before all was fetched.
    """
    disk = Disk(work.outputs, span[0]) if work.outputs and span[0] else None
    collected = await collect(client, facts.saved, work.folder, texts=facts.fresh_texts, disk=disk)
    done = facts.status == "success" and not facts.from_cache
    compared = await anyio.to_thread.run_sync(_compared, work, collected) if done else []
    shown = Shown(collected, _seconds(span), compared, work.previous)
    judgement = verdict.of_prompt(work.test, facts, shown, work.expect)
    outcome = Outcome(judgement, _evidence(work, shown) if done else {}, *span)
    if judgement.verdict is Verdict.PASSED and work.judge is not None:
        outcome = await _judged(work, work.judge, watch, outcome)
    listed = await anyio.to_thread.run_sync(artifacts.gathered, work.attempt, work.folder, collected.artifacts)
    return replace(outcome, evidence={**outcome.evidence, "artifacts": listed})


def _seconds(span: Span) -> float | None:
    return span[1] - span[0] if span[0] is not None and span[1] is not None else None


def _compared(work: WorkflowWork, collected: Collected) -> Sequence[Comparison]:
    if work.reference is None:
        return ()
    images = [artifact for artifact in collected.artifacts if artifact.image is not None]
    compare = goldens.against_kept if work.expect.get("golden") else goldens.against_one
    return compare(images, work.reference, work.expect["tolerance"])


def _evidence(work: WorkflowWork, shown: Shown) -> dict[str, Any]:
    """Beside the files: how far they differ, what is unmet, and what was left out. Nothing where there is nothing."""
    collected = shown.collected
    left_out = [f"{each.name}: {each.why}" for each in collected.left_out[:MOST_TOLD]]
    more = len(collected.left_out) - len(left_out)
    told = {
        "compared": [
            {"image": each.image, "golden": each.golden, "difference": round(each.difference, 4)}
            for each in shown.comparisons
            if each.difference is not None
        ],
        "unmet": list(dict.fromkeys(each.wish or "output" for each in expectations.unmet(shown, work.expect))),
        "not_kept": [*left_out, f"and {more} more"] if more > 0 else left_out,
        "contents": {each.name: each.content for each in collected.artifacts if each.content},
        "keys": {each.name: each.key for each in collected.artifacts if each.image is not None},
    }
    return {name: value for name, value in told.items() if value}


class _Beside:
    """A watch on the command that judges: the attempt itself was begun, and began to run, before."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    async def submitted(self, known: Mapping[str, Any] | None = None) -> None: ...

    async def started(self, at: float) -> None: ...

    async def progress(self, message: str) -> None:
        await self._watch.progress(f"judged by its command: {message}")

    async def cancelled(self) -> bool:
        return await self._watch.cancelled()

    async def obituary(self) -> str | None:
        return await self._watch.obituary()

    async def pulse(self) -> Pulse | None:
        return await self._watch.pulse()


async def _judged(work: WorkflowWork, judge: JudgeWork, watch: Watch, outcome: Outcome) -> Outcome:
    """``outcome`` as the command sees it: exit code 0 leaves it, another fails it, any other end is no judgement."""
    order = CommandWork(work.attempt, work.test, judge.jobs_dir, judge.job, work.folder)
    errored = partial(verdict.failed, work.test, Verdict.ERRORED, "execution_error")
    try:
        await _started(judge)
        said = await follow_command(order, _Beside(watch))
    except StoreError:
        raise
    except E2EError as error:
        why = f"the outputs could not be judged: {error.message}"
        return replace(outcome, judgement=errored(why))
    names = ("command", "job", "log", "exit_code", "signal")
    evidence = {**outcome.evidence, "judge": {name: said.evidence[name] for name in names if name in said.evidence}}
    if said.judgement.failure is None:
        return replace(outcome, evidence=evidence)
    evidence["log_tail"] = said.evidence.get("log_tail")
    judgement, message = said.judgement, said.judgement.failure.message
    if said.evidence.get("exit_code") and judgement.verdict is Verdict.FAILED:
        sentence = f"its command judged the outputs: {message}"
        judgement = verdict.failed(work.test, Verdict.FAILED, "assertion", sentence)
        evidence["unmet"] = ["command"]
    elif judgement.verdict not in {Verdict.CANCELLED, Verdict.LOST}:
        judgement = errored(f"the command that judges the outputs did not end by itself: {message}")
    return replace(outcome, judgement=judgement, evidence=evidence)


async def _started(judge: JudgeWork) -> None:
    """Unless another server has started it already."""
    try:
        jobs.look(judge.jobs_dir, judge.job)
    except NotFound:
        await jobs.launch(judge.jobs_dir, judge.spec())
