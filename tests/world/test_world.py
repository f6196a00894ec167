"""Looks that are shared, cancelled, late, and remembered."""

import os
import sys
import time
from pathlib import Path

import anyio
import psutil
import pytest

from mcp_e2e.world import Scope, World
from mcp_e2e.world.contents import Contents

HANG = 'echo $$ > "$0.new"; mv "$0.new" "$0.pid"; exec sleep 300'


async def until(path: Path) -> str:
    with anyio.fail_after(20):
        while not path.exists():
            await anyio.sleep(0.005)
    return path.read_text()


def later() -> int:
    """The clock of someone for whom all files have been at rest for long."""
    return time.time_ns() + 60_000_000_000


async def test_calls_at_once_share_one_look(repo, fake_git, tmp_path):
    """Eight callers, one git status, one answer."""
    git = fake_git('case "$*" in *status*) echo x >> "$0.log";; esac; exec $real "$@"')
    world, seen = World(git=git), []

    async def look() -> None:
        seen.append(await world.look(Scope(repo.root)))

    async with anyio.create_task_group() as calls:
        for _ in range(8):
            calls.start_soon(look)
    assert (tmp_path / "fake-git.log").read_text() == "x\n"
    assert len(seen) == 8
    assert len(set(seen)) == 1
    await look()
    assert (tmp_path / "fake-git.log").read_text() == "x\nx\n"


async def test_a_call_after_an_edit_never_gets_a_look_begun_before_it(repo, eyes, fake_git, tmp_path):
    """It waits for that one to end, and then for its own."""
    held = (
        'case "$*" in *status*) $real "$@" > "$0.out"; touch "$0.begun"; [ -p "$0.gate" ] && read x < "$0.gate";'
        'cat "$0.out";; *) exec $real "$@";; esac'
    )
    world, gate = World(git=fake_git(held)), tmp_path / "fake-git.gate"
    os.mkfifo(gate)
    seen = {}

    async def look(name: str) -> None:
        seen[name] = await world.look(Scope(repo.root))

    before = await eyes.seen()
    async with anyio.create_task_group() as calls:
        calls.start_soon(look, "early")
        await until(tmp_path / "fake-git.begun")
        repo.write("new.py", "new")
        calls.start_soon(look, "late")
        await anyio.wait_all_tasks_blocked()
        async with await anyio.open_file(gate, "w") as opened:
            gate.unlink()
            await opened.write("go\n")
    assert seen["early"] == before
    assert seen["late"] == await eyes.seen() != before


async def test_a_cancelled_caller_leaves_no_process(repo, fake_git, tmp_path):
    """While git hangs the loop goes on, which is how the call can be cancelled at all."""
    world = World(git=fake_git(HANG))
    async with anyio.create_task_group() as calls:
        calls.start_soon(world.look, Scope(repo.root))
        pid = int(await until(tmp_path / "fake-git.pid"))
        assert psutil.pid_exists(pid)
        began = time.monotonic()
        calls.cancel_scope.cancel()
    assert not psutil.pid_exists(pid)
    assert time.monotonic() - began < 5


async def test_who_waited_for_a_cancelled_look_takes_its_own(repo, eyes, fake_git, tmp_path):
    """One caller's end is not the others'."""
    git = fake_git(f'if [ -e "$0.pid" ]; then exec $real "$@"; fi; {HANG}')
    world, seen, first = World(git=git), [], anyio.CancelScope()

    async def look(scope: anyio.CancelScope) -> None:
        with scope:
            seen.append(await world.look(Scope(repo.root)))

    async with anyio.create_task_group() as calls:
        calls.start_soon(look, first)
        calls.start_soon(look, anyio.CancelScope())
        await until(tmp_path / "fake-git.pid")
        first.cancel()
    assert seen == [await eyes.seen()]


