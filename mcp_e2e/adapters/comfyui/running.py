"""ComfyUIs that run on this machine now: their address, and, of this user's, folder, interpreter and flags."""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import psutil

from mcp_e2e.adapters.comfyui.flags import main_py
from mcp_e2e.adapters.comfyui.installation import missing_marks
from mcp_e2e.adapters.comfyui.looking import look
from mcp_e2e.adapters.comfyui.places import DESKTOP_URL

USUAL_URLS = ("http://127.0.0.1:8188", DESKTOP_URL)


@dataclass(frozen=True)
class Process:
    """A process of this user whose command is a ComfyUI's: ``PYTHON [options] main.py [flags]``, all paths absolute."""

    pid: int
    python: Path | None
    options: tuple[str, ...]
    root: Path
    flags: tuple[str, ...]
    cwd: Path
    marked: bool = False  # a job of ours


@dataclass(frozen=True)
class Running:
    """``process`` is None where another user, a container or another machine runs it."""

    url: str
    version: str
    process: Process | None = field(default=None)

    @property
    def simulated(self) -> bool:
        """The demo's stand-in, which is no ComfyUI."""
        return "simulated" in self.version

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


async def at(url: str) -> tuple[Running | None, str]:
    """The ComfyUI that answers at ``url``, or None and what is there instead."""
    health = await look(url)
    return (
        (Running(url, health.version or "unknown"), "") if health.answering else (None, health.detail or health.stage)
    )


async def running(job_marker: str, urls: Sequence[str] = USUAL_URLS) -> list[Running]:
    """Those of this user's processes that answer, then whatever answers at ``urls``; within some seconds.

    ``job_marker``: the environment variable that a process has which mcp_e2e itself started.
    """
    owners = await anyio.to_thread.run_sync(lambda: dict(_listening(job_marker)))
    answers: dict[str, Running] = {}

    async def ask(url: str) -> None:
        found, _ = await at(url)
        if found is not None:
            answers[url] = Running(url, found.version, owners.get(url))

    wanted = list(dict.fromkeys([*owners, *urls]))
    async with anyio.create_task_group() as tasks:
        for url in wanted:
            tasks.start_soon(ask, url)
    return [answers[url] for url in wanted if url in answers]


def _listening(job_marker: str) -> Iterator[tuple[str, Process]]:
    """Addresses on which this user's ComfyUIs listen; blocks for some milliseconds a process."""
    me = psutil.Process().username()
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            words = process.cmdline()
            if main_py(words) is None or process.username() != me:
                continue
            if (found := _comfyui(process, words, job_marker)) is None:
                continue
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    yield _url(connection.laddr), found


def _comfyui(process: psutil.Process, words: Sequence[str], job_marker: str) -> Process | None:
    script = main_py(words)
    if not script:
        return None
    if any(not word.startswith("-") and before not in {"-X", "-W"} for before, word in pairwise(words[:script])):
        return None
    cwd = Path(process.cwd())
    root = Path(os.path.normpath(cwd / words[script])).parent
    if missing_marks(root):  # of a container, or another program's main.py
        return None
    environ: dict[str, str] = {}
    with suppress(psutil.Error, OSError):
        environ = process.environ()
    python = _program(words[0], cwd, environ.get("PATH"))
    flags = tuple(words[script + 1 :])
    return Process(process.pid, python, tuple(words[1:script]), root, flags, cwd, bool(environ.get(job_marker)))


def _program(word: str, cwd: Path, path: str | None) -> Path | None:
    """The program as it was called: what a link in a virtual environment points to would be another one."""
    if re.search(r"[\\/]", word):
        found = Path(os.path.normpath(cwd / word))
        return found if found.is_file() else None
    which = shutil.which(word, path=path)
    return Path(os.path.normpath(cwd / which)) if which else None


def _url(address: Any) -> str:
    host = "127.0.0.1" if address.ip in {"0.0.0.0", "::", "127.0.0.1"} else address.ip
    return f"http://[{host}]:{address.port}" if ":" in host else f"http://{host}:{address.port}"
