"""What a run came to: slots, counts, causes, and one or two sentences of advice. Pure: facts and ``now`` in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from mcp_e2e.decisions.memory import fullest, sentence
from mcp_e2e.decisions.savings import boot_saved, load_saved, model_uses
from mcp_e2e.decisions.wording import names, one_line, some
from mcp_e2e.model.calls import Breaker, BreakerState
from mcp_e2e.model.report import FAILED, AttemptLine, Cause, Counts, Outcome, Overall, Report, SlotLine
from mcp_e2e.model.runs import RED, Attempt, Run, Slot, Verdict

CLEARED_BY = "The breaker is open: a person has to clear it: mcp-e2e status."
_ORDER: Mapping[Outcome, int] = {"failed": 0, "doubted": 0, "pending": 2, "skipped": 3, "passed": 4}


def build(
    run: Run,
    *,
    boots: Sequence[float],
    restarts: int,
    refusals: int,
    breaker: Breaker,
    now: float,
    project: str,
    environment: Mapping[str, str],
) -> Report:
    """The report on ``run``. ``boots``: seconds of each measured boot of its services, latest last."""
    tests = tuple(sorted(map(_slot_line, run.slots), key=_rank))
    counts = Counts.of(tests)
    boot_s, boot_how = boot_saved(run, boots)
    uses = model_uses(tests)
    load_s, load_how = load_saved(uses)
    report = Report(
        run=run.id,
        mode=run.mode,
        state=run.state,
        by=run.by,
        started=run.created_at,
        ended=run.ended_at,
        written=now,
        project=project,
        overall=_overall(run, counts, breaker),
        success_rate=_success_rate(tests),
        counts=counts,
        tests=tests,
        causes=_causes(tests),
        restarts=restarts,
        refusals=refusals,
        breaker=breaker.state.value,
        environment=dict(environment),
        incident=breaker.incident,
        reason=run.reason,
        boot_saved_s=boot_s,
        boot_saved_how=boot_how,
        load_saved_s=load_s,
        load_saved_how=load_how,
        model_uses=uses,
        memory_peak=_memory_peak(tests),
    )
    return replace(report, recommendation=recommend(report))


def _slot_line(slot: Slot) -> SlotLine:
    outcome = outcome_of(slot)
    standing = _standing(slot.attempts)
    point = slot.checkpoint
    return SlotLine(
        slot=slot.n,
        test=slot.test,
        outcome=outcome,
        verdict=_observed(slot),
        recorded=point.result if point else None,
        note=point.note if point else "",
        flaky=outcome == "passed" and any(attempt.red for attempt in slot.attempts),
        standing=standing.n if standing else None,
        attempts=tuple(map(AttemptLine.of, slot.attempts)),
    )


def outcome_of(slot: Slot) -> Outcome:
    """What the slot came to; a checkpoint adds doubt or a skip to the server's verdict and never improves it."""
    point, observed, standing = slot.checkpoint, _observed(slot), _standing(slot.attempts)
    if point is None:
        return "pending"
    if point.result == "failure":
        return "doubted" if observed is Verdict.PASSED else "failed"
    if point.result == "success" and observed is Verdict.PASSED:
        return "passed"
    if observed in RED or (standing and (standing.red or point.result == "success")):
        return "failed"
    return "skipped"


def _observed(slot: Slot) -> Verdict | None:
    """The server's last verdict; a slot whose attempts were pruned still has the one noted when it was recorded."""
    if slot.attempts or slot.checkpoint is None:
        return slot.verdict
    return slot.checkpoint.verdict


def _standing(attempts: Iterable[Attempt]) -> Attempt | None:
    """The last red attempt without a later pass, else the last lost one: neither a skip nor a cancel hides a red."""
    standing: Attempt | None = None
    for attempt in attempts:
        if attempt.verdict is Verdict.PASSED:
            standing = None
        elif attempt.red or (attempt.verdict is Verdict.LOST and not (standing and standing.red)):
            standing = attempt
    return standing


def _rank(line: SlotLine) -> tuple[int, int]:
    return (1 if line.flaky else _ORDER[line.outcome]), line.slot


def _success_rate(tests: Iterable[SlotLine]) -> float | None:
    """Passed among the slots the server has judged, recorded or not; a doubted one is no pass."""
    judged = [line for line in tests if line.judged]
    good = sum(line.outcome not in FAILED and line.verdict is Verdict.PASSED for line in judged)
    return round(good / len(judged), 4) if judged else None


