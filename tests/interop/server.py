"""The server under test: its project, its environment, and one that serves over HTTP until it is told to stop."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.interop.outcome import Outcome, judged

SERVE = [sys.executable, "-m", "mcp_e2e", "serve"]
START_S = 60.0
STOP_S = 15.0
ON_SIGTERM = 128 + int(signal.SIGTERM)


@dataclass(frozen=True)
class Endpoint:
    """Where a server answers, and the token it asks for."""

    url: str
    token: str | None = None


def make_project(folder: Path, **tests: str) -> Path:
    """A project whose tests are Python programs: their text by their id, with _ for -."""
    folder.mkdir(parents=True)
    blocks = [
        f"[[tests]]\nid = {json.dumps(name.replace('_', '-'))}\ncommand = {json.dumps([sys.executable, '-c', program])}"
        for name, program in tests.items()
    ]
    (folder / "mcp-e2e.toml").write_text("\n\n".join(blocks) + "\n", "utf-8")
    return folder


def environment(project: Path) -> dict[str, str]:
    """Ours without settings of this server, with an empty home folder beside the project."""
    home = project.with_name(f"{project.name}-home")
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MCP_E2E_")}
    return kept | {"HOME": str(home), "MCP_E2E_PROJECT": str(project), "NO_COLOR": "1"}


@dataclass
class HttpServer:
    """``mcp-e2e serve --http`` in a process of ours."""

    project: Path
    auth: bool = True

    _problem: str | None = field(default="it was never told to stop", init=False)

    @contextlib.contextmanager
    def running(self) -> Iterator[Endpoint]:
        """Serve on a free port; ``end`` says afterwards how it took the signal to stop."""
        words = [*SERVE, "--http", "127.0.0.1:0", *([] if self.auth else ["--no-auth"])]
        with (self.project.with_name(f"{self.project.name}.log")).open("w+b") as log:
            process = subprocess.Popen(
                words,
                cwd=self.project,
                env=environment(self.project),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
            try:
                yield self._endpoint(process)
            finally:
                self._problem = _stop(process)

    def end(self, lane: str) -> Outcome:
        """Whether it ended as it should."""
        return judged(f"{lane}: the server ends on SIGTERM with {ON_SIGTERM}", self._problem)

    def _endpoint(self, process: subprocess.Popen[bytes]) -> Endpoint:
        private = self.project / ".mcp-e2e" / "private"
        deadline = time.monotonic() + START_S
        while process.poll() is None and time.monotonic() < deadline:
            for lease in private.glob("http/*.lease"):
                with contextlib.suppress(ValueError):  # half written
                    token = (private / "http-token").read_text().strip() if self.auth else None
                    return Endpoint(json.loads(lease.read_text())["url"], token)
            time.sleep(0.05)
        raise RuntimeError(f"mcp-e2e serve --http did not start (exit code {process.poll()})")


def _stop(process: subprocess.Popen[bytes]) -> str | None:
    process.terminate()
    try:
        code = process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return f"still there {STOP_S:.0f} s after SIGTERM"
    return None if code == ON_SIGTERM else f"exit code {code}"
