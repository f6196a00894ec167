"""Where a recorded history stands in its plan: which test is due, and whose verdict will be the first of its slot.

Live, the store knows; of a recorded history only calls and results are known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_e2e.decisions.likeness import written
from mcp_e2e.decisions.tools import RED, UNDER_WAY


@dataclass
class Course:
    left: int = 0
    plan: str = ""
    tests: tuple[str, ...] = ()
    survey: bool = False
    survey_reds: int = 0
    survey_passes: int = 0
    named: str = ""  # the test that next_test has named for now
    judged: list[str] = field(default_factory=list)  # tests with a verdict that no checkpoint has recorded yet

    def due(self) -> str:
        """The test of a run_test that names none; empty when the history does not tell."""
        if self.judged:
            return self.judged[-1]
        if self.named:
            return self.named
        return self.tests[-self.left % len(self.tests)] if self.tests and self.left else ""

    def plans(self, test: str) -> bool:
        """Whether a verdict on ``test`` would be the first one of a planned slot."""
        known = not self.tests or test in self.tests
        return self.left > 0 and known and test not in self.judged

    def planned(self, args: Mapping[str, Any], result: Mapping[str, Any]) -> bool:
        """A plan was made; False when it only resumed the one there is."""
        plan = written([args.get("tests"), args.get("count"), result.get("digest")])
        if self.left and plan == self.plan and not args.get("new"):
            return False
        names = [str(name) for name in args.get("tests") or ()]
        count = result.get("count") or args.get("count") or len(names)
        self.plan, self.left = plan, count if isinstance(count, int) else len(names)
        self.tests = () if any(set("*?[") & set(name) for name in names) else tuple(names)
        self.survey = args.get("mode") == "survey"
        self.survey_reds = self.survey_passes = 0
        self.named, self.judged = "", []
        return True

    def verdict(self, test: str, outcome: str, *, recorded: bool) -> None:
        if self.plans(test):
            self.left -= 1
        if outcome in RED:
            self.survey_reds += 1
        else:
            self.survey_passes += 1
        self.named = ""
        if test in self.judged:
            self.judged.remove(test)
        if not recorded:
            self.judged.append(test)

    def recorded(self, test: str | None) -> None:
        """A checkpoint: of ``test``, else of the latest verdict, else of a slot that is skipped."""
        if test in self.judged:
            self.judged.remove(test)
        elif self.judged and test is None:
            self.judged.pop()
        elif self.left and not self.judged:
            self.left -= 1
        self.named = ""

    @property
    def over(self) -> bool:
        return self.left == 0 and not self.judged


def under_way(result: Mapping[str, Any] | None) -> bool | None:
    """Whether a result says that work goes on; None when it does not speak of it."""
    said = (result or {}).get("state") or (result or {}).get("status")
    return None if said is None else str(said).lower() in UNDER_WAY
