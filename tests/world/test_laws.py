"""What holds for any tree of files and any order of work on it."""

import contextlib
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_e2e.world import Fingerprint, Scope, World

from .conftest import Repo

NAMES = ["a", "b c", "ü", "d/e", "d/f/g", "h.py"]
trees = st.dictionaries(st.sampled_from(NAMES), st.text("xy\n", max_size=3))
modest = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@contextlib.contextmanager
def repo_with(committed: dict[str, str], disk: dict[str, str]) -> Iterator[Repo]:
    """HEAD holds the one tree, the disk the other."""
    with tempfile.TemporaryDirectory() as folder:
        repo = Repo(Path(folder))
        repo.git("init", "-q", "-b", "main")
        fill(repo, committed)
        repo.commit()
        for name in committed.keys() - disk.keys():
            (repo.root / name).unlink()
        fill(repo, disk)
        yield repo


def fill(repo: Repo, tree: dict[str, str]) -> None:
    for name, text in tree.items():
        repo.write(name, text)


def seen(repo: Repo, world: World | None = None) -> Fingerprint:
    fingerprint = anyio.run((world or World()).look, Scope(repo.root))
    assert fingerprint.partial is None
    return fingerprint


@modest
@given(committed=trees, disk=trees, staged=st.sets(st.sampled_from(NAMES)), order=st.randoms())
def test_touching_staging_and_reordering_change_nothing(committed, disk, staged, order: random.Random):
    """What lies on disk and in HEAD is the world, however it came there and whatever the index says."""
    with repo_with(committed, disk) as repo:
        world = World()
        before = seen(repo, world)
        for name in staged & (committed.keys() | disk.keys()):
            repo.git("add", "--", name)
        names = order.sample(sorted(disk), len(disk))
        for name in names:
            os.utime(repo.root / name, (order.randrange(1, 10**9), order.randrange(1, 10**9)))
        assert seen(repo, world) == before
        for name in names:
            (repo.root / name).unlink()
        fill(repo, {name: disk[name] for name in reversed(names)})
        assert seen(repo, world) == before == seen(repo)


@modest
@given(committed=trees, disk=trees, other=trees)
def test_two_worlds_are_equal_just_when_their_files_are(committed, disk, other):
    """Over one HEAD: any edit, new file or deletion of a counted file is a change, and nothing else is."""
    with repo_with(committed, disk) as repo:
        world = World()
        before = seen(repo, world)
        repo.git("add", "--all")
        for name in disk.keys() - other.keys():
            (repo.root / name).unlink()
        fill(repo, other)
        assert (seen(repo, world) == before) == (other == disk)
