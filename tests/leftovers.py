"""A test has to end what it started: whatever still runs for its folder is ended here and told."""

import os
from pathlib import Path

import psutil


def end_leftovers(folder: Path) -> None:
    """End the processes of a test's project; AssertionError when there were any after a short grace."""
    left = [process for process in psutil.process_iter() if _belongs(process, folder)]
    _, alive = psutil.wait_procs(left, timeout=5)
    for process in alive:
        process.kill()
    assert alive == [], "a test has to end what it started"


def _belongs(process: psutil.Process, folder: Path) -> bool:
    """Started by us for this project: its folder stands in the command line or is where it works."""
    try:
        words = [*process.cmdline(), process.cwd()]
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    return any(str(folder) in word for word in words) and process.pid != os.getpid()
