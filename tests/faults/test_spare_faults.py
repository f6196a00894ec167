"""Fault 51: the keeper that stands by, when its server dies, when it dies itself, and when it is of another version."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_e2e.process import jobs, spare
from mcp_e2e.process.spare import Spare
from tests.process.conftest import Room, over, standing_by

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no keepers there yet")
SERVER = """
import time
from mcp_e2e.process.spare import Spare
spare = Spare()
spare.prepare()
print("prepared", flush=True)
time.sleep(60)
"""
OTHER_VERSION = """
import os, socket
if os.fork():
    os._exit(0)
server = socket.socket(fileno=0)
while server.recv(65536):
    pass
raise SystemExit("this order is not known here")
"""


async def test_fault_51_a_spare_leaves_when_its_server_is_killed(room: Room, mark: str) -> None:
    """kill -9, without a word: end of file tells it, and nobody waits for ever."""
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "prepared\n"
        waiting = standing_by(mark)
    finally:
        server.send_signal(signal.SIGKILL)
        server.communicate()
    await room.until(lambda: over(waiting))


async def test_fault_51_a_killed_spare_costs_nothing(room: Room, mark: str) -> None:
    """The job that it was to have is started the long way, once."""
    ours = Spare()
    ours.prepare()
    try:
        waiting = standing_by(mark)
        waiting.kill()
        await room.until(lambda: over(waiting))
        job = await room.end(await jobs.launch(room.dir, room.spec("sh", "-c", "echo ran"), ours))
    finally:
        ours.close()
    assert (job.exit.exit_code, job.log.read_text()) == (0, "ran\n")


async def test_fault_51_a_spare_that_does_not_understand_costs_nothing(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another version it leaves without an answer: the job is started the long way, once."""
    program = tmp_path / "keeper.py"
    program.write_text(OTHER_VERSION)
    ours = Spare()
    with monkeypatch.context() as old:
        old.setattr(spare, "keeper_command", lambda: [sys.executable, str(program)])
        ours.prepare()
    assert ours._ours is not None
    job = await room.end(await jobs.launch(room.dir, room.spec("sh", "-c", "echo ran"), ours))
    assert (job.exit.exit_code, job.log.read_text()) == (0, "ran\n")
    assert ours._ours is None
