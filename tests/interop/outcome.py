"""What one check came to: a line on the screen and one in the count."""

from dataclasses import dataclass

PASSED, FAILED, EXPECTED, VACUOUS = "ok", "FAIL", "expected", "vacuous"


@dataclass(frozen=True)
class Outcome:
    """``kind`` is one of the four words above; ``said`` is what is wrong, or why it is no pass."""

    title: str
    kind: str = PASSED
    said: str = ""

    def __str__(self) -> str:
        said = " ".join(self.said.split())  # one line, whatever was said
        return f"{self.kind:8} {self.title}{f': {said}' if said else ''}"


def judged(title: str, problem: str | None) -> Outcome:
    """A check that passed unless there is a problem."""
    return Outcome(title, FAILED, problem) if problem else Outcome(title)
