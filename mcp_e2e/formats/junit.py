"""The report as JUnit XML, strict profile: passes the Jenkins ``junit-10.xsd`` and is read by GitLab and Jenkins.

No ``skipped`` on the root, no properties inside a testcase, three decimals, only characters that XML 1.0 has. Each
slot is one testcase: a red verdict that stands is its ``failure`` (``error`` where nothing could be judged) even
before it is recorded, so that CI never reads a stopped run as green; earlier tries are ``rerunFailure``, or
``flakyFailure`` under a pass. Slots without a result are ``skipped``.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import PurePath
from xml.etree import ElementTree as ET

from mcp_e2e.decisions.memory import sentence
from mcp_e2e.formats.clean import clean, flat, listed, one_line, utc
from mcp_e2e.model.report import FAILED, AttemptLine, ModelUse, Report, SlotLine
from mcp_e2e.model.runs import RED, Verdict

MOST_USES = 50
_ERRORS = frozenset({Verdict.ERRORED, Verdict.LOST})


def render(report: Report) -> str:
    """The XML text with its declaration, to be written as UTF-8."""
    root = ET.Element("testsuites", name="mcp-e2e")
    suite = ET.SubElement(root, "testsuite", name=_project_name(report), id=one_line(report.run))
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(report).items():
        ET.SubElement(properties, "property", name=one_line(name), value=one_line(value))
    repeated = Counter(line.test for line in report.tests)
    for line in sorted(report.tests, key=lambda line: line.slot):
        name = line.test if repeated[line.test] == 1 else f"{line.test} ({line.slot}/{report.counts.total})"
        suite.append(_testcase(line, name, report.project))
    _count(root, suite)
    suite.set("timestamp", utc(report.started).removesuffix("Z"))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _project_name(report: Report) -> str:
    return one_line(PurePath(report.project).name) or "e2e"


def _properties(report: Report) -> Mapping[str, str]:
    rate = "" if report.success_rate is None else f"{report.success_rate:.4f}"
    facts = {
        "run": report.run,
        "mode": report.mode,
        "by": report.by,
        "overall": report.overall,
        "success_rate": rate,
        "breaker": report.breaker,
        "restarts": str(report.restarts),
        "refusals": str(report.refusals),
        "boot_saved": report.boot_saved_how or "",
        "load_saved": report.load_saved_how or "",
        "memory_peak": report.memory_peak or "",
        "recommendation": report.recommendation,
    }
    uses = {f"models.{n}": _use(use) for n, use in enumerate(report.model_uses[:MOST_USES], 1)}
    return {**{f"env.{key}": value for key, value in report.environment.items()}, **facts, **uses}


def _use(use: ModelUse) -> str:
    cold, warm = _median("cold", use.cold, use.cold_s), _median("warm", use.warm, use.warm_s)
    return f"{use.test} (slots {listed(map(str, use.slots))}): {listed(use.models)}{cold}{warm}"


def _median(word: str, count: int, seconds: float | None) -> str:
    return f"; {count} {word}, median {_time(seconds)} s" if count else ""


def _testcase(line: SlotLine, name: str, project: str) -> ET.Element:
    case = ET.Element("testcase", classname="e2e", name=one_line(name), time=_time(line.duration_s))
    blamed = line.blamed
    if blamed is not None and line.outcome != "skipped":
        _told(case, "error" if blamed.verdict in _ERRORS else "failure", blamed)
    elif line.outcome in FAILED:
        _simple(case, "failure", line.outcome, line.note or "recorded as a failure")
    elif line.outcome != "passed":
        _simple(case, "skipped", line.outcome, _why_skipped(line))
    for attempt in line.attempts:
        if attempt.verdict in RED and attempt is not blamed:
            _retried(case, "flakyFailure" if line.outcome == "passed" else "rerunFailure", attempt)
    _text(case, "system-out", "\n".join(_out(line, project)))
    return case


def _why_skipped(line: SlotLine) -> str:
    if line.outcome == "skipped":
        return line.note or "skipped"
    return f"not recorded, last verdict: {line.verdict}" if line.verdict else "not run"


def _simple(case: ET.Element, tag: str, kind: str, message: str) -> None:
    ET.SubElement(case, tag, type=kind, message=one_line(message)).text = clean(message)


def _told(case: ET.Element, tag: str, attempt: AttemptLine) -> None:
    kind, message = _kind_and_message(attempt)
    ET.SubElement(case, tag, type=kind, message=one_line(message)).text = _story(attempt)


def _retried(case: ET.Element, tag: str, attempt: AttemptLine) -> None:
    kind, message = _kind_and_message(attempt)
    retried = ET.SubElement(case, tag, type=kind, message=one_line(message))
    _text(retried, "stackTrace", _story(attempt))


def _kind_and_message(attempt: AttemptLine) -> tuple[str, str]:
    if attempt.failure is None:
        return "unknown", str(attempt.verdict)
    return attempt.failure.kind, attempt.failure.message


def _story(attempt: AttemptLine) -> str:
    memory = sentence(attempt.memory) if attempt.out_of_memory and attempt.memory else ""
    told = {"memory: ": memory, "": attempt.log_tail or "", "log: ": attempt.log or ""}
    parts = [_kind_and_message(attempt)[1], *(f"{title}{text}" for title, text in told.items() if text)]
    return "\n\n".join(part for part in (clean(part).strip("\n") for part in parts) if part)


def _out(line: SlotLine, project: str) -> list[str]:
    """What GitLab and Jenkins show beside the testcase; ``[[ATTACHMENT|…]]`` must stand on a line of its own."""
    tries = [f"attempt {attempt.n}: {attempt.verdict or 'still open'} ({attempt.id})" for attempt in line.attempts]
    note = [f"note: {line.note}"] if line.note else []
    paths = [_relative(artifact.path, project) for attempt in line.attempts for artifact in attempt.artifacts]
    return [*tries, *note, *(f"[[ATTACHMENT|{flat(path)}]]" for path in paths if path)]


def _relative(path: str, project: str) -> str:
    """Below the project relative to it, with ``/`` on every system: CI resolves attachments from its checkout."""
    full = PurePath(path)
    return (full.relative_to(project) if full.is_relative_to(project) else full).as_posix()


def _text(parent: ET.Element, tag: str, text: str) -> None:
    if text.strip():
        ET.SubElement(parent, tag).text = clean(text)


def _count(root: ET.Element, suite: ET.Element) -> None:
    """Counts of the elements really written, so that no reader finds other sums."""
    cases = suite.findall("testcase")
    found = {tag: str(sum(case.find(tag) is not None for case in cases)) for tag in ("failure", "error", "skipped")}
    counts = {"tests": str(len(cases)), "failures": found["failure"], "errors": found["error"]}
    time = _time(sum(float(case.get("time", 0)) for case in cases))
    for element in (root, suite):
        for name, value in {**counts, "time": time}.items():
            element.set(name, value)
    suite.set("skipped", found["skipped"])


def _time(seconds: float | None) -> str:
    return f"{max(0.0, seconds or 0.0):.3f}"
