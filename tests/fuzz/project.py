"""Projects for the servers that are fuzzed: whatever is called there, only ``true``, ``sleep`` and the like run."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

CONFIG = """
[services.api]
kind = "command"
command = ["sleep", "600"]
ready = {{ exec = ["true"] }}
stop_grace_s = 1

[guard]
mode = "{guard}"

[exec]
timeout_s = 20
sandbox = "off"

[[tests]]
id = "passes"
command = ["true"]
timeout_s = 20

[[tests]]
id = "fails"
command = ["false"]
timeout_s = 20
"""
TOKEN = "fuzzed-by-everybody-0123456789"
GUARDS = ("observe", "enforce")
_MARKS = ("MCP_E2E_", "CLAUDE", "OTEL_", "TRACEPARENT")


@dataclass(frozen=True)
class Project:
    root: Path

    @classmethod
    def made(cls, root: Path, guard: str) -> "Project":
        root.mkdir(parents=True)
        (root / "mcp-e2e.toml").write_text(CONFIG.format(guard=guard))
        return cls(root)

    @property
    def complaints(self) -> Path:
        """What its server wrote to stderr."""
        return self.root.parent / f"{self.root.name}.stderr"

    def serve(self, python: str, *more: str) -> subprocess.Popen[bytes]:
        """A server in a session of its own; its stdout and stdin are pipes."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith(_MARKS)}
        with self.complaints.open("ab") as stderr:
            return subprocess.Popen(
                [python, "-m", "mcp_e2e", "serve", *more],
                cwd=self.root,
                env=environ | {"MCP_E2E_HTTP_TOKEN": TOKEN, "MCP_E2E_PROJECT": str(self.root)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )

    def leave(self, server: subprocess.Popen[bytes]) -> None:
        """End the server and what its keepers still run, and take it all away."""
        server.kill()
        for pipe in (server.stdin, server.stdout):
            if pipe is not None:
                pipe.close()
        server.wait()
        for process in psutil.process_iter():
            try:
                words = [*process.cmdline(), process.cwd()]
            except psutil.Error:
                continue
            if process.pid != os.getpid() and any(str(self.root) in word for word in words):
                process.kill()
        shutil.rmtree(self.root, ignore_errors=True)


def mib(pid: int) -> float:
    """Resident memory of a process."""
    return float(psutil.Process(pid).memory_info().rss / 2**20)


def complained(project: Project) -> list[str]:
    """The lines on stderr, long ones cut."""
    return [line[:300] for line in project.complaints.read_text("utf-8", "replace").splitlines()]


PYTHON = sys.executable
