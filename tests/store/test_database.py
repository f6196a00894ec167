"""One transaction per piece of work: whole under cancellation, under many processes, under kill -9."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from mcp_e2e.errors import StoreError
from mcp_e2e.store import migrations
from tests.store.founding import opened

OPEN_AND_ADD = """
import sys
from pathlib import Path
import anyio
from mcp_e2e.store import events
from tests.store.founding import opened

async def main(path, count):
    async with opened(Path(path)) as database:
        for n in range(count):
            await database.run(lambda con: events.record(con, "test", 0.0, n=n))

anyio.run(main, sys.argv[1], int(sys.argv[2]))
"""


def count(path: Path) -> int:
    with sqlite3.connect(path) as con:
        found: int = con.execute("SELECT count(*) FROM events").fetchone()[0]
    con.close()
    return found


async def test_eight_processes_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    """Each takes the lock before it looks, so the schema is made once and no row is lost."""
    path = tmp_path / "state.db"
    racers = [subprocess.Popen([sys.executable, "-c", OPEN_AND_ADD, str(path), "25"]) for _ in range(8)]

    codes = [racer.wait(50) for racer in racers]

    assert codes == [0] * 8
    assert count(path) == 8 * 25


async def test_many_connections_open_a_new_file_at_the_same_moment(tmp_path: Path) -> None:
    """Switching to WAL does not wait for the others by itself; the room does."""

    async def open_one(path: Path) -> None:
        async with opened(path) as database:
            await database.run(lambda con: con.execute("SELECT 1").fetchone())

    for n in range(15):
        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(open_one, tmp_path / f"state{n}.db")


async def test_a_cancelled_caller_leaves_a_transaction_whole(tmp_path: Path) -> None:
    """Both rows or none, and the connection goes on working."""
    path = tmp_path / "state.db"

    def two_rows(con: sqlite3.Connection) -> None:
        for at in (1.0, 2.0):
            con.execute("INSERT INTO events (at, kind, body) VALUES (?, 'pair', '{}')", (at,))

    async with opened(path) as database:
        for delay in (0.0, 0.0001, 0.001):
            for _ in range(20):
                with anyio.move_on_after(delay):
                    await database.run(two_rows)
        await database.run(two_rows)

    found = count(path)
    assert found % 2 == 0
    assert found >= 2


async def test_many_tasks_share_one_connection(tmp_path: Path) -> None:
    """Their transactions never mix: an increment made of a read and a write loses nothing."""

    def increment(con: sqlite3.Connection) -> None:
        (value,) = con.execute("SELECT coalesce(max(means), 0) FROM worlds").fetchone()
        con.execute("INSERT OR REPLACE INTO worlds VALUES ('count', ?)", (int(value) + 1,))

    async with opened(tmp_path / "state.db") as database, anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(database.run, increment)

    with sqlite3.connect(tmp_path / "state.db") as con:
        assert con.execute("SELECT means FROM worlds").fetchone() == ("50",)
    con.close()


async def test_work_that_raises_changes_nothing(tmp_path: Path) -> None:
    """Rolled back, and the error arrives as it is."""

    def half(con: sqlite3.Connection) -> None:
        con.execute("INSERT INTO events (at, kind, body) VALUES (1, 'half', '{}')")
        raise LookupError("half way")

    async with opened(tmp_path / "state.db") as database:
        with pytest.raises(LookupError, match="half way"):
            await database.run(half)

    assert count(tmp_path / "state.db") == 0


async def test_a_killed_writer_leaves_a_whole_database(tmp_path: Path) -> None:
    """kill -9 in the middle of many transactions: the file opens and is consistent."""
    path = tmp_path / "state.db"
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", OPEN_AND_ADD, str(path), "100000"])
        with anyio.fail_after(30):
            before = count(path) if path.exists() and has_events(path) else 0
            while not has_events(path) or count(path) < before + 20:
                await anyio.sleep(0.01)
        writer.kill()
        writer.wait()

    with sqlite3.connect(path) as con:
        assert con.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    con.close()


def has_events(path: Path) -> bool:
    with sqlite3.connect(path) as con:
        found = con.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchone()
    con.close()
    return found is not None


async def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    """A downgraded program must not guess."""
    path = tmp_path / "state.db"
    with sqlite3.connect(path) as con:
        con.execute("PRAGMA user_version = 99")
    con.close()

    with pytest.raises(StoreError, match="newer version"):
        async with opened(path):
            pass


def add(con: sqlite3.Connection) -> None:
    con.execute("INSERT INTO events (at, kind, body) VALUES (1, 'one', '{}')")


async def test_nothing_is_read_from_a_lost_file(tmp_path: Path) -> None:
    """Work begins on the database that is in force."""

    def refuse_a_second(con: sqlite3.Connection) -> None:
        if con.execute("SELECT 1 FROM events").fetchone():
            raise LookupError("there is one already")
        add(con)

    async with opened(tmp_path / "state.db") as database:
        await database.run(refuse_a_second)
        (tmp_path / "state.db").unlink()
        await database.run(refuse_a_second)

    assert count(tmp_path / "state.db") == 1


async def test_what_was_written_to_a_lost_file_is_written_again(tmp_path: Path) -> None:
    """Once: a file that went away under a transaction is nobody's any more."""
    path = tmp_path / "state.db"
    harms = [path.unlink]

    def write(con: sqlite3.Connection) -> None:
        add(con)
        while harms:
            harms.pop()()

    async with opened(path) as database:
        await database.run(write)

    assert count(path) == 1


def schema(con: sqlite3.Connection) -> list[tuple[str, ...]]:
    return con.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()


def test_replayed_migrations_equal_the_fresh_schema(tmp_path: Path) -> None:
    """Step by step from every older version, or at once: the same tables."""
    with sqlite3.connect(":memory:", isolation_level=None) as fresh:
        migrations.migrate(fresh)
    for version in range(len(migrations.scripts())):
        with sqlite3.connect(":memory:", isolation_level=None) as old:
            for script in migrations.scripts()[:version]:
                for statement in migrations.statements(script):
                    old.execute(statement)
            old.execute(f"PRAGMA user_version = {version}")
            migrations.migrate(old)
            assert schema(old) == schema(fresh)
        old.close()
    fresh.close()


def test_migrating_again_changes_nothing() -> None:
    """Every server runs it at every start."""
    with sqlite3.connect(":memory:", isolation_level=None) as con:
        migrations.migrate(con)
        before = schema(con)
        migrations.migrate(con)
        assert schema(con) == before
    con.close()


def test_the_contracts_tables_exist() -> None:
    """Sessions, jobs, runs, slots, attempts, checkpoints, ledger, breaker and events."""
    with sqlite3.connect(":memory:", isolation_level=None) as con:
        migrations.migrate(con)
        names = {name for kind, name, _ in schema(con) if kind == "table"}
    con.close()

    wanted = {"sessions", "jobs", "runs", "slots", "attempts", "checkpoints", "ledger", "breaker", "events"}
    assert wanted <= names
