"""From a configured service to what is started: placeholders filled, folders resolved, one hash over all of it."""

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mcp_e2e.adapters.placeholders import fill, fill_env
from mcp_e2e.model.jobs import Readiness, RestartPolicy
from mcp_e2e.model.services import ServiceSpec
from mcp_e2e.model.work import Ready
from mcp_e2e.settings import ReadyConfig, ServiceConfig

_HOPELESS = (2, 255)  # a ComfyUI's wrong flag, and its missing web interface: the next start would end the same


def service_spec(
    name: str, config: ServiceConfig, *, cwd: Path, port: int, outputs: Path, env: Mapping[str, str]
) -> ServiceSpec:
    """``port`` is the one in use (never 0); ``env`` the expanded values of the service's own table.

    Raises ConfigError for a misspelt placeholder.
    """
    argv = fill(config.command or (), _values(port, outputs))
    return ServiceSpec(
        name=name,
        kind=config.kind,
        argv=argv,
        cwd=cwd,
        port=port,
        url=config.url or (f"http://127.0.0.1:{port}" if port else ""),
        outputs=outputs,
        hash=_hash(config, cwd, env),
        stop_grace_s=config.stop_grace_s,
        slow_after_s=config.slow_after_s,
        restart=RestartPolicy(
            mode=config.restart,
            max_restarts=config.max_restarts,
            window_s=config.restart_window_s,
            fatal_codes=(*RestartPolicy.fatal_codes, *(_HOPELESS if config.kind == "comfyui" else ())),
        ),
    )


def service_env(config: ServiceConfig, port: int, outputs: Path) -> dict[str, str]:
    """The service's own ``env`` with its placeholders filled and its ``${NAME}`` as written."""
    return fill_env(config.env, _values(port, outputs))


def _values(port: int, outputs: Path) -> dict[str, str]:
    return {"port": str(port), "outputs": str(outputs), "python": sys.executable}


def _hash(config: ServiceConfig, cwd: Path, env: Mapping[str, str]) -> str:
    """Of what a running process cannot change any more; one digest over all, kept in the private database."""
    fixed: list[object] = [config.command, config.url, config.port, str(cwd), sorted(env.items())]
    if config.liveness is not None:  # its keeper goes on by the rule it was given
        fixed += [config.liveness.model_dump(exclude_none=True), config.liveness_every_s]
    return hashlib.sha256(json.dumps(fixed).encode()).hexdigest()


def ready_rule(config: ReadyConfig | None) -> Ready:
    """Nothing configured: the port accepts a connection."""
    if config is None:
        return Ready(tcp=True)
    return Ready(http=config.http, tcp=bool(config.tcp), log=config.log, exec=tuple(config.exec or ()))


def seen_by_keeper(config: ServiceConfig, port: int) -> Readiness | None:
    """How the keeper of a service that listens on ``port`` (0: on none) knows it ready; None: there is nothing to see.

    A server looks for itself too, and further: whose answer it is, and what it says.
    """
    if config.kind == "comfyui":
        return Readiness(http="/system_stats", port=port)
    return _look(ready_rule(config.ready), port)


def liveness_seen_by_keeper(config: ServiceConfig, port: int) -> Readiness | None:
    """How its keeper knows that it still answers; None: nobody looks."""
    rule = config.liveness
    return _look(Ready(http=rule.http, exec=tuple(rule.exec or ())), port) if rule is not None else None


def _look(rule: Ready, port: int) -> Readiness | None:
    if rule.log or rule.exec:
        return Readiness(rule.log, fill(rule.exec, {"port": str(port), "python": sys.executable}))
    if not port:
        return None
    return Readiness(http=_path(rule.http) if rule.http else None, port=port)


def _path(path: str) -> str:
    """As httpx asks for it."""
    import httpx  # noqa: PLC0415  loaded when it is needed: a server starts without

    return httpx.URL(f"http://127.0.0.1/{path.lstrip('/')}").raw_path.decode("ascii")


def fill_python(argv: Sequence[str]) -> list[str]:
    """``argv`` with ``{python}`` alone filled in: enough to know the program."""
    return [word.replace("{python}", sys.executable) for word in argv]


def missing_program(argv: tuple[str, ...], cwd: Path, path: str | None) -> str | None:
    """A sentence when the program of ``argv`` cannot be found as a child with ``path`` would look for it."""
    program = argv[0]
    is_path = "/" in program or "\\" in program
    found = shutil.which(str(cwd / program)) if is_path else shutil.which(program, path=path)
    return None if found else f"the program {program!r} does not exist or may not be executed"
