"""Whether a workflow found its models loaded: what the server says it took from its cache, never a guess. Pure."""

from collections.abc import Sequence
from typing import Any

from mcp_e2e.model.work import PromptFacts

MOST = 20  # model files that the evidence names
LONGEST = 200

Loads = Sequence[tuple[str, str]]
"""``(node, model file)`` for every file that a graph loads."""


def told(loads: Loads, facts: PromptFacts | None) -> dict[str, Any]:
    """``models`` (each file once, sorted, at most ``MOST``) and ``warm`` for an attempt's evidence."""
    models = sorted({file[:LONGEST] for _, file in loads})[:MOST]
    return {"models": models, "warm": None if facts is None else warm(loads, facts)}


def warm(loads: Loads, facts: PromptFacts) -> bool | None:
    """True: every node that loads a model came from the cache. False: at least one was executed. None: not known.

    A chain counts as a whole: a LoRA executed on top of a cached checkpoint is cold. After a success, a loader that
    was neither cached nor executed was not needed; otherwise it was not reached, so nothing can be said.
    """
    loaders, cached = {node for node, _ in loads}, set(facts.cached)
    failed = {facts.error.node} if facts.error else set()
    if loaders & ({*facts.executed} | failed):
        return False
    if facts.status == "success":
        loaders &= cached
    return True if loaders and loaders <= cached else None
