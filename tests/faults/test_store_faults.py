"""What can happen to the database and to the disk below it: nothing is lost or doubled, and no breaker closes."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from mcp_e2e.bootstrap import App
from mcp_e2e.errors import Refused, StoreError
from mcp_e2e.executors.commands import LOOK_S
from mcp_e2e.process.locks import FileLock, leases
from mcp_e2e.store import breaker as breakers
from tests.usecases.conftest import Servers

STATE = ".mcp-e2e/private/state.db"
needs_mounts = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small or read-only disk takes root on Linux"
)


@asynccontextmanager
async def mounted(folder: Path, *words: str) -> AsyncIterator[None]:
    folder.mkdir(exist_ok=True)
    await anyio.run_process(["mount", *words, str(folder)])
    try:
        yield
    finally:
        await anyio.run_process(["umount", "--lazy", str(folder)])


def fill(folder: Path) -> Path:
    """Take all space that is left, down to the last byte."""
    hog = folder / "hog"
    with hog.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    return hog


async def use_up(app: App) -> None:
    """What the database's file itself has room for is written before it tells."""
    for _ in range(200):
        await app.execs.run(app.caller, command="true")


def rows(project: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(project / STATE)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def written_back(path: Path) -> None:
    """Empty the journal, from which SQLite could still heal the file."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def spoil(path: Path) -> None:
    """Overwrite every page but the first: the file opens, its tables are rubbish."""
    written_back(path)
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))


@needs_mounts
async def test_fault_32_full_disk(server: Servers, project: Path) -> None:
    """A command that runs while the disk fills ends and keeps its record; calls say so; with space all goes on."""
    async with mounted(project / ".mcp-e2e", "-t", "tmpfs", "-o", "size=16m", "tmpfs"), server() as app:
        begun = await app.attempts.run(app.caller, test="slow", wait_seconds=0.5)
        assert begun.state == "running"
        hog = fill(project / ".mcp-e2e")
        (project / "go").touch()
        with pytest.raises(StoreError, match="full"):
            await use_up(app)
        hog.unlink()
        done = await app.attempts.run(app.caller, test="slow", wait_seconds=30, checkpoint=True)
        assert (done.attempt, done.verdict) == (begun.attempt, "passed")
        assert rows(project, "SELECT count(*) FROM attempts") == [(1,)]
        assert (await app.attempts.run(app.caller, test="green")).verdict == "passed"


@needs_mounts
async def test_fault_32_full_disk_and_an_open_breaker(server: Servers, project: Path) -> None:
    """No server takes a breaker for closed because it cannot write."""
    async with mounted(project / ".mcp-e2e", "-t", "tmpfs", "-o", "size=16m", "tmpfs"):
        async with server(stops=False) as app:
            await app.breaker.lock(app.caller, reason="test")
            fill(project / ".mcp-e2e")
            for _ in range(3):
                with pytest.raises((StoreError, Refused)):
                    await app.attempts.run(app.caller, test="green")
        async with server(stops=False) as app:
            with pytest.raises((StoreError, Refused)):
                await app.attempts.run(app.caller, test="green")
        assert rows(project, "SELECT state FROM breaker ORDER BY seq DESC LIMIT 1") == [("open",)]
        assert rows(project, "SELECT count(*) FROM attempts") == [(0,)]


LOCKER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
"""


async def test_fault_33_another_process_locks_the_database(server: Servers, project: Path) -> None:
    """Who cannot wait as long gets a clear error and runs nothing; who can runs once, when the lock is gone."""
    async with server() as patient, server(client="hasty", stops=False) as hasty:
        for app in (patient, hasty):
            await app.execs.run(app.caller, command="true")
        await hasty._place.run(lambda con: con.execute("PRAGMA busy_timeout = 200"))
        line = [sys.executable, "-c", LOCKER, str(project / STATE)]
        locker = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert locker.stdout
        assert locker.stdout.readline() == "locked\n"

        async def wait_for_it() -> None:
            await patient.execs.run(patient.caller, command="echo patient >> ran")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait_for_it)
            with pytest.raises(StoreError, match="locked by another process"):
                await hasty.execs.run(hasty.caller, command="echo hasty >> ran")
            locker.communicate("\n")
    assert (project / "ran").read_text() == "patient\n"