async def test_a_git_that_hangs_is_ended_and_the_folder_walked(repo, fake_git, tmp_path):
    """Within the deadline, with its children; what was seen without it still tells edits apart."""
    world = World(git=fake_git('sleep 300 & echo $! > "$0.pid"; wait'), deadline_s=1.0)
    began = time.monotonic()
    before = await world.look(Scope(repo.root))
    assert time.monotonic() - began < 8
    assert "git needs longer than" in before.partial
    pid = int(await until(tmp_path / "fake-git.pid"))
    with anyio.fail_after(5):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            await anyio.sleep(0.01)  # whoever adopts it reaps it
    repo.write("a.py", "other")
    assert (await world.look(Scope(repo.root))).tracked != before.tracked


async def test_a_file_system_that_hangs_does_not_hold_the_caller(tmp_path, fake_git, repo):
    """A look whose thread cannot even see the deadline is left behind, and said to be partial."""
    if sys.platform == "win32":
        pytest.skip("needs a pipe")
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    class Stuck(Contents):
        def state(self, path: str, **_: object) -> bytes:
            return gate.read_bytes()  # as a read from a dead server is: for ever

    world = World(deadline_s=0.2)
    world.contents = Stuck()
    found = await world.look(Scope(repo.root, files=(repo.root / "a.py",)))
    gate.write_bytes(b"")
    assert "the file system gave no answer" in found.partial


async def test_without_git_installed_the_folder_is_walked(repo):
    """And it is said that this is less than the checkout."""
    world = World(git="no-such-git-anywhere")
    before = await world.look(Scope(repo.root))
    assert "git is not installed" in before.partial
    repo.write("lib/b.py", "other")
    assert (await world.look(Scope(repo.root))).tracked != before.tracked


async def test_a_broken_checkout_is_walked(repo, eyes):
    """Its reason is git's own."""
    (repo.root / ".git" / "index").write_bytes(b"nonsense")
    before = await eyes.look()
    assert "git says" in before.partial
    repo.write("a.py", "other")
    assert (await eyes.look()).tracked != before.tracked


async def test_a_file_at_rest_is_read_once(repo, eyes):
    """The second look reads only what changed since."""
    world = World(now=later)
    for name in ("a.py", "new.py", "other.py"):
        repo.write(name, "changed")
    first = await world.look(Scope(repo.root))
    assert world.contents.reads == 3
    assert await world.look(Scope(repo.root)) == first
    assert world.contents.reads == 3
    repo.write("new.py", "changed again")
    assert await world.look(Scope(repo.root)) == await eyes.seen() != first
    assert world.contents.reads == 4


@pytest.mark.parametrize(("age_s", "reads"), [(-5, 2), (0, 2), (1.9, 2), (2.1, 1)])
def test_a_file_just_written_is_read_again(tmp_path, age_s, reads):
    """Another edit of the same size may fall into the same tick of the file system's clock."""
    path = tmp_path / "x"
    path.write_text("x")
    found = path.stat()
    contents = Contents(now=lambda: max(found.st_mtime_ns, found.st_ctime_ns) + int(age_s * 1e9))
    assert contents.state(str(path)) == contents.state(str(path))
    assert contents.reads == reads


@pytest.mark.skipif(sys.platform == "win32", reason="there is no time of change there, only of birth")
def test_an_edit_of_the_same_size_with_its_time_put_back_is_seen(tmp_path):
    """The kernel's own time of change cannot be put back."""
    path, contents = tmp_path / "x", Contents(now=later)

    def write(text: str) -> int:
        path.write_text(text)
        os.utime(path, (1_000_000_000, 1_000_000_000))
        return path.stat().st_ctime_ns

    before = write("one")
    state = contents.state(str(path))
    end = time.monotonic() + 5
    while write("two") == before:  # one tick of the kernel's clock, some milliseconds
        assert time.monotonic() < end
    assert contents.state(str(path)) != state


def test_the_state_of_a_file_is_what_git_calls_it(repo):
    """Or nothing could be compared with HEAD."""
    contents = Contents()
    for name in ("a.py", "lib/b.py"):
        _, mode, oid = repo.git("ls-tree", "--format=x %(objectmode) %(objectname)", "HEAD", name).split()
        assert contents.state(str(repo.root / name)) == f"{mode} {oid}".encode()
