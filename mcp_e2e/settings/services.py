"""The ``[services.*]`` tables, and the closed table and value types that all tables are made of."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mcp_e2e.settings.faults import Fault, reject

NAME = r"^[._-]*[A-Za-z0-9][A-Za-z0-9._-]*$"
NO_NUL = r"^[^\x00]*$"
ENV_NAME = r"^[^=\x00]+$"
URL_PATH = r"^/"

Name = Annotated[str, Field(pattern=NAME, max_length=100)]
Text = Annotated[str, Field(min_length=1, pattern=NO_NUL)]
Argv = Annotated[list[Annotated[str, Field(pattern=NO_NUL)]], Field(min_length=1)]
EnvName = Annotated[str, Field(pattern=ENV_NAME)]
EnvValue = Annotated[str, Field(pattern=NO_NUL)]
LONGEST_S = 1_000_000.0  # 11 days: what the system's wait calls still take in milliseconds
Seconds = Annotated[float, Field(gt=0, le=LONGEST_S, allow_inf_nan=False)]
Grace = Annotated[float, Field(ge=0, le=LONGEST_S, allow_inf_nan=False)]

COMFYUI_PORT = 8188


def one_of(*keys: str) -> dict[str, Any]:
    """JSON Schema for "exactly one of these keys"."""
    return {"oneOf": [{"required": [key]} for key in keys]}


class Table(BaseModel):
    """A closed, frozen table: unknown keys and wrong types are errors, never guesses."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)


