"""A ComfyUI's stand-in: ``main.py`` says and does what ``boot.txt`` beside it has, then the simulated one runs."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

MAIN = """
import pathlib, sys, time
from mcp_e2e.demo.simulated_comfyui import main
for line in pathlib.Path(__file__).with_name("boot.txt").read_text().splitlines():
    word, _, rest = line.partition(" ")
    if word == "await":
        while not pathlib.Path(rest).exists():
            time.sleep(0.02)
    elif word == "exit":
        raise SystemExit(int(rest))
    else:
        print(line, file=sys.stderr, flush=True)
raise SystemExit(main(["--boot-seconds", "0", *sys.argv[1:]]))
"""
_LAST = 'raise SystemExit(main(["--boot-seconds", "0", *sys.argv[1:]]))'
_OTHER = f"words = sys.argv[1:]; sys.argv[1:] = ['--odd']\n{_LAST.replace('sys.argv[1:]', 'words')}"
OTHER_ARGV = MAIN.replace(_LAST, _OTHER)  # as a custom node may do
FLAGS = ["--port", "{port}", "--output-directory", "{outputs}"]


def configure(project: Path, boot: str = "", *, port: int = 0, flags: list[str] = FLAGS, more: str = "") -> list[str]:
    """A project whose ComfyUI is the stand-in ``main.py``; answers the command."""
    folder = project / "comfy"
    folder.mkdir(exist_ok=True)
    (folder / "main.py").write_text(MAIN)
    (folder / "comfy").mkdir(exist_ok=True)
    for mark in ("nodes.py", "comfyui_version.py"):
        (folder / mark).touch()
    (folder / "boot.txt").write_text(boot)
    command = [sys.executable, "main.py", *flags]
    text = (
        f'[services.comfyui]\nkind = "comfyui"\ncommand = {command!r}\ncwd = "comfy"\nport = {port}\nstop_grace_s = 2\n'
    )
    (project / "mcp-e2e.toml").write_text(text + more)
    return command


@contextmanager
def by_hand(folder: Path, port: int, *flags: str, script: str = "main.py") -> Iterator[subprocess.Popen[bytes]]:
    """A ComfyUI that a person has started, until it answers; ended afterwards."""
    command = [sys.executable, script, "--port", str(port), *flags]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL, env={**os.environ, "LISTENER": "hand"})
    try:
        deadline = time.monotonic() + 20
        while not answers(port):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait(10)


def answers(port: int, host: str = "127.0.0.1") -> bool:
    try:
        return httpx.get(f"http://{host}:{port}/system_stats", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