def _causes(tests: Iterable[SlotLine]) -> tuple[Cause, ...]:
    """The failures that stand, each slot in one entry, the cause behind most slots first."""
    by_cause: dict[str, list[SlotLine]] = {}
    for line in sorted(tests, key=lambda line: line.slot):
        if line.blamed:
            by_cause.setdefault(line.blamed.cause(line.test), []).append(line)
    causes = [_cause(key, lines) for key, lines in by_cause.items()]
    return tuple(sorted(causes, key=lambda cause: (-len(cause.slots), cause.slots)))


def _cause(key: str, lines: Sequence[SlotLine]) -> Cause:
    failure = lines[-1].blamed.failure if lines[-1].blamed else None
    bad = [(line, attempt) for line in lines for attempt in line.attempts if attempt.verdict in RED | {Verdict.LOST}]
    return Cause(
        signature=key,
        kind=failure.kind if failure else "unknown",
        message=failure.message if failure else key,
        tests=tuple(dict.fromkeys(line.test for line in lines)),
        slots=tuple(line.slot for line in lines),
        attempts=sum(attempt.cause(line.test) == key for line, attempt in bad),
    )


def _overall(run: Run, counts: Counts, breaker: Breaker) -> Overall:
    """The first of these that is true; ``passed`` needs every slot, so a plan with skips in it is ``incomplete``."""
    if run.state == "service_failed":
        return "service_failed"
    if breaker.state is BreakerState.OPEN and counts.pending:
        return "stopped"
    if counts.failed:
        return "failed"
    if counts.skipped == counts.total:
        return "skipped"
    return "passed" if counts.passed == counts.total else "incomplete"


def _memory_peak(tests: Iterable[SlotLine]) -> str | None:
    seen = [(line, each.memory) for line in tests for each in line.attempts if each.memory]
    most = fullest(memory for _, memory in seen)
    where = [f"slot {line.slot} {line.test}" for line, memory in seen if memory is most]
    return f"{sentence(most)}, in {where[0]}" if most else None


def recommend(report: Report) -> str:
    """One or two plain sentences: what the run came to, then the one next thing."""
    said, then = _advice(report)
    if report.breaker == BreakerState.OPEN:
        then = CLEARED_BY
    elif report.breaker == BreakerState.HALF_OPEN and report.counts.pending:
        then = "The breaker is half open: the next test is its one probe."
    return f"{said} {then}".strip()


def _advice(report: Report) -> tuple[str, str]:
    match report.overall:
        case "passed":
            return f"{report.counts.passed} of {some(report.counts.total, 'slot')} passed.", _about_flaky(report)
        case "failed" | "stopped":
            return _about_failures(report)
        case "incomplete":
            return _about_gaps(report)
        case "service_failed":
            said = "The service died under the tests, so nothing is known of those that are open."
            return said, "Read its log, repair the service, then call plan_run again."
        case "skipped":
            return "Nothing was tested: every slot was skipped.", ""


def _about_flaky(report: Report) -> str:
    flaky = names(line.test for line in report.tests if line.flaky)
    return f"Only after a red attempt: {flaky}; look at why before you trust it." if flaky else ""


def _about_failures(report: Report) -> tuple[str, str]:
    causes, slots = report.causes, sum(len(cause.slots) for cause in report.causes)
    doubted = [line for line in report.tests if line.outcome == "doubted"]
    match len(causes):
        case 0 if doubted:
            why = one_line(doubted[0].note)
            said = f"The server saw {names(line.test for line in doubted)} pass and an agent doubts it: {why}."
            return said, "Make the test check what the note says."
        case 0:
            return f"{report.counts.failed} of {some(report.counts.total, 'slot')} failed.", ""
        case 1:
            said = f"One cause stands behind {some(slots, 'failing slot')}: {one_line(causes[0].message)}."
            return said, "Repair it before you run anything again."
        case many:
            first = f"the first stands behind {len(causes[0].slots)}: {one_line(causes[0].message)}."
            return f"{slots} failing slots have {many} causes; {first}", "Repair that one first."


def _about_gaps(report: Report) -> tuple[str, str]:
    counts = report.counts
    if not counts.pending:
        return (
            f"Nothing failed, but {counts.skipped} of {counts.total} slots were skipped: they are not known to work.",
            "",
        )
    said = f"{counts.pending} of {some(counts.total, 'slot')} not recorded yet."
    if report.state != "active":
        return said, f"The run has ended: {one_line(report.reason or report.state)}."
    due = min(line.slot for line in report.tests if line.outcome == "pending")
    return said, f"Go on with slot {due}: next_test says why."
