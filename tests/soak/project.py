"""The soak's own project: two services, tests and commands that all leave a line in a file when they really ran.

The lines stand in a hidden folder, so that they are no change of the project, and are appended whole by the kernel.
"""

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mcp_e2e.store.layout import Layout

MARKER = "LC_MCP_E2E_SOAK"  # servers have it; keepers get it from them, because it begins like a locale's name
SERVICE = """
import http.server, os, sys, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from mark import mark
mark(sys.argv[2], os.environ["MCP_E2E_JOB"], os.getpid())
time.sleep(0.3)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"pong")
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
MARK = """
import os
def mark(kind, *words):
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), ".marks", kind)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, (" ".join(map(str, words)) + "\\n").encode())
    os.close(file)
"""
TEST = """
import os, subprocess, sys, time, urllib.request
from mark import mark
mark("tests", os.environ["MCP_E2E_ATTEMPT"], os.environ["MCP_E2E_JOB"], os.getpid())
if "strays" in sys.argv:
    subprocess.Popen(["sleep", "300"])
assert urllib.request.urlopen(os.environ["MCP_E2E_SERVICE_URL"] + "/", timeout=20).read() == b"pong"
time.sleep(float(sys.argv[1]))
open(os.path.join(os.environ["MCP_E2E_OUTPUT_DIR"], "made.txt"), "w").write("made")
print("well done")
"""
CONFIG = """
[services.api]
kind = "command"
command = [{python}, "-SB", "service.py", "{{port}}", "api"]
port = 0
ready = {{ http = "/" }}
stop_grace_s = 2
max_restarts = 1000
restart_window_s = 3

[services.calm]
kind = "command"
command = [{python}, "-SB", "service.py", "{{port}}", "calm"]
port = 0
ready = {{ http = "/" }}
stop_grace_s = 2
"""
TESTS = {
    "quick": ("0", "api"),
    "slow": ("1", "api"),
    "strays": ("0.2 strays", "api"),
    "calm": ("0", "calm"),
    "calm-slow": ("1.5", "calm"),
    "calm-strays": ("0.2 strays", "calm"),
}
SERVICES = ("api", "calm")


@dataclass(frozen=True)
class Project:
    root: Path

    @property
    def state(self) -> Layout:
        return Layout(self.root / ".mcp-e2e")

    def write(self) -> None:
        (self.root / ".marks").mkdir(parents=True)
        (self.root / "service.py").write_text(SERVICE)
        (self.root / "mark.py").write_text(MARK)
        (self.root / "probe.py").write_text(TEST)
        python = json.dumps(sys.executable)
        config = CONFIG.format(python=python)
        for name, (words, service) in TESTS.items():
            argv = ", ".join(json.dumps(word) for word in ("-SB", "probe.py", *words.split()))
            config += f'\n[[tests]]\nid = "{name}"\ncommand = [{python}, {argv}]\ntimeout_s = 60\n'
            config += f'service = "{service}"\n'
        (self.root / "mcp-e2e.toml").write_text(config)

    def edit(self, number: int) -> None:
        """Change the project as an agent does that works on it."""
        (self.root / "source.txt").write_text(f"edit {number}\n")

    def marks(self, kind: str) -> list[list[str]]:
        """The words of each line that runs of this kind have left."""
        path = self.root / ".marks" / kind
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def counted(self, kind: str) -> Counter[str]:
        """How often each first word, an attempt's id or a command's token, was left."""
        return Counter(words[0] for words in self.marks(kind))
