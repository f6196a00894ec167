"""The shape of ``mcp-e2e.toml``: every table, key, type, default and the rules between keys.

Times are seconds. Paths are text as written; ``Loaded.folder`` resolves them against the project folder.
"""

from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from mcp_e2e.settings.faults import Fault, reject
from mcp_e2e.settings.services import EnvName, Name, ReadyConfig, Seconds, ServiceConfig, Table, Text
from mcp_e2e.settings.tests import TestConfig

__all__ = [
    "BreakerConfig",
    "ExecConfig",
    "GuardConfig",
    "ProjectConfig",
    "ReadyConfig",
    "RunConfig",
    "ServiceConfig",
    "Settings",
    "TestConfig",
    "json_schema",
]


class ProjectConfig(Table):
    """What belongs to the project as a whole."""

    state_dir: Text = Field(
        default=".mcp-e2e",
        description="Folder of runs, jobs, incidents and reports, relative to the project. Local disk only.",
    )
    golden_dir: Text = Field(
        default="golden", description="Folder of the accepted images, to be committed; relative to the project."
    )


class RunConfig(Table):
    """Limits of one run."""

    max_attempts_without_checkpoint: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=2, description="Red attempts of one slot on one unchanged world before a checkpoint is asked for."
    )


class BreakerConfig(Table):
    """When the breaker opens; only a person closes it."""

    consecutive_failures: Annotated[int, Field(ge=1, le=10)] = Field(
        default=3, description="Red attempts in a row, edits between or not, that open the breaker."
    )
    elicitation: bool = Field(
        default=False,
        description="true: the client may ask its user to clear an incident. Only where no program answers for people.",
    )


class GuardConfig(Table):
    """How repeated calls are judged."""

    mode: Literal["enforce", "observe"] = Field(
        default="enforce", description="observe: judge and log, refuse nothing but what the open breaker refuses."
    )
    watch: list[Text] = Field(default=[], description="More folders that count as the world, relative to the project.")


class ExecConfig(Table):
    """Isolation and limits of commands: safe_exec's, and those of tests but for ``policy`` and ``timeout_s``."""

    sandbox: Literal["auto", "required", "off"] = Field(
        default="auto", description="auto: the best this system offers; required: refuse to run without; off: none."
    )
    timeout_s: Seconds = Field(default=600.0, description="Seconds a command may run unless the call says otherwise.")
    policy: Literal["confirm", "refuse", "off"] = Field(
        default="confirm",
        description="Commands that may destroy what cannot be got back: ask for confirm=true, refuse, or run them.",
    )
    memory_mb: Annotated[int, Field(ge=1, le=100_000_000)] | None = Field(
        default=None, description="Memory of a command's whole tree, in MiB; beyond it the tree is ended."
    )
    processes: Annotated[int, Field(ge=1, le=4_000_000)] = Field(
        default=2000, description="Processes a command's tree may have at once; beyond it the tree is ended."
    )
    file_mb: Annotated[int, Field(ge=1, le=100_000_000)] | None = Field(
        default=None, description="Size in MiB of any one file a command may write."
    )
    env_allow: list[EnvName] | None = Field(
        default=None, description="Names of variables a command inherits; unset: a sensible set for this system."
    )


class Settings(Table):
    """The whole file. The first service is the default one."""

    project: ProjectConfig = Field(default=ProjectConfig(), description="The project as a whole.")
    services: dict[Name, ServiceConfig] = Field(
        default={}, description="Programs under test; the first is the default."
    )
    tests: list[TestConfig] = Field(default=[], description="The tests, in the order a plan takes them.")
    run: RunConfig = Field(default=RunConfig(), description="When a run asks for a checkpoint.")
    breaker: BreakerConfig = Field(default=BreakerConfig(), description="When the breaker opens.")
    guard: GuardConfig = Field(default=GuardConfig(), description="How strictly repeated calls are judged.")
    exec: ExecConfig = Field(default=ExecConfig(), description="Commands run through safe_exec.")

    def test(self, test_id: str) -> TestConfig | None:
        """The test with that id."""
        return next((test for test in self.tests if test.id == test_id), None)

    def service_of(self, test: TestConfig) -> str | None:
        """Name of the service a test runs against; None for a command test where no service is configured."""
        return test.service or next(iter(self.services), None)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        reject([*self._repeated_ids(), *self._service_faults()])
        return self

    def _repeated_ids(self) -> Iterator[Fault]:
        counts = Counter(test.id for test in self.tests)
        seen: set[str] = set()
        for at, test in enumerate(self.tests):
            if test.id in seen:
                problem = f"{counts[test.id]} tests have the id '{test.id}'"
                yield Fault(("tests", at, "id"), problem, "Give each test its own id.")
            seen.add(test.id)

    def _service_faults(self) -> Iterator[Fault]:
        for at, test in enumerate(self.tests):
            name = self.service_of(test)
            if name is not None and name not in self.services:
                yield Fault(("tests", at, "service"), f"there is no service '{name}'", self._choose(name))
            elif test.workflow is not None and (name is None or self.services[name].kind != "comfyui"):
                problem = f"workflow test '{test.id}' needs a comfyui service"
                problem += f", and '{name}' is of kind {self.services[name].kind}" if name else "; none is configured"
                yield Fault(("tests", at, "service" if test.service else "workflow"), problem, self._comfyui())

    def _choose(self, name: str) -> str:
        near = get_close_matches(name, self.services, 1)
        known = ", ".join(self.services)
        if near:
            return f"Did you mean '{near[0]}'?"
        return f"Use one of: {known}." if known else f"Add a [services.{name}] table."

    def _comfyui(self) -> str:
        names = [name for name, service in self.services.items() if service.kind == "comfyui"]
        return f"Write service = '{names[0]}'." if names else "Add a service with kind = 'comfyui'."


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the file, for ``config schema`` and editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema()}
