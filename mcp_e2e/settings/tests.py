"""The ``[[tests]]`` tables: what runs, and against which service."""

from collections.abc import Iterator
from typing import Any, ClassVar, Self

from pydantic import ConfigDict, Field, model_validator

from mcp_e2e.settings.expect import ExpectConfig
from mcp_e2e.settings.faults import Fault, reject
from mcp_e2e.settings.services import Argv, EnvName, EnvValue, Name, Seconds, Table, Text, one_of


class TestConfig(Table):
    """One test: a ComfyUI workflow, or a command whose exit code 0 means passed."""

    model_config = ConfigDict(json_schema_extra=one_of("workflow", "command"))
    __test__: ClassVar[bool] = False  # pytest would take the class for a test case

    id: Name = Field(description="Unique name: letters, digits, dot, underscore, dash.")
    workflow: Text | None = Field(default=None, description="Workflow in ComfyUI's API format, a path in the project.")
    command: Argv | None = Field(default=None, description="Program and arguments; exit code 0 = passed.")
    service: Name | None = Field(default=None, description="Service it runs against; unset: the first one.")
    cwd: Text = Field(
        default=".", description="Folder the command, or that of expect, runs in, relative to the project."
    )
    timeout_s: Seconds = Field(
        default=300.0, description="Seconds of work; counts neither boot, nor queueing, nor time the machine slept."
    )
    env: dict[EnvName, EnvValue] = Field(
        default={},
        repr=False,
        description="Variables for the command, or that of expect. ${NAME} is taken from the environment or .env.",
    )
    may_signal_service: bool = Field(
        default=False, description="true: the command may send signals outside its own tree, e.g. to end the service."
    )
    expect: ExpectConfig | None = Field(default=None, description="What the outputs must be; only with workflow.")

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        return {"expect": {}} | data if isinstance(data, dict) and "workflow" in data else data

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        reject(self._faults())
        return self

    def _faults(self) -> Iterator[Fault]:
        if (self.workflow is None) == (self.command is None):
            have = "both workflow and command" if self.command else "neither workflow nor command"
            yield Fault((), f"has {have}", "Write exactly one of workflow and command.")
        elif self.command is not None and not self.command[0]:
            yield Fault(("command", 0), "the program is empty", "Name the program first, then its arguments.")
        if self.workflow is None and self.expect is not None:
            yield Fault(("expect",), "goes only with workflow", "Delete expect: exit code 0 is what a command says.")
