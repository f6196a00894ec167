"""The report as markdown, for people and for CI summaries: failures first, everything else in one table."""

import re
from collections.abc import Iterable, Iterator

from mcp_e2e.decisions.memory import sentence
from mcp_e2e.formats.clean import clean, flat, listed, one_line, span, utc
from mcp_e2e.model.report import FAILED, AttemptLine, ModelUse, Report, SlotLine
from mcp_e2e.model.runs import Verdict

LIMIT = 900 * 1024  # bytes: GitHub drops a step summary above 1 MiB as a whole
MOST_USES = 50
_NOTE = "\n*Cut here: the rest is in the JSON report.*\n"


def render(report: Report) -> str:
    """Markdown of at most ``LIMIT`` bytes; what does not fit is cut at a section's end, and said."""
    sections = [
        _head(report),
        *_causes(report),
        *_details(report.tests),
        *_models(report),
        _table(report),
        *_environment(report),
    ]
    return "".join(_within(sections, LIMIT - len(_NOTE)))


def _within(sections: Iterable[str], room: int) -> Iterator[str]:
    for section in sections:
        room -= len(section.encode("utf-8", "replace"))
        if room < 0:
            yield _NOTE
            return
        yield section


def _head(report: Report) -> str:
    counts = report.counts
    rate = "nothing judged yet" if report.success_rate is None else f"{report.success_rate:.0%} of the judged passed"
    slots = (
        f"**{counts.passed}** passed, **{counts.failed}** failed, {counts.skipped} skipped, {counts.pending} pending"
    )
    facts = [
        f"{slots} of {counts.total} slots ({rate})",
        f"attempts {counts.attempts}, of these lost with the service {counts.lost}; flaky slots {counts.flaky}",
        f"{report.mode} run by {_inline(report.by)}, {utc(report.started)}, {span(report.duration_s)}, {report.state}",
        f"restarts {report.restarts}, refusals {report.refusals}, breaker {_inline(report.breaker)}",
    ]
    if report.boot_saved_how:
        facts.append(f"Boot time saved: {span(report.boot_saved_s)} ({_inline(report.boot_saved_how)})")
    if report.load_saved_how:
        facts.append(f"Model load time saved: {span(report.load_saved_s)} ({_inline(report.load_saved_how)})")
    if report.memory_peak:
        facts.append(f"Memory at its fullest: {_inline(report.memory_peak)}")
    lines = "\n".join(f"- {fact}" for fact in facts)
    return f"# Run {_inline(report.run)}: {report.overall}\n\n{_inline(report.recommendation)}\n\n{lines}\n"


def _causes(report: Report) -> Iterator[str]:
    if len(report.causes) < 2:
        return
    yield f"\n## {len(report.causes)} causes\n\n"
    for cause in report.causes:
        slots = ", ".join(map(str, cause.slots))
        yield f"- {_inline(cause.kind)}: {_inline(cause.message)} (slots {slots}; attempts {cause.attempts})\n"


def _details(tests: Iterable[SlotLine]) -> Iterator[str]:
    telling = [line for line in tests if line.outcome in FAILED or line.standing or line.flaky]
    if telling:
        yield "\n## Failures\n"
    yield from map(_detail, telling)


def _detail(line: SlotLine) -> str:
    title = f"\n### {line.slot} {_inline(line.test)}: {'flaky' if line.flaky else line.outcome}\n\n"
    note = f"Note: {_inline(line.note)}\n\n" if line.note else ""
    return title + note + "".join(_attempt(attempt) for attempt in line.attempts)


def _attempt(attempt: AttemptLine) -> str:
    generation = f", generation {attempt.generation}" if attempt.generation is not None else ""
    verdict = attempt.verdict or "still open"
    head = f"Attempt {attempt.n}: **{verdict}** {span(attempt.duration_s)}{generation}, by {_inline(attempt.by)}\n\n"
    if attempt.verdict in {None, Verdict.PASSED}:
        return head
    message = _fenced(attempt.failure.message) if attempt.failure else ""
    log = f"Log: {_code(attempt.log)}\n\n" if attempt.log else ""
    files = "".join(f"- {_inline(artifact.name)}: {_code(artifact.path)}\n" for artifact in attempt.artifacts)
    return head + message + _memory(attempt) + _log_tail(attempt) + log + (f"{files}\n" if files else "")


def _memory(attempt: AttemptLine) -> str:
    """Where it may be the cause."""
    told = sentence(attempt.memory) if attempt.out_of_memory and attempt.memory else ""
    return f"Memory: {_inline(told)}\n\n" if told else ""


def _log_tail(attempt: AttemptLine) -> str:
    return f"Last output:\n\n{_fenced(attempt.log_tail)}" if attempt.log_tail else ""


def _models(report: Report) -> Iterator[str]:
    if not report.model_uses:
        return
    titles = "| models | test | slots | cold | warm | saved |\n|---|---|---|--:|--:|--:|\n"
    more = len(report.model_uses) - MOST_USES
    rest = f"\n*{more} more rows are in the JSON report.*\n" if more > 0 else ""
    yield f"\n## Models\n\n{titles}{''.join(map(_use, report.model_uses[:MOST_USES]))}{rest}"


def _use(use: ModelUse) -> str:
    models, slots = (_inline(listed(words)) for words in (use.models, map(str, use.slots)))
    cold, warm = _median(use.cold, use.cold_s), _median(use.warm, use.warm_s)
    return f"| {models} | {_inline(use.test)} | {slots} | {cold} | {warm} | {span(use.saved_s)} |\n"


def _median(count: int, seconds: float | None) -> str:
    return f"{count} x {span(seconds)}" if count else ""


def _table(report: Report) -> str:
    titles = "| slot | test | outcome | verdict | attempts | time | note |\n|--:|---|---|---|--:|--:|---|\n"
    return f"\n## All slots\n\n{titles}{''.join(map(_row, report.tests))}"


def _row(line: SlotLine) -> str:
    outcome = f"{line.outcome} (flaky)" if line.flaky else line.outcome
    verdict, time, note = line.verdict or "", span(line.duration_s), _inline(line.note)
    return f"| {line.slot} | {_inline(line.test)} | {outcome} | {verdict} | {len(line.attempts)} | {time} | {note} |\n"


def _environment(report: Report) -> Iterator[str]:
    yield f"\n## Environment\n\n- project: {_code(report.project)}\n- written: {utc(report.written)}\n"
    for name, value in report.environment.items():
        yield f"- {_inline(name)}: {_inline(value)}\n"


def _inline(text: str) -> str:
    """On one line, with everything that markdown or HTML would act on taken literally."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", one_line(text))


def _code(text: str) -> str:
    line = flat(text)
    fence = "`" * (_longest_run(line) + 1)
    return f"{fence} {line} {fence}" if "`" in line else f"`{line}`"


def _fenced(text: str) -> str:
    """A block whose fence is longer than any in the text, so that nothing inside can end it."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}text\n{clean(text).strip(chr(10))}\n{fence}\n\n"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
