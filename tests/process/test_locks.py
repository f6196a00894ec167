"""Locks and leases between processes."""

import subprocess
import sys

import anyio
import pytest

from mcp_e2e.errors import LockHeld
from mcp_e2e.process.locks import FileLock, Lease, is_alive, leases

HOLDER = """
import sys, time
from pathlib import Path
from mcp_e2e.process.locks import FileLock, Lease
what, path = sys.argv[1:]
lock = FileLock(Path(path))
if what == "lock":
    assert lock.try_acquire("cursor (pid 7)")
lease = Lease.take(Path(path), {"client": "cursor"}, lease_id="other") if what == "lease" else None
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder():
    """Starts another process that holds a lock or a lease until it is killed."""
    started = []

    def start(what, path):
        process = subprocess.Popen([sys.executable, "-c", HOLDER, what, str(path)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


async def test_a_held_lock_names_its_holder_and_is_free_at_its_death(tmp_path, holder):
    """kill -9 frees it; nothing has to be cleaned up."""
    lock, other = FileLock(tmp_path / "lock"), holder("lock", tmp_path / "lock")
    assert not lock.try_acquire()
    assert FileLock.is_held(lock.path)
    with pytest.raises(LockHeld, match=r"cursor \(pid 7\)") as caught:
        await lock.acquire(0.05)
    assert caught.value.facts == {"holder": "cursor (pid 7)"}
    other.kill()
    await lock.acquire(10, "me")
    assert lock.held
    assert lock.holder() == "me"
    lock.release()
    assert not FileLock.is_held(lock.path)


async def test_a_waiter_gets_the_lock_when_it_is_released(tmp_path):
    """Two objects of one process exclude each other like two processes."""
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.try_acquire()
    assert not first.try_acquire()
    async with anyio.create_task_group() as group:
        group.start_soon(second.acquire, 10)
        await anyio.wait_all_tasks_blocked()
        assert not second.held
        first.release()
    assert second.held
    second.release()


def test_a_lease_shows_who_is_alive_until_the_process_dies(tmp_path, holder):
    """A dead lease is listed once as dead and then swept."""
    other = holder("lease", tmp_path)
    with Lease.take(tmp_path, {"client": "me"}) as mine:
        assert {lease.id: dict(lease.description) for lease in leases(tmp_path) if lease.alive} == {
            mine.id: {"client": "me"},
            "other": {"client": "cursor"},
        }
        with pytest.raises(LockHeld, match="cursor"):
            Lease.take(tmp_path, {}, lease_id="other")
        other.kill()
        other.wait()
        assert not is_alive(tmp_path, "other")
        assert [lease.id for lease in leases(tmp_path) if not lease.alive] == ["other"]
        assert [lease.id for lease in leases(tmp_path)] == [mine.id]
    assert leases(tmp_path) == []


def test_a_removed_lease_is_made_anew(tmp_path):
    """Its owner lives, and looked dead to the others for a moment."""
    with Lease.take(tmp_path, {"client": "cursor"}) as lease:
        (tmp_path / f"{lease.id}.lease").unlink()
        assert not is_alive(tmp_path, lease.id)
        lease.keep()
        assert [(each.alive, each.description) for each in leases(tmp_path)] == [(True, {"client": "cursor"})]


def test_probing_readers_never_cost_an_owner_its_lock(tmp_path):
    """Whoever asks in a loop whether it is held does not make it look held."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom mcp_e2e.process.locks import FileLock\nprint(1, flush=True)\n"
        "while True: FileLock.is_held(Path(sys.argv[1]))"
    )
    lock = FileLock(tmp_path / "lock")
    lock.path.touch()
    reader = subprocess.Popen([sys.executable, "-c", code, str(lock.path)], stdout=subprocess.PIPE)
    try:
        reader.stdout.readline()
        for _ in range(2000):
            assert lock.try_acquire()
            lock.release()
    finally:
        reader.kill()
        reader.communicate()
