"""The protocol's conformance suite against ``mcp-e2e serve --http``: two versions of it, both eras, extensions."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.interop import packages
from tests.interop.expectations import FILE, Check, Expectations, Scenarios
from tests.interop.outcome import FAILED, Outcome, judged
from tests.interop.server import HttpServer, environment, make_project

TIMEOUT_S = 180
NO_SUCH_TOOL = "There is no tool '"
_LISTED = re.compile(r"^  - (\S+) \[(.*)\]$", re.MULTILINE)
_RESULTS = re.compile(r"server-(?P<scenario>.+)-\d{4}-\d\d-\d\dT[\d-]+Z")


@dataclass(frozen=True)
class Suite:
    """One run: all scenarios for the version ``wire`` of the protocol, or of ``""``, those that belong to none."""

    version: str
    wire: str

    @property
    def title(self) -> str:
        return f"conformance {self.version}, {self.wire or 'extensions'}"


SUITES = [
    Suite("0.1.16", "2025-11-25"),
    Suite("0.2.0-alpha.12", "2025-11-25"),
    Suite("0.2.0-alpha.12", "2026-07-28"),
    Suite("0.2.0-alpha.12", ""),
]


def over_http(scratch: Path) -> Iterator[Outcome]:
    """Every scenario of every run, judged by the expectations, and then these by what ran."""
    expectations = Expectations.read(FILE.read_text("utf-8"))
    server = HttpServer(make_project(scratch / "conformance", hello="print('hello')"), auth=False)
    runs: list[Scenarios] = []
    with server.running() as endpoint:
        for suite in SUITES:
            wanted = _listed(suite, server.project)
            had = _run(suite, endpoint.url, server.project)
            runs.append({name: had[name] for name in wanted if name in had})
            for name in wanted:
                told = expectations.judge(name, had[name]) if name in had else Outcome(name, FAILED, "did not run")
                yield Outcome(f"{suite.title}: {told.title}", told.kind, told.said)
    missing = list(expectations.never_run(runs))
    yield from missing or [judged(f"every entry of {FILE.name} is of a scenario that ran", None)]
    yield server.end("conformance")


def _listed(suite: Suite, project: Path) -> list[str]:
    """The scenarios that a run has to have. RuntimeError when the suite names none."""
    told = _suite(suite, ["list", "--server"], project).stdout
    wanted = suite.wire or "extension"
    names = [name for name, wires in _LISTED.findall(told) if wanted in wires.split(",")]
    if not names:
        raise RuntimeError(f"{suite.title} lists no scenarios: {told[-300:]}")
    return names


def _run(suite: Suite, url: str, project: Path) -> Scenarios:
    results = project.with_name(f"results-{suite.version}-{suite.wire or 'extensions'}")
    words = ["server", "--url", url, "--suite", "all", "-o", str(results)]
    _suite(suite, [*words, "--spec-version", suite.wire] if suite.wire else words, project)
    return {
        found["scenario"]: [_check(told) for told in json.loads((folder / "checks.json").read_text("utf-8"))]
        for folder in results.iterdir()
        if (found := _RESULTS.fullmatch(folder.name)) and (folder / "checks.json").exists()
    }


def _check(told: dict[str, object]) -> Check:
    hollow = NO_SUCH_TOOL in json.dumps(told.get("details"), ensure_ascii=False)
    return Check(str(told["id"]), str(told["status"]), str(told.get("errorMessage", ""))[:400], hollow)


def _suite(suite: Suite, words: list[str], project: Path) -> subprocess.CompletedProcess[str]:
    """Its exit code is 1 as soon as anything fails, expected or not: what counts is what it wrote."""
    return subprocess.run(
        [*packages.conformance(suite.version), *words],
        check=False,
        env=environment(project),
        cwd=project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
    )
