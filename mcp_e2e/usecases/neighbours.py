"""Several ComfyUIs on one machine: which others run here, and what they would share with a configured one."""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import combinations
from pathlib import Path
from sqlite3 import Connection
from urllib.parse import urlsplit

import anyio.to_thread

from mcp_e2e.adapters.comfyui.command_line import CommandLine, command_line, shared
from mcp_e2e.adapters.comfyui.flags import known_flags, main_py
from mcp_e2e.adapters.comfyui.installation import missing_marks
from mcp_e2e.adapters.spec import service_spec
from mcp_e2e.errors import ConfigError
from mcp_e2e.process import jobs, probes
from mcp_e2e.process.environment import service_environment
from mcp_e2e.process.probes import PortOwner
from mcp_e2e.settings import Loaded
from mcp_e2e.store import sessions
from mcp_e2e.usecases.workplace import Workplace

MOST = 5  # of a machine's ComfyUIs that are told


async def neighbours(place: Workplace) -> list[str]:
    """A line for each ComfyUI here that this project did not start, and for what two of them would both write to.

    Some 40 ms where a ComfyUI is configured, else nothing is looked at.
    """
    loaded = place.settings()
    if not any(service.kind == "comfyui" for service in loaded.settings.services.values()):
        return []
    env = service_environment(loaded.environment(place.environ), {}, "")
    configured = dict(_configured(place, loaded, env.get("PATH")))
    used = await place.run(partial(_used, loaded=loaded))
    found = await anyio.to_thread.run_sync(running_elsewhere, place.layout.jobs)
    others = [(owner, line) for owner, line in found if owner.port not in used][:MOST]
    told = [f"another ComfyUI runs on this machine: {shown(owner)}" for owner, _ in others]
    pairs = [(f"services {one} and {two}", *both) for (one, two), both in _pairs(configured)]
    pairs += [
        (f"service {name} and the ComfyUI with pid {owner.pid}", line, other)
        for name, line in configured.items()
        for owner, other in others
        if not _is(loaded, name, owner)
    ]
    for who, one, other in pairs:
        if both := shared(one, other):
            known = await known_flags([str(one.program), str(one.script)], one.cwd, env)
            told += [_clash(who, what, flag, known) for what, flag in both.items()]
    return place.masked(told)


def _used(con: Connection, loaded: Loaded) -> set[int | None]:
    """Ports of servers that a service is attached to, by url or adopted."""
    urls = {urlsplit(service.url).port for service in loaded.settings.services.values() if service.url}
    rows = (sessions.get(con, name) for name in sessions.unstopped(con))
    return urls | {row.port for row in rows if row is not None and row.adopted is not None}


def _configured(place: Workplace, loaded: Loaded, path: str | None) -> Iterator[tuple[str, CommandLine]]:
    for name, config in loaded.settings.services.items():
        if config.kind == "comfyui" and config.command is not None:
            cwd, outputs = loaded.folder(config.cwd), place.layout.outputs / name
            with suppress(ConfigError):  # a misspelt placeholder: start_session says so
                spec = service_spec(name, config, cwd=cwd, port=config.port or 0, outputs=outputs, env={})
                if line := command_line(spec.argv, cwd, path):
                    yield name, line


def _pairs(lines: dict[str, CommandLine]) -> list[tuple[tuple[str, str], tuple[CommandLine, CommandLine]]]:
    return [((one, two), (lines[one], lines[two])) for one, two in combinations(lines, 2)]


def _is(loaded: Loaded, service: str, owner: PortOwner) -> bool:
    """On the service's own port it is not beside it: start_session adopts it or says what it is."""
    return loaded.settings.services[service].port == owner.port


def _clash(who: str, what: str, flag: str, known: frozenset[str]) -> str:
    remedy = f"give one of them its own with {flag}" if flag in known or not known else "do not run both at once"
    return f"{who} share {what}: {remedy}"


def running_elsewhere(jobs_dir: Path) -> list[tuple[PortOwner, CommandLine]]:
    """Processes of this user that listen and are a ComfyUI's, but for those of this project. Blocks, some 40 ms."""
    ours = {int(job.labels.get("port") or 0) for job in jobs.list_jobs(jobs_dir) if job.live}
    found = [(owner, _comfyui(owner)) for owner in probes.listeners() if owner.port not in ours]
    return [(owner, line) for owner, line in found if line is not None]


def _comfyui(owner: PortOwner) -> CommandLine | None:
    """Told by what its folder holds, as ``init`` tells it."""
    if main_py(owner.cmdline) is None or not owner.cwd:
        return None
    with suppress(OSError):  # a folder that only its own user may enter, a name that no file can have
        line = command_line(owner.cmdline, Path(owner.cwd), owner.path or None)
        return line if line and not missing_marks(line.script.parent) else None
    return None


def shown(owner: PortOwner) -> str:
    return f"http://127.0.0.1:{owner.port} (pid {owner.pid}, in {owner.cwd})"