class LivenessConfig(Table):
    """How to see that a service still answers; exactly one of the three."""

    model_config = ConfigDict(json_schema_extra=one_of("http", "tcp", "exec"))

    http: Annotated[str, Field(pattern=URL_PATH)] | None = Field(
        default=None, description="Path on the service's port that must answer, below 500 and not 404."
    )
    tcp: Literal[True] | None = Field(default=None, description="true: the port accepts a connection.")
    exec: Argv | None = Field(default=None, description="Program and arguments that must end with exit code 0.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_dump(exclude_none=True)) != 1:
            known = ", ".join(key for key in ("http", "tcp", "log", "exec") if key in type(self).model_fields)
            reject([Fault((), f"needs exactly one of {known}", "Keep one of them.")])
        return self


class ReadyConfig(LivenessConfig):
    """How to see that a service is ready; exactly one of the four."""

    model_config = ConfigDict(json_schema_extra=one_of("http", "tcp", "log", "exec"))

    log: Text | None = Field(
        default=None, description="Regular expression that a line of the service's output must match."
    )

    @model_validator(mode="after")
    def _is_pattern(self) -> Self:
        if self.log is not None and (wrong := _no_pattern(self.log)):
            remedy = "Write one, or escape what it has of .*+?()[]{}."
            reject([Fault(("log",), f"is no regular expression: {wrong}", remedy)])
        return self


class ServiceConfig(Table):
    """One long-lived program under test: started from ``command``, or attached to at ``url``."""

    model_config = ConfigDict(json_schema_extra=one_of("command", "url"))

    kind: Literal["comfyui", "command"] = Field(description="What the service is: comfyui, or command for anything.")
    command: Argv | None = Field(
        default=None, description="Program and arguments. {port} and {outputs} are filled in. Either command or url."
    )
    url: Text | None = Field(
        default=None, description="Address of a server that someone else runs: attached only, never started or stopped."
    )
    cwd: Text = Field(default=".", description="Folder to start in, relative to the project.")
    port: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        default=None, description="Port it listens on; 0 takes a free one. comfyui: 8188 unless set."
    )
    ready: ReadyConfig | None = Field(
        default=None, description="How to see that a command is ready. Without it: its port accepts a connection."
    )
    liveness: LivenessConfig | None = Field(
        default=None,
        description="How to see that it still answers once ready; after three misses in a row that life is ended"
        " and restart decides. Unset: not looked at.",
    )
    liveness_every_s: Annotated[float, Field(ge=1, le=LONGEST_S, allow_inf_nan=False)] = Field(
        default=10.0, description="Seconds from one look to the next; a look may take as long, at most 10 s."
    )
    env: dict[EnvName, EnvValue] = Field(
        default={},
        repr=False,
        description="Variables for the process. {port} and {outputs} are filled in, ${NAME} is taken from the"
        " environment or .env.",
    )
    slow_after_s: Seconds = Field(
        default=120.0, description="Seconds after which a boot is called slow; never killed for it."
    )
    stop_grace_s: Grace = Field(default=10.0, description="Seconds between asking the process to stop and killing it.")
    clean: list[Text] = Field(
        default=[], description="More globs under cwd to delete before an attempt; only files newer than the session."
    )
    reload_on: list[Text] = Field(
        default=[],
        description="Globs of code the service has loaded: newer than the generation, it is restarted first.",
    )
    restart: Literal["on-failure", "never"] = Field(
        default="on-failure", description="Whether a died service is restarted."
    )
    max_restarts: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=3, description="Restarts allowed within restart_window_s."
    )
    restart_window_s: Seconds = Field(default=600.0, description="Seconds over which restarts are counted.")
    idle_stop_s: Seconds | None = Field(
        default=None, description="Seconds without any server on the project after which it is stopped; unset: never."
    )
    log_keep_mb: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=256, description="MiB of its newest output that stay on disk."
    )
    owner: Literal["tree", "any"] = Field(
        default="tree", description="Who may hold the port: the process tree, or any (Docker, WSL: a daemon holds it)."
    )

    @property
    def attached(self) -> bool:
        """True when somebody else runs it."""
        return self.url is not None

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "url" in data:
            return data
        if data.get("kind") == "comfyui":
            return {"port": COMFYUI_PORT} | data
        if data.get("kind") == "command" and data.get("port") is not None:
            return {"ready": {"tcp": True}} | data
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        reject(self._faults())
        return self

    def _faults(self) -> Iterator[Fault]:
        if (self.command is None) == (self.url is None):
            have = "both command and url" if self.url else "neither command nor url"
            yield Fault(
                ("url",) if self.url else (),
                f"has {have}",
                "Write command for a program to start, or url for a server that runs already.",
            )
        if self.url is not None and (wrong := wrong_url(self.url)):
            yield Fault(("url",), wrong, "Write it like url = 'http://127.0.0.1:8188'.")
        if self.command is not None and not self.command[0]:
            yield Fault(("command", 0), "the program is empty", "Name the program first, then its arguments.")
        yield from self._glob_faults()
        yield from self._ready_faults()

    def _glob_faults(self) -> Iterator[Fault]:
        for key in ("clean", "reload_on"):
            for nth, pattern in enumerate(getattr(self, key)):
                if any("**" in part and part != "**" for part in re.split(r"[\\/]", pattern)):
                    what = f"{pattern!r} has ** within a name, where it means no folders"
                    yield Fault((key, nth), what, 'Write ** between slashes, e.g. "output/**/*.png".')

    def _ready_faults(self) -> Iterator[Fault]:
        addressed = self.url is not None or self.port is not None
        if self.kind == "comfyui" and self.ready is not None:
            yield Fault(("ready",), "a comfyui service is asked for its own state", "Delete ready.")
        elif self.ready is not None and (self.ready.http or self.ready.tcp) and not addressed:
            yield Fault(("ready",), "looks at a port, but the service has none", "Add port = 0 or a number.")
        elif self.ready is not None and self.ready.log and self.url is not None:
            yield Fault(("ready", "log"), "an attached server's output is not ours to read", "Use http or tcp.")
        if self.liveness is not None:
            yield from self._liveness_faults(addressed=addressed)
        if not addressed and (key := self._using("{port}")):
            yield Fault((key,), "uses {port}, but the service has no port", "Add port = 0 or a number.")

    def _using(self, placeholder: str) -> str | None:
        """The key whose value has it."""
        if any(placeholder in word for word in self.command or ()):
            return "command"
        return "env" if any(placeholder in value for value in self.env.values()) else None

    def _liveness_faults(self, *, addressed: bool) -> Iterator[Fault]:
        if self.url is not None:
            yield Fault(("liveness",), "an attached server is never restarted", "Delete liveness.")
        elif self.liveness and not self.liveness.exec and not addressed:
            yield Fault(("liveness",), "looks at a port, but the service has none", "Add port = 0 or a number.")
        elif self.ready is None and not addressed:
            yield Fault(("liveness",), "begins when the service is ready, which nothing tells", "Add ready.")


def _no_pattern(text: str) -> str | None:
    try:
        re.compile(text)
    except re.error as error:
        return str(error)
    return None


def wrong_url(url: str) -> str | None:
    """Why ``url`` is no address of a server, or None."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        return f"is no address: {error}"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "is no http address"
    if parts.username or parts.password:
        return "holds a user name or password, which would show in logs"
    if parts.query or parts.fragment:
        return "has a query or fragment, and only the server's address is wanted"
    return None
