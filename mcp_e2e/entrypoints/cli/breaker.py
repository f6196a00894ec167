"""breaker status and reset: the reset is for a person at a terminal, and says why where it finds none."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from mcp_e2e.entrypoints.cli import person
from mcp_e2e.entrypoints.cli.options import Group, Said
from mcp_e2e.entrypoints.cli.output import Outcome, talk
from mcp_e2e.entrypoints.cli.work import inside, is_person
from mcp_e2e.errors import Refused, UsageError
from mcp_e2e.formats.text import plain

if TYPE_CHECKING:
    from mcp_e2e.bootstrap import App
    from mcp_e2e.model.answers import BreakerLine

NOT_DONE = "the breaker was not reset"
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that look alike
CODE_LENGTH = 5
REFUSED_SHOWN = 10
REASON_AFTER = 2  # failed probes after which a reset asks what is different


@click.group(cls=Group)
def breaker() -> None:
    """What stops all work after three red tests in a row."""


@breaker.command("status", example="mcp-e2e breaker status")
@click.pass_obj
def status(said: Said) -> Outcome:
    """State, count, and the evidence of the incident."""

    async def work(app: App) -> Outcome:
        line = await app.breaker.show(person=is_person())
        incident = await app.breaker.incident() if line.state == "open" else None
        calls = {"calls_refused": incident["refused"][-REFUSED_SHOWN:]} if incident else {}
        return Outcome({**line.shown(), **calls, "next_step": _advice(line)})

    return inside(said, work)


def _advice(line: BreakerLine) -> str:
    if line.state == "open":
        how = f": {line.reset}" if line.reset else ", in a terminal."
        return f"Only a person can close it, after looking at the evidence{how}"
    if line.state == "half_open":
        return "One test may run as a probe: a pass closes it, a red opens it again."
    return f"Tests may run; what was refused is cleared by: {line.reset}" if line.reset else "Tests may run."


@breaker.command(example="mcp-e2e breaker reset", changes=True)
@click.pass_obj
def reset(said: Said) -> Outcome:
    """Let one test run again after an incident: shows the evidence and asks for a code to be typed.

    For a person at a terminal; an agent is refused. The next test is a probe: a pass closes the breaker.
    """
    person.no_agent(NOT_DONE, "Ask the user to look at the incident and to clear it in a terminal of their own.")
    person.at_terminal(NOT_DONE, "A person has to call it in a terminal of their own.")
    incident = inside(said, _incident)
    talk(plain(incident))
    code = "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH))
    if person.typed(f"To let one test run again, type {code}: ") != code:
        raise _refused("that was not the code", "Nothing was changed. Call again for a new code.", "code")
    actor = person.actor()
    if incident.get("failed_probes", 0) >= REASON_AFTER:
        actor["reason"] = person.typed(
            f"{incident['failed_probes']} probes have failed already. What is different now? "
        )
        if not actor["reason"]:
            raise _refused("no reason was given", "Nothing was changed. Say what has changed since.", "reason")

    async def work(app: App) -> Outcome:
        line = await app.breaker.reset(app.caller, actor=actor, incident=incident["incident"])
        return Outcome({**line.shown(), "next_step": _advice(line)})

    return inside(said, work)


@breaker.command(example="mcp-e2e breaker lock 'the GPU is being repaired'", changes=True)
@click.argument("reason")
@click.pass_obj
def lock(said: Said, reason: str) -> Outcome:
    """Stop all work of agents until a person resets the breaker; REASON is what they are told."""

    async def work(app: App) -> Outcome:
        line = await app.breaker.lock(app.caller, reason=reason)
        return Outcome({**line.shown(), "next_step": _advice(line)})

    return inside(said, work)


def _refused(why: str, remedy: str, rule: str) -> Refused:
    return person.refused(NOT_DONE, why, remedy, rule)


async def _incident(app: App) -> dict[str, Any]:
    line = await app.breaker.show()
    if line.state != "open" and not line.stopped:
        raise UsageError(
            f"the breaker is {line.state}, not open", remedy="There is nothing to reset.", state=line.state
        )
    found = await app.breaker.incident() or {}
    shown = {"incident": line.incident, "opened_at": line.opened_at, "evidence": line.evidence}
    return {**shown, "stopped": line.stopped, "failed_probes": line.failed_probes, **_known(found)}


def _known(found: Mapping[str, Any]) -> dict[str, Any]:
    refused = found.get("refused", [])
    calls = [f"{call['at']} {call['tool']} by {call['by']}" for call in refused[-REFUSED_SHOWN:]]
    return {"project": found.get("project"), "calls_refused_since": len(refused), "latest_of_them": calls}
