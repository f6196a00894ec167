"""Where a recorded history stands in its plan: which test is due, and whose verdict will be the first of its slot.

Live, the store knows; of a recorded history only calls and results are known.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_e2e.decisions.likeness import written
from mcp_e2e.decisions.schedule import slots_for
from mcp_e2e.decisions.tools import RED, UNDER_WAY


@dataclass
class Course:
    """``open_slots``: how many slots of each test have no verdict yet; under ``""`` where the plan did not name tests.

    A pass moves on by itself: histories of older clients have no checkpoint after each.
    """

    plan: str = ""
    order: list[str] = field(default_factory=list)  # the tests of the slots that are left, as far as they are known
    open_slots: Counter[str] = field(default_factory=Counter)
    survey: bool = False
    survey_reds: int = 0
    named: str = ""  # the test that next_test has named for now
    remaining: int | None = None  # as next_test has told
    judged: list[str] = field(default_factory=list)  # tests with a verdict that is still to be recorded

    def due(self) -> str:
        """The test of a run_test that names none; empty when the history does not tell."""
        if self.judged:
            return self.judged[-1]
        return self.named or (self.order[0] if self.order else "")

    def plans(self, test: str) -> bool:
        """Whether a verdict on ``test`` would be the first one of a planned slot."""
        return test not in self.judged and (self.open_slots[test] > 0 or self.open_slots[""] > 0)

    def planned(self, args: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        """A plan was made, or the unfinished one is gone on with."""
        plan = written([args.get("tests"), args.get("count"), result.get("digest")])
        if not self.over and plan == self.plan and not args.get("new"):
            return
        names = [str(name) for name in args.get("tests") or ()]
        told = result.get("count") or args.get("count") or len(names)
        count = told if isinstance(told, int) else len(names)
        known = bool(names) and not any(set("*?[") & set(name) for name in names)
        self.drop()
        self.plan, self.survey, self.survey_reds = plan, args.get("mode") == "survey", 0
        self.order = slots_for(names, count) if known else []
        self.open_slots = Counter(self.order) if known else Counter({"": count})

    def drop(self) -> None:
        self.open_slots, self.order, self.judged = Counter(), [], []
        self.named, self.remaining = "", None

    def looked(self, result: Mapping[str, Any]) -> None:
        """next_test names the slot that is due; where fewer remain than before, the one before has been recorded."""
        self.named = str(result.get("test") or "")
        remaining = result.get("remaining")
        if not isinstance(remaining, int):
            return
        if self.remaining is None or remaining < self.remaining:
            if self.over:  # planned before this history begins
                self.open_slots[""] = 1
            if self.remaining is not None and self.named in self.judged:
                self.judged.remove(self.named)
        elif self.named and self.named not in self.judged and self.plan == "":
            self.judged.append(self.named)
        self.remaining = remaining

    def verdict(self, test: str, outcome: str, *, recorded: bool) -> None:
        if self.plans(test):
            self.open_slots[test if self.open_slots[test] else ""] -= 1
            if test in self.order:
                self.order.remove(test)
        self.survey_reds += outcome in RED
        self.named = ""
        if test in self.judged:
            self.judged.remove(test)
        if not recorded and outcome != "pass":
            self.judged.append(test)

    def recorded(self, test: str | None, *, skipped: bool) -> None:
        """A checkpoint: of ``test``, else of the latest verdict; one that skips a slot without any takes it away."""
        self.named = ""
        if test in self.judged:
            self.judged.remove(test)
        elif self.judged and test is None:
            self.judged.pop()
        elif skipped:
            gone = test or (self.order[0] if self.order else "")
            self.open_slots[gone if self.open_slots[gone] else ""] -= 1
            if gone in self.order:
                self.order.remove(gone)

    @property
    def over(self) -> bool:
        return not self.judged and not any(left > 0 for left in self.open_slots.values())


def under_way(result: Mapping[str, Any] | None) -> bool | None:
    """Whether a result says that work goes on; None when it does not speak of it."""
    said = (result or {}).get("state") or (result or {}).get("status")
    return None if said is None else str(said).lower() in UNDER_WAY
