"""Jobs: supervised process trees, each owned by one keeper."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class RestartPolicy:
    """When a keeper starts a dead service again; a command is never restarted.

    The delay before restart *n* is ``min(backoff_max_s, backoff_first_s * 2**n)``; more than ``max_restarts`` within
    ``window_s`` end the job as ``crash_loop``. Exit codes in ``fatal_codes`` are never tried again.
    """

    mode: Literal["on-failure", "never"] = "never"
    max_restarts: int = 3
    window_s: float = 600.0
    backoff_first_s: float = 0.5
    backoff_max_s: float = 30.0
    fatal_codes: tuple[int, ...] = (125, 126, 127)


@dataclass(frozen=True)
class Confinement:
    """How a command is kept from everything else: ``layers`` to apply, ``read_only`` folders for the ``mounts`` one.

    ``required``: nothing runs when a layer cannot be applied; otherwise what is missing is told in ``Job.layers``.
    """

    layers: tuple[str, ...] = ()
    read_only: tuple[Path, ...] = ()
    required: bool = False


@dataclass(frozen=True)
class ResourceLimits:
    """Of a command's whole tree; beyond one it is ended. None: no limit."""

    memory_bytes: int | None = None
    processes: int | None = None
    file_bytes: int | None = None  # of any one file it writes


@dataclass(frozen=True)
class Readiness:
    """What its keeper knows a service ready by: one of these, looked at without any server.

    A line of its log (regular expression), a program ending with 0, an answer to ``http`` (a path, as it is sent) on
    ``port`` of this machine below 500 and not 404, or, with neither of them, that the port accepts a connection.
    """

    log: str | None = None
    exec: tuple[str, ...] = ()
    http: str | None = None
    port: int | None = None


@dataclass(frozen=True)
class JobSpec:
    """What a keeper is asked to run. ``env`` is all of its environment and travels the start pipe only."""

    id: str
    kind: Literal["command", "service"]
    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)  # what it is for; shown, never secret
    timeout_s: float | None = None  # wall clock on CLOCK_MONOTONIC: time the machine slept is not counted
    stop_grace_s: float = 10.0
    merge_streams: bool = False  # stderr into stdout, in the order written (tests)
    restart: RestartPolicy = RestartPolicy()
    first_generation: int = 1
    confinement: Confinement = Confinement()
    limits: ResourceLimits = ResourceLimits()
    ready: Readiness | None = None  # services
    liveness: Readiness | None = None  # services: by what they are known to answer once ready; three misses end a life
    liveness_every_s: float = 10.0
    log_keep_bytes: int | None = None  # services: older output is given up, offsets stay as they are
    idle_stop_s: float | None = None  # services: seconds without a lease alive in ``leases`` after which it is stopped
    leases: Path | None = None


class JobState(StrEnum):
    """What the lock, the state file and the exit record of a job say together."""

    STARTING = "starting"  # the keeper lives, nothing of the command has run yet
    RUNNING = "running"
    BACKOFF = "backoff"  # dead service, waiting before its next life
    STOPPING = "stopping"
    EXITED = "exited"  # with an exit record
    ORPHAN = "orphan"  # the keeper died, the process it started still lives
    LOST = "lost"  # keeper and process are gone without an exit record (kill -9, reboot)
    NEVER_STARTED = "never_started"


LIVE_JOB_STATES = frozenset({JobState.STARTING, JobState.RUNNING, JobState.BACKOFF, JobState.STOPPING, JobState.ORPHAN})


@dataclass(frozen=True)
class ProcessIdentity:
    """One process for ever: a pid alone is reused, boot id + pid + start ticks are not.

    ``inode`` of its pidfd tells even two apart that were born in the same tick; 0 where the system has none.
    """

    boot_id: str
    pid: int
    start_ticks: int
    inode: int = 0


@dataclass(frozen=True)
class Life:
    """One generation of a job's process, alive while ``ended_at`` is None. ``log_offset``: where its output starts.

    ``ready_at``: when its keeper first saw it ready, of a service with ``JobSpec.ready`` that went on to be so.
    """

    generation: int
    started_at: float
    log_offset: int
    ready_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    signal: int | None = None
    cause: Literal["liveness"] | None = None  # why its keeper ended it, so that the next one might begin


@dataclass(frozen=True)
class Stream:
    """One output stream of a finished command: first and last bytes decoded, and how much there was in all."""

    head: str
    tail: str
    bytes: int
    omitted: int  # bytes between head and tail


ExitReason = Literal[
    "exited", "timeout", "stopped", "crash_loop", "fatal_exit", "exec_failed", "idle", "memory", "processes", "liveness"
]


@dataclass(frozen=True)
class ExitRecord:
    """How a job ended. ``exit_code`` is None when a signal ended it; ``strays`` were killed after the main process."""

    reason: ExitReason
    exit_code: int | None
    signal: int | None
    started_at: float
    ended_at: float
    duration_s: float
    strays: int = 0
    escalated: bool = False  # KILL was needed
    log_dropped: int = 0  # bytes of output beyond the cap, not on disk
    suspended_s: float = 0.0  # of the job's time, how long the machine slept or everything was frozen
    error: str | None = None  # exec_failed: the reason, e.g. "No such file or directory: 'nope'"
    stdout: Stream | None = None
    stderr: Stream | None = None


@dataclass(frozen=True)
class Job:
    """A job as its files and its lock describe it at this moment."""

    id: str
    state: JobState
    folder: Path
    log: Path
    kind: Literal["command", "service"] = "command"
    argv: tuple[str, ...] = ()
    cwd: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    created_at: float = 0.0
    keeper: ProcessIdentity | None = None
    process: ProcessIdentity | None = None
    generation: int = 0
    lives: tuple[Life, ...] = ()
    retry_at: float | None = None  # backoff: when the next life begins
    layers: tuple[str, ...] = ()  # of its confinement, those in force
    exit: ExitRecord | None = None
    lost_to: Literal["keeper_killed", "reboot"] | None = None  # lost: what took its keeper, and it along
    strays: int = 0  # lost: of its processes, how many had outlived its keeper and were ended by who tells this

    @property
    def live(self) -> bool:
        return self.state in LIVE_JOB_STATES
