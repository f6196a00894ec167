"""``expect``: what a workflow's outputs must be to pass; every key is optional, and all that are set must hold."""

from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from mcp_e2e.settings.faults import Fault, reject
from mcp_e2e.settings.services import Argv, Seconds, Table, Text

Side = Annotated[int, Field(ge=1, le=100_000)]
Count = Annotated[int, Field(ge=0, le=100_000)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class ExpectConfig(Table):
    """What the outputs of a workflow must be. Without any key: at least one, none empty, no image damaged."""

    files: Count | None = Field(default=None, description="How many outputs of any kind.")
    images: Count | None = Field(default=None, description="How many images.")
    videos: Count | None = Field(default=None, description="How many videos.")
    audios: Count | None = Field(default=None, description="How many audio files.")
    texts: Count | None = Field(default=None, description="How many texts, shown by a node or saved.")
    models3d: Count | None = Field(default=None, description="How many 3D models.")
    min_bytes: Annotated[int, Field(ge=1)] | None = Field(default=None, description="Smallest size of each file.")
    width: Side | None = Field(default=None, description="Exact width of each image, pixels.")
    height: Side | None = Field(default=None, description="Exact height of each image, pixels.")
    min_width: Side | None = Field(default=None, description="Smallest width of each image, pixels.")
    min_height: Side | None = Field(default=None, description="Smallest height of each image, pixels.")
    max_width: Side | None = Field(default=None, description="Largest width of each image, pixels.")
    max_height: Side | None = Field(default=None, description="Largest height of each image, pixels.")
    not_blank: bool = Field(default=False, description="true: an image of one single colour fails.")
    different: bool = Field(
        default=False,
        description="true: an image or text that equals one of the test's previous passed attempt fails.",
    )
    similar_to: Text | None = Field(
        default=None, description="An image file that each image must look like, relative to the project."
    )
    golden: bool = Field(
        default=False, description="true: each image must look like the one that `mcp-e2e golden accept` has kept."
    )
    tolerance: Share = Field(
        default=0.05, description="Largest difference for similar_to and golden: 1 - SSIM, 0 = equal, 1 = unrelated."
    )
    max_seconds: Seconds | None = Field(default=None, description="Longest duration of the attempt itself.")
    command: Argv | None = Field(
        default=None, description="Program that judges the files in MCP_E2E_OUTPUT_DIR; exit code 0 = good."
    )
    command_timeout_s: Seconds = Field(default=60.0, description="Seconds that command may take.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        reject(self._faults())
        return self

    def _faults(self) -> Iterator[Fault]:
        for side in ("width", "height"):
            yield from self._side_faults(side)
        if self.golden and self.similar_to is not None:
            yield Fault(("golden",), "goes not with similar_to", "Keep one of golden and similar_to.")
        if "tolerance" in self.model_fields_set and not (self.golden or self.similar_to):
            yield Fault(("tolerance",), "has nothing to compare with", "Add golden = true, or similar_to = a file.")
        if self.command is not None and not self.command[0]:
            yield Fault(("command", 0), "the program is empty", "Name the program first, then its arguments.")
        if "command_timeout_s" in self.model_fields_set and self.command is None:
            yield Fault(("command_timeout_s",), "there is no command", "Add command, or delete command_timeout_s.")

    def _side_faults(self, side: str) -> Iterator[Fault]:
        exact, least, most = getattr(self, side), getattr(self, f"min_{side}"), getattr(self, f"max_{side}")
        if exact is not None and (least is not None or most is not None):
            yield Fault((side,), f"goes not with min_{side} and max_{side}", f"Keep {side}, or the limits.")
        if least is not None and most is not None and least > most:
            yield Fault((f"min_{side}",), f"is more than max_{side}", "Exchange the two.")


def wishes(expect: ExpectConfig) -> dict[str, Any]:
    """The keys that ask for something, as JSON values; what is compared with brings its tolerance along."""
    asked = expect.model_dump(exclude_none=True, exclude={"tolerance", "command_timeout_s"})
    kept = {key: value for key, value in asked.items() if value is not False}
    compares = expect.golden or expect.similar_to is not None
    return kept | ({"tolerance": expect.tolerance} if compares else {})
