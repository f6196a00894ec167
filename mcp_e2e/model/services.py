"""Services under test and the sessions that keep them alive."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from mcp_e2e.model.jobs import ProcessIdentity, RestartPolicy


@dataclass(frozen=True)
class ServiceSpec:
    """One service with every placeholder filled in: what to start and where it will answer.

    ``url`` is its address for tests. ``hash`` covers what the process was started with (argv, cwd, names and hashed
    values of env, port), so a changed configuration is noticed without storing a secret.
    """

    name: str
    kind: str
    argv: tuple[str, ...]  # empty: attached only, never started by us
    cwd: Path
    port: int
    url: str
    outputs: Path  # the folder {outputs} stands for
    hash: str
    stop_grace_s: float = 10.0
    slow_after_s: float = 120.0
    restart: RestartPolicy = field(default_factory=RestartPolicy)

    @property
    def attached(self) -> bool:
        return not self.argv


@dataclass(frozen=True)
class Device:
    name: str
    vram_total: int
    vram_free: int


@dataclass(frozen=True)
class Health:
    """What one look at a service showed. ``answering``: it gave the answer that its kind calls ready."""

    answering: bool
    stage: str  # a few words: "port closed", "importing", "ready"
    detail: str | None = None  # why not, in a sentence
    version: str | None = None
    device: Device | None = None
    argv: tuple[str, ...] | None = None  # what the answering server says it was started with


@dataclass(frozen=True)
class Boot:
    """What the log of one generation has told of its start so far."""

    stage: str | None = None  # as in Health; None: nothing of it was recognised
    failed: tuple[str, ...] = ()  # parts that could not be loaded, "name: why"
    port: int | None = None  # where it says that it listens
    over: bool = False  # what comes now is no part of the start
    rest: str = ""  # a line whose end is not written yet


@dataclass(frozen=True)
class Adopted:
    """A process that somebody else started and that is provably a service of ours; it is never stopped by us."""

    process: ProcessIdentity
    said: str  # a hash of what its server says it was started with: that may hold secrets
    started_at: float  # the process
    differs: tuple[str, ...] = ()  # flags in which it is not what the configuration would start


class SessionState(StrEnum):
    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"  # was ready, does not answer now
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True)
class Session:
    """One service as it stands now: keeper's facts and one probe put together."""

    service: str
    kind: str
    state: SessionState
    stage: str
    generation: int
    url: str | None = None
    job: str | None = None
    pid: int | None = None
    slow: bool = False
    attached: bool = False  # not ours: by url, or adopted
    adopted: bool = False
    differs: tuple[str, ...] = ()  # adopted: flags in which it is not what the configuration would start
    failed_nodes: tuple[str, ...] = ()  # "name: why"
    ends_with_client: bool = False  # Windows: the client's job object did not let it go
    config_changed: bool = False
    health: Health | None = None
    since: float | None = None  # when the session began; its generations begin at started_at
    started_at: float | None = None
    ready_at: float | None = None
    ready_after_s: float | None = None
    outputs: Path | None = None
    log: Path | None = None
    log_offset: int = 0
    cause: str | None = None  # failed, restarted, or somebody else's answer: why, in a sentence
