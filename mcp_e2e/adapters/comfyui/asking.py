"""Asks a program of this machine something: within a time and a size, and nothing of its tree is left behind."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import psutil

MOST_BYTES = 1 << 18


@dataclass(frozen=True)
class Answer:
    """``exit_code`` None: it was ended, because it was ``late`` or said more than ``MOST_BYTES``."""

    text: str
    exit_code: int | None = None
    late: bool = False


async def ask(
    argv: Sequence[str], cwd: Path, env: Mapping[str, str], within_s: float, *, errors: bool = False
) -> Answer:
    """What ``argv`` says, with ``errors`` on its standard error too; ``env`` is its whole environment.

    Raises OSError: it cannot be run.
    """
    process = await anyio.open_process(
        argv,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT if errors else subprocess.DEVNULL,
        cwd=cwd,
        env=env,
    )
    said = bytearray()
    exit_code = None
    try:
        with anyio.move_on_after(within_s) as limit:
            try:
                while process.stdout is not None and len(said) < MOST_BYTES:
                    said += await process.stdout.receive()
            except anyio.EndOfStream:
                exit_code = await process.wait()
    finally:
        _end_tree(process.pid)
        with anyio.CancelScope(shield=True):
            await process.aclose()
    return Answer(said.decode("utf-8", "replace"), exit_code, limit.cancelled_caught)


def _end_tree(pid: int) -> None:
    """What is left of our own child: nothing, unless it was too slow or said too much."""
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        if root.ppid() != os.getpid():
            return
        for process in (*root.children(recursive=True), root):
            with suppress(psutil.Error):
                process.kill()