WRITERS = """
import os, sys
from pathlib import Path
import anyio
from tests.store.founding import opened

def pair(con):
    for _ in range(2):
        con.execute("INSERT INTO events (at, kind, body) VALUES (1, 'pair', '{}')")
        os.write(told, b".")

async def write():
    async with opened(Path(sys.argv[1])) as database:
        while True:
            await database.run(pair)

for _ in range(40):
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        anyio.run(write)
    os.read(heard, 1)
    os.kill(child, 9)
    os.waitpid(child, 0)
"""


async def test_fault_34_forty_kills_inside_a_transaction(tmp_path: Path) -> None:
    """Each writer dies with one row of two written, or close to it: the file stays sound, and pairs are pairs."""
    path = tmp_path / "state.db"
    await anyio.run_process([sys.executable, "-c", WRITERS, str(path)])

    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    (count,) = connection.execute("SELECT count(*) FROM events WHERE kind = 'pair'").fetchone()
    connection.close()
    assert count % 2 == 0


def spoil_a_table(path: Path) -> None:
    """The schema stays readable: only whoever reads the whole file, or the table, finds out."""
    written_back(path)
    connection = sqlite3.connect(path)
    (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'ledger'").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


def delete(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    """By an empty file, as a careless copy would."""
    other = path.with_name("other")
    other.touch()
    other.rename(path)


def empty(path: Path) -> None:
    written_back(path)
    path.write_bytes(b"")


def overwrite(path: Path) -> None:
    written_back(path)
    path.write_bytes(b"this is no database" * 1000)


@pytest.mark.parametrize("harm", [spoil, spoil_a_table, delete, replace, empty, overwrite])
async def test_fault_35_the_database_is_harmed_under_a_server(
    server: Servers, project: Path, harm: Callable[[Path], None]
) -> None:
    """It goes on with a new one made from the jobs: same service, same process, and the breaker open."""
    async with server() as app, server(client="cursor", stops=False) as other:
        session = await app.sessions.start(app.caller)
        await app.execs.run(app.caller, command="echo kept")
        await other.status.show(other.caller)
        ((last,),) = rows(project, "SELECT max(id) FROM ledger")
        harm(project / STATE)
        for each in (app, other):
            with pytest.raises(Refused):
                await each.attempts.run(each.caller, test="green")
            assert breakers.LOST in (await each.breaker.show()).evidence
        await app.breaker.reset(app.caller, actor={})
        again = await other.sessions.start(other.caller)
        assert (again.pid, again.url, again.generation) == (session.pid, session.url, session.generation)
        assert rows(project, f"SELECT count(*) FROM ledger WHERE id <= {last}") == [(0,)]
        titles = [line.title for line in (await app.execs.job(app.caller)).jobs]
        assert any("echo kept" in title for title in titles)
    assert rows(project, "PRAGMA integrity_check") == [("ok",)]
    aside = list((project / STATE).parent.glob("damaged-*/state.db"))
    assert len(aside) == (0 if harm is delete else 1)


async def test_fault_35_a_copy_is_put_in_its_place(server: Servers, project: Path) -> None:
    """Servers go on with it, and with no journal of the file before: that one is not its own."""
    path = project / STATE
    async with server() as app, server(client="cursor", stops=False) as other:
        for each in (app, other):
            await each.execs.run(each.caller, command="true")
        written_back(path)
        copy = path.with_name("copy")
        copy.write_bytes(path.read_bytes())
        await app.execs.run(app.caller, command="echo of no copy")
        copy.rename(path)
        for each in (app, other):
            assert (await each.execs.run(each.caller, command="true")).exit_code == 0
        assert rows(project, "SELECT count(*) FROM ledger") == [(4,)]
    assert [each.name for each in path.parent.glob("damaged-*/*.db-shm")] == ["state.db-shm"]
    assert list(path.parent.glob("damaged-*/*.db")) == []


async def test_fault_35_under_a_running_test(server: Servers, project: Path) -> None:
    """The test runs to its end, its record is kept, and whoever waits is told so."""
    async with server() as app:
        await app.attempts.run(app.caller, test="slow", wait_seconds=0.5)
        ((job,),) = rows(project, "SELECT job FROM attempts")

        async def wait_for_it() -> None:
            with pytest.raises(StoreError, match="lost while slow"):
                await app.attempts.run(app.caller, test="slow", wait_seconds=30)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait_for_it)
            await anyio.wait_all_tasks_blocked()
            (project / STATE).unlink()
        looked = await app.execs.job(app.caller, action="wait", id=str(job), wait_seconds=2 * LOOK_S)
        assert looked.state == "running"
        (project / "go").touch()
        ended = await app.execs.job(app.caller, action="wait", id=str(job), wait_seconds=20)
        assert (ended.exit_code, ended.output) == (0, "gone\n")
        assert (await app.breaker.show()).state == "open"


async def test_fault_35_eight_processes_find_it_damaged(server: Servers, project: Path) -> None:
    """One of them makes the new one, all of them use it, and none sees a closed breaker."""
    async with server() as app:
        await app.execs.run(app.caller, command="true")
    spoil(project / STATE)
    line = [sys.executable, "-m", "mcp_e2e", "--project", str(project), "--json", "breaker", "status"]
    racers = [subprocess.Popen(line, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    told = [json.loads(racer.communicate(timeout=50)[0]) for racer in racers]

    assert {each["data"]["state"] for each in told} == {"open"}
    assert len({each["data"]["incident"] for each in told}) == 1
    assert len(list((project / STATE).parent.glob("damaged-*"))) == 1
    assert rows(project, "SELECT count(*) FROM events WHERE kind = 'database.rebuilt'") == [(1,)]


async def test_the_whole_state_folder_is_moved_away(server: Servers, project: Path) -> None:
    """A server that runs makes a new one, with the breaker open: that is no way to close it."""
    async with server(stops=False) as app:
        await app.breaker.lock(app.caller, reason="test")
        (project / ".mcp-e2e").rename(project / "elsewhere")
        with pytest.raises(Refused):
            await app.attempts.run(app.caller, test="green")
        assert breakers.LOST in (await app.breaker.show()).evidence
        await app.settle()
        private = project / ".mcp-e2e/private"
        assert [each.alive for each in leases(private / "leases")] == [True]
        incident = (await app.breaker.show()).incident
        assert (private / "founded").exists()
        assert (private / f"incidents/{incident}.json").exists()


async def test_only_one_process_makes_a_database(server: Servers, project: Path) -> None:
    """The others wait for it."""
    async with server() as app:
        await app.breaker.show()
    lock = FileLock(project / ".mcp-e2e/private/locks/database.lock")
    (project / STATE).unlink()
    assert lock.try_acquire()
    async with server() as app:
        with anyio.move_on_after(0.5) as waiting:
            await app.breaker.show()
        assert (waiting.cancelled_caught, (project / STATE).exists()) == (True, False)
        lock.release()
        assert (await app.breaker.show()).state == "open"


@needs_mounts
async def test_a_read_only_state_folder(server: Servers, project: Path) -> None:
    """What cannot be written is refused with the folder's name; nothing runs, and the command line says the same."""
    async with server() as app:
        await app.execs.run(app.caller, command="true")
        state = project / ".mcp-e2e"
        async with mounted(state, "--bind", str(state)):
            await anyio.run_process(["mount", "-o", "remount,bind,ro", str(state)])
            async with server(client="cursor", stops=False) as late:
                for each in (app, late):
                    with pytest.raises(StoreError, match="cannot be written"):
                        await each.execs.run(each.caller, command="echo x >> ran")
            line = [sys.executable, "-m", "mcp_e2e", "--project", str(project), "exec", "--", "touch", "ran"]
            done = await anyio.run_process(line, check=False)
        assert (done.returncode, b"cannot be written" in done.stderr) == (8, True)
        assert not (project / "ran").exists()
        assert (await app.execs.run(app.caller, command="echo x >> ran")).exit_code == 0
