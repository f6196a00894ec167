"""What a keeper does for its service while nobody looks: a bounded log, and an end when nobody is left."""

import sys

import pytest

from mcp_e2e.process import output
from mcp_e2e.process.keeping import upkeep
from mcp_e2e.process.locks import Lease

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs holes in files")
MIB = 1 << 20


@LINUX
async def test_a_long_log_keeps_its_end_and_its_offsets(room):
    """Of 40 MiB two stay on disk; the last line is where it was written, and no line of the end is lost."""
    code = (
        "import time\nfor n in range(40):\n    print(('%07d ' % n) + 'x' * (1 << 20), flush=True)\n"
        "print('last', flush=True)\ntime.sleep(60)"
    )
    job = await room.service(sys.executable, "-c", code, log_keep_bytes=2 * MIB)
    size = 40 * (9 + MIB) + 5
    await room.until(lambda: job.log.exists() and job.log.stat().st_size == size)
    await room.until(lambda: job.log.stat().st_blocks * 512 < 3 * MIB)
    assert job.log.stat().st_size == size
    assert output.read_slice(job.log, size - 5, 10)[0] == "last\n"
    assert output.grep(job.log, "^0000039", 5).found[0].offset == 39 * (9 + MIB)


async def test_a_removed_log_is_made_anew_and_says_so(room):
    """The service goes on; whoever reads is told why there is nothing."""
    job = await room.service("sh", "-c", "echo up; exec sleep 60")
    await room.line(job)
    job.log.unlink()
    assert "removed from outside" in await room.line(job)
    assert room.look(job).live


def test_a_truncated_log_says_so_and_goes_on(tmp_path, monkeypatch):
    """What is written after it follows the line that tells; nobody takes the gap for silence."""
    monkeypatch.chdir(tmp_path)
    log, file = upkeep.Log(None), tmp_path / "log"
    file.write_text("first\n" * 100)
    log.look()
    file.write_text("")
    log.look()
    with file.open("a") as more:
        more.write("after\n")
    log.look()
    assert file.read_text() == upkeep.CUT + "after\n"


async def test_a_service_that_nobody_uses_ends_by_itself(room):
    """It stays while a server holds its lease, and is stopped, not restarted, once nobody has for a while."""
    leases = room.cwd / "leases"
    with Lease.take(leases, {"client": "test"}):
        used = await room.service("sleep", "60", idle_stop_s=0.4, leases=leases)
        never = await room.service("sleep", "60", idle_stop_s=None, leases=leases)
        watched = upkeep.Users(str(leases), 0.0)
        assert not watched.idle()
        assert room.look(used).live
    assert (await room.end(used)).exit.reason == "idle"
    assert room.look(never).live


def test_leases_that_cannot_be_seen_end_nothing(tmp_path):
    """A folder that is gone for the moment is no proof that nobody is there."""
    assert not upkeep.Users(str(tmp_path / "gone"), 0.0).idle()
    (tmp_path / "empty").mkdir()
    assert upkeep.Users(str(tmp_path / "empty"), 0.0).idle()
