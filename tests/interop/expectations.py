"""Judges what the conformance suite saw by ``expected-failures.toml``, both ways. Pure, but for reading that file.

A scenario passes when each of its checks does and at least one of them met something of this server. One that only
met the answer "there is no tool of that name", or whose checks were all skipped, passes vacuously: it has to be
listed as such, and is not counted.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.interop.outcome import EXPECTED, FAILED, PASSED, VACUOUS, Outcome

FILE = Path(__file__).with_name("expected-failures.toml")
WIRE = "wire-schema-valid"  # a check that every scenario has; it says nothing about what the scenario is for
_BAD = ("FAILURE", "WARNING")


@dataclass(frozen=True)
class Check:
    """What the suite said of one requirement; ``hollow``: all it met was that there is no tool of that name."""

    id: str
    status: str  # SUCCESS, FAILURE, WARNING, SKIPPED or INFO
    said: str = ""
    hollow: bool = False

    @property
    def real(self) -> bool:
        return self.status == "SUCCESS" and self.id != WIRE and not self.hollow


Scenarios = Mapping[str, Sequence[Check]]


@dataclass(frozen=True)
class Expectations:
    """Why something fails or passes vacuously, by ``scenario``, or ``scenario:check`` where other checks pass."""

    fails: Mapping[str, str]
    vacuous: Mapping[str, str]

    @classmethod
    def read(cls, text: str) -> "Expectations":
        """Raises ValueError for anything but two tables of reasons."""
        tables = tomllib.loads(text)
        if set(tables) != {"fails", "vacuous"}:
            raise ValueError(f"{FILE.name} has the tables [fails] and [vacuous], not {sorted(tables)}")
        for table in tables.values():
            for name, why in table.items():
                if not isinstance(why, str) or not why.strip():
                    raise ValueError(f"{FILE.name}: {name} needs a reason")
        return cls(tables["fails"], tables["vacuous"])

    def judge(self, scenario: str, checks: Sequence[Check]) -> Outcome:
        """One scenario of one run of the suite."""
        problems = [*self._unexpected(scenario, checks), *self._stale(scenario, checks)]
        if problems:
            return Outcome(scenario, FAILED, "; ".join(problems))
        real = sum(check.real for check in checks)
        if scenario in self.vacuous:
            return Outcome(scenario, VACUOUS, self.vacuous[scenario])
        if scenario in self.fails:
            return Outcome(scenario, EXPECTED, self.fails[scenario])
        reasons = dict.fromkeys(why for name, why in self.fails.items() if name.startswith(f"{scenario}:"))
        if reasons:
            return Outcome(scenario, EXPECTED, f"{', '.join(reasons)}; checks that pass: {real}")
        return Outcome(scenario, PASSED)

    def never_run(self, runs: Sequence[Scenarios]) -> Iterator[Outcome]:
        """An entry whose scenario or check no run of the suite had."""
        known = {name for run in runs for name in run}
        known |= {f"{name}:{check.id}" for run in runs for name, checks in run.items() for check in checks}
        for name in [*self.fails, *self.vacuous]:
            if name not in known:
                yield Outcome(name, FAILED, f"listed in {FILE.name}, but the suite has no such scenario or check")

    def _unexpected(self, scenario: str, checks: Sequence[Check]) -> Iterator[str]:
        for check in checks:
            covered = f"{scenario}:{check.id}" in self.fails or (scenario in self.fails and check.id != WIRE)
            if check.status in _BAD and not covered:
                yield f"{check.id} {check.status}: {check.said}"
        bad = any(check.status in _BAD for check in checks)
        if not bad and not any(check.real for check in checks) and scenario not in self.vacuous:
            yield f"passes without having met anything of this server, and is not listed so in {FILE.name}"

    def _stale(self, scenario: str, checks: Sequence[Check]) -> Iterator[str]:
        if scenario in self.fails and not any(check.status in _BAD for check in checks):
            yield f"passes; strike it from {FILE.name}"
        elif scenario in self.fails and any(check.real for check in checks):
            yield f"{', '.join(c.id for c in checks if c.real)} passes; list the failing checks of it one by one"
        if scenario in self.vacuous and any(check.real for check in checks):
            yield f"passes in earnest; strike it from [vacuous] in {FILE.name}"
        for check in checks:
            if f"{scenario}:{check.id}" in self.fails and check.status not in _BAD:
                yield f"{check.id} is {check.status}; strike it from {FILE.name}"
