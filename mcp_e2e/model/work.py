"""What a service was asked to do and what it was seen to do: readiness, prompts, output files, artifacts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, NamedTuple


@dataclass(frozen=True)
class Ready:
    """What counts as ready for a service. Nothing set: its port accepts connections (``comfyui`` has its own rule)."""

    http: str | None = None  # a path, e.g. "/healthz": ready when the status is below 500 and not 404
    tcp: bool = False
    log: str | None = None  # regular expression
    exec: tuple[str, ...] = ()


class PromptState(StrEnum):
    """Where a prompt stands on its server."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"  # it has a history entry: success, error or interrupted
    UNKNOWN = "unknown"  # never arrived, was dequeued, or the server has restarted since


@dataclass(frozen=True)
class Queue:
    """The server's one queue, all clients together; ``pending`` is in the order in which it will run."""

    running: tuple[str, ...]
    pending: tuple[str, ...]

    def ahead(self, prompt_id: str) -> int:
        """How many prompts run before this one; 0 when it runs or is not queued."""
        return self.pending.index(prompt_id) + len(self.running) if prompt_id in self.pending else 0


@dataclass(frozen=True)
class Pulse:
    """Signs of life of a process: ids of its threads, and seconds of CPU time spent so far."""

    threads: frozenset[int]
    cpu_s: float


@dataclass(frozen=True)
class OutputFile:
    """One file that a node reported, as the server names it; ``type`` is output, temp or input."""

    node: str
    filename: str
    subfolder: str
    type: str


@dataclass(frozen=True)
class NodeText:
    """What a node showed as text."""

    node: str
    text: str


@dataclass(frozen=True)
class NodeError:
    """The node that raised and what it raised; ``traceback`` is the end of it, newest call last.

    ``inputs`` are its values as short text, ``from node 3 (VAELoader)`` where one is linked. ``custom_node``: the
    folder or file below ``custom_nodes`` whose code raised.
    """

    node: str
    node_class: str
    exception: str
    message: str
    traceback: str = ""
    title: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    custom_node: str | None = None


@dataclass(frozen=True)
class PromptFacts:
    """How a prompt ended, from its history entry. Times are the server's clock in ms since the epoch.

    ``executed`` on success: the nodes its outputs need that did not come from the cache (a lazy branch that was never
    asked for is counted too). Otherwise: what the server listed as finished.
    """

    prompt_id: str
    status: Literal["success", "error", "interrupted"]
    executed: tuple[str, ...]
    cached: tuple[str, ...]
    outputs: tuple[OutputFile, ...] = ()
    texts: tuple[NodeText, ...] = ()
    output_nodes: tuple[str, ...] = ()
    error: NodeError | None = None
    started_ms: int | None = None
    ended_ms: int | None = None

    @property
    def from_cache(self) -> bool:
        """It ended well but no output node ran: every file it names is from an earlier prompt."""
        return self.status == "success" and not set(self.output_nodes) - set(self.cached)

    @property
    def fresh_outputs(self) -> tuple[OutputFile, ...]:
        """The files of output nodes that really ran this time."""
        return tuple(file for file in self.outputs if file.node not in self.cached)

    @property
    def saved(self) -> tuple[OutputFile, ...]:
        """The files a workflow is judged by: previews count only where nothing is saved."""
        return tuple(file for file in self.fresh_outputs if file.type == "output") or self.fresh_outputs

    @property
    def fresh_texts(self) -> tuple[NodeText, ...]:
        return tuple(text for text in self.texts if text.node not in self.cached)


@dataclass(frozen=True)
class ImageFacts:
    """Pixels, first frame. ``blank``: all one colour or wholly transparent; None: too large to decode here."""

    width: int
    height: int
    blank: bool | None


@dataclass(frozen=True)
class Artifact:
    """One collected file; ``name`` is unique within its attempt, ``path`` absolute.

    ``image``: None where Pillow cannot read one. ``content``: equal for equal pixels or text, whatever else the file
    holds; None where that cannot be told. ``key``: the node and which of its files, ``9-1``; empty for a text.
    """

    name: str
    path: Path
    sha256: str
    bytes: int
    content_type: str
    image: ImageFacts | None = None
    content: str | None = None
    key: str = ""

    @property
    def kind(self) -> str:
        """``image``, ``video``, ``audio``, ``text``, ``model`` (3D), or another first half of a media type."""
        return self.content_type.partition("/")[0]


@dataclass(frozen=True)
class LeftOut:
    """A listed file that was not brought home because of our own limits; ``why`` is a few words."""

    name: str
    content_type: str
    why: str


@dataclass(frozen=True)
class Collected:
    """What was brought home from a prompt, and one sentence for every listed file that could not be."""

    artifacts: tuple[Artifact, ...]
    problems: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """An image beside the accepted one: ``difference`` is 1 - SSIM, or ``problem`` says why there is none.

    ``picture``: a file that shows both; None where they are alike or cannot be shown.
    """

    image: str
    golden: str
    difference: float | None
    problem: str | None = None
    picture: Path | None = None


RAM = "RAM"


class Usage(NamedTuple):
    """One memory of a server's machine at one moment, in MiB; a tuple, so that JSON keeps it as a list.

    ``name`` is ``RAM`` or the device as the server names it; ``used`` counts every program, ``torch`` the server's own.
    """

    name: str
    total: int
    used: int
    torch: int | None = None


MemorySample = tuple[Usage, ...]
"""What one look told: RAM first, then each device with memory of its own; empty when nothing was told."""
