"""Which ComfyUIs run beside the configured ones, seen among programs that are none."""

import subprocess
import sys
from pathlib import Path

from mcp_e2e.process import probes
from mcp_e2e.usecases.neighbours import running_elsewhere

LISTENS = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    input()
"""


def test_a_program_whose_folder_cannot_be_looked_into_is_no_comfyui(tmp_path: Path) -> None:
    """Its command line tells a path that the system refuses to look at."""
    unlookable = f"{'x' * 300}/main.py"
    argv = [sys.executable, "-c", LISTENS, unlookable]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        assert (owner := probes.port_owner(port)) is not None
        assert unlookable in owner.cmdline
        assert port not in [owner.port for owner, _ in running_elsewhere(tmp_path)]
        other.communicate(b"\n", timeout=10)
