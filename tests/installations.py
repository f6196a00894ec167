"""ComfyUIs made for tests: a folder with the files that tell one, an interpreter that answers like one with torch."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

FLAGS = [
    *("--listen", "--port", "--output-directory", "--cpu", "--lowvram", "--base-directory", "--database-url"),
    *("--disable-auto-launch", "--extra-model-paths-config", "--windows-standalone-build", "--comfy-api-base"),
]
MAIN = """
import argparse, http.server, json, sys
parser = argparse.ArgumentParser(prog="main.py")
for flag in {flags}:
    many = {{"nargs": "?", "const": True}} if flag in ("--cpu", "--lowvram", "--disable-auto-launch") else {{}}
    parser.add_argument(flag, **many)
said = parser.parse_args()
{serve}
"""
SERVE = """
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"system": {"comfyui_version": "0.3.64", "argv": sys.argv}, "devices": []}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(said.port)), Handler).serve_forever()
"""
SIMULATE = """
from mcp_e2e.demo import simulated_comfyui
flags = ["--port", said.port, "--output-directory", said.output_directory, "--boot-seconds", "0.1"]
raise SystemExit(simulated_comfyui.main(flags))
"""
TORCH = """
__version__ = "2.9.0"
class cuda:
    @staticmethod
    def is_available(): return {gpu}
class backends: pass
"""


def comfyui(root: Path, serve: str = SERVE, version: str = "0.3.64") -> Path:
    """A folder that is a ComfyUI by its content; its ``main.py`` knows ``FLAGS`` and does as ``serve`` says."""
    (root / "comfy").mkdir(parents=True)
    (root / "user").mkdir()
    (root / "main.py").write_text(MAIN.format(flags=FLAGS, serve=serve))
    (root / "nodes.py").write_text("")
    (root / "comfyui_version.py").write_text(f'__version__ = "{version}"\n')
    return root


def interpreter(path: Path, *, torch: bool = True, gpu: bool = False) -> Path:
    """A program at ``path`` that is this test's own Python, with a stand-in for torch, or with none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    modules = path.parent / f"{path.name}-modules"
    modules.mkdir()
    text = TORCH.format(gpu=gpu) if torch else "raise ImportError('no torch here')"
    (modules / "torch.py").write_text(text)
    path.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(modules))} exec {shlex.quote(sys.executable)} "$@"\n')
    path.chmod(0o755)
    return path


def workflow(path: Path, batch: int = 1) -> Path:
    """A workflow in API format that every ComfyUI can run, model or not."""
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 48, "batch_size": batch, "color": 255}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": path.stem}},
    }
    return written(path, graph)


def written(path: Path, data: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))
    return path
