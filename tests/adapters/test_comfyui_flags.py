"""Which flags a ComfyUI knows, asked of itself: stand-ins with argparse, and the real one."""

import os
import sys
from pathlib import Path

import anyio
import psutil
import pytest

from mcp_e2e.adapters.comfyui import flags
from mcp_e2e.adapters.comfyui.flags import flags_of_usage, known_flags, nearest_flag

from .conftest import Backend

MAIN = """
import argparse, pathlib
asked = pathlib.Path("asked"); asked.write_text(asked.read_text() + "." if asked.exists() else ".")
parser = argparse.ArgumentParser(prog="main.py")
parser.add_argument("--port", help="not to be taken for a flag: --nothing")
parser.add_argument("--base-directory")
parser.parse_args()
"""
HANGS = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path("child").write_text(str(child.pid))
time.sleep(600)
"""


async def asked(folder: Path, *argv: str) -> frozenset[str]:
    return await known_flags([sys.executable, *(argv or ("main.py", "--port", "1"))], folder, dict(os.environ))


async def test_flags_are_asked_once_for_each_version(tmp_path: Path) -> None:
    """The usage text is what counts, not the talk below it; a changed main.py is asked again."""
    main = tmp_path / "main.py"
    main.write_text(MAIN)
    for _ in range(2):
        assert await asked(tmp_path) == {"--port", "--base-directory"}
    assert (tmp_path / "asked").read_text() == "."
    main.write_text(MAIN.replace("base", "other"))
    os.utime(main, ns=(1, 1))
    assert await asked(tmp_path) == {"--port", "--other-directory"}


async def test_a_wrapper_is_not_run_and_one_that_tells_nothing_only_once(tmp_path: Path) -> None:
    """A command without main.py might start a server when asked for help."""
    (tmp_path / "run.py").write_text("open('ran', 'w')")
    assert await asked(tmp_path, "run.py") == frozenset()
    assert await asked(tmp_path) == frozenset()
    (tmp_path / "main.py").write_text(MAIN.replace("parser.parse_args()", "raise SystemExit(1)"))
    for _ in range(2):
        assert await asked(tmp_path) == frozenset()
    assert (tmp_path / "asked").read_text() == "."
    assert await known_flags(["no-such-program", "main.py"], tmp_path, dict(os.environ)) == frozenset()
    assert not (tmp_path / "ran").exists()


async def test_one_that_does_not_answer_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline ends the whole tree, and nothing is known."""
    (tmp_path / "main.py").write_text(HANGS)
    monkeypatch.setattr(flags, "HELP_S", 2.0)
    assert await asked(tmp_path) == frozenset()
    with anyio.fail_after(10):
        while psutil.pid_exists(int((tmp_path / "child").read_text())):
            await anyio.sleep(0.02)


def test_the_flags_of_a_usage_error_and_the_nearest_one() -> None:
    """An error's text tells the flags as help does; a flag that is quoted as wrong is not one of them."""
    usage = "usage: main.py [-h]\n               [--normalvram | --cpu]\n"
    text = f"log --before\n{usage}main.py: error: unrecognized arguments: --normal-vram\n"
    known = flags_of_usage(text)
    assert known == {"--normalvram", "--cpu"}
    assert nearest_flag("--normal-vram", known) == "--normalvram"
    assert nearest_flag("--zzz", known) is None


async def test_the_server_knows_the_flags_it_was_started_with(comfyui: Backend) -> None:
    """A running ComfyUI's command tells enough to ask it."""
    process = psutil.Process(comfyui.process.pid)
    command = process.cmdline()
    known = await known_flags(command, Path(process.cwd()), process.environ())
    if comfyui.kind == "simulated":
        assert known == frozenset()  # it is no main.py
    else:
        assert {"--port", "--base-directory", "--database-url", *(w for w in command if w[:2] == "--")} <= known
