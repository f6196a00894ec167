"""What each tool may be given. Closed and strict: nothing is guessed or converted, a wrong call runs nothing.

The descriptions are what an agent reads in ``tools/list``. What an argument *means* is judged by the use-cases.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

MAX_WAIT_S = 300


def _whole(value: Any) -> Any:
    """3.0 is 3: JSON knows one kind of number, and the schema's "integer" admits both spellings."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
Text = Annotated[str, Field(min_length=1)]
Seconds = Annotated[float, Field(gt=0, description="Time limit, in seconds.")]
Wait = Annotated[float, Field(ge=0, le=MAX_WAIT_S, description="Seconds to wait; default 45, in some editors 240.")]


class Arguments(BaseModel):
    """A closed set of arguments; an optional one may be left out or null."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Nothing(Arguments):
    """For tools that take no arguments."""


class StartSession(Arguments):
    service: Text | None = Field(None, description="Its name; default: the first one.")
    wait_seconds: Wait | None = None


class StopSession(Arguments):
    service: Text | None = Field(None, description="Its name; default: the first one.")


class PlanRun(Arguments):
    tests: Annotated[list[Text], Field(min_length=1)] | None = Field(
        None, description="Test ids or globs, in order; default: all."
    )
    count: Annotated[int, Field(ge=1, le=500), WHOLE] | None = Field(
        None, description="Slots, cycling through tests; default: one per test."
    )
    mode: Literal["strict", "survey"] = Field("strict", description="survey: run all, however many fail.")
    new: bool = Field(False, description="true: drop the unfinished run; needs reason.")
    reason: Text | None = Field(None, description="Why the unfinished run is dropped.")

    @model_validator(mode="after")
    def _reasoned(self) -> Self:
        if self.new and self.reason is None:
            raise PydanticCustomError("rule", "new=true needs a reason")
        return self


class RunTest(Arguments):
    test: Text | None = Field(None, description="Test id; default: the one due.")
    params: dict[str, str | int | float | bool] | None = Field(
        None, description="Values that select the work, e.g. seed or 3.inputs.seed."
    )
    checkpoint: bool = Field(False, description="true: record the observed verdict and move on.")
    timeout_s: Seconds | None = None
    wait_seconds: Wait | None = None


class Checkpoint(Arguments):
    result: Text = Field(description="success, failure or skipped (a verdict word works too).")
    note: Text | None = Field(None, description="What you learned; kept with the run.")
    test: Text | None = Field(None, description="Test id; default: the one due.")


class Report(Arguments):
    run: Text | None = Field(None, description="Run id, or list; default: the latest.")
    format: Literal["summary", "markdown", "json", "junit"] = "summary"


class SafeExec(Arguments):
    command: Text | None = Field(None, description="One shell line; or give argv.")
    argv: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="Program and arguments, no shell; or give command."
    )
    cwd: Text | None = Field(None, description="Folder; default: the project.")
    env: dict[str, str] | None = Field(None, description="Variables to add.")
    confirm: bool = Field(False, description="true: the user agreed to it.")
    timeout_s: Seconds | None = None
    wait_seconds: (
        Annotated[float, Field(ge=0, le=MAX_WAIT_S, description="Seconds to wait; 0: run in the background.")] | None
    ) = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.command is None) == (self.argv is None):
            have = "both command and argv" if self.argv else "neither command nor argv"
            raise PydanticCustomError(
                "rule", "safe_exec needs exactly one of command and argv, not {have}", {"have": have}
            )
        return self


class Job(Arguments):
    action: Literal["list", "wait", "output", "cancel"] = "list"
    id: Text | None = Field(None, description="A job, attempt or service; needed unless action is list.")
    offset: Annotated[int, Field(ge=0), WHOLE] | None = Field(None, description="output: start at this byte.")
    grep: Text | None = Field(None, description="output: only lines matching this regex.")
    wait_seconds: Wait | None = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.action != "list" and self.id is None:
            raise PydanticCustomError("rule", "action={action} needs an id", {"action": self.action})
        return self
