"""Which part of a checkout counts, in checkouts of every kind."""

import os
from pathlib import Path

import pytest

from mcp_e2e.world import Scope, World

from .conftest import new_repo


@pytest.mark.parametrize("tracked", [True, False])
async def test_excluded_folders_do_not_count(repo, eyes, tracked):
    """Tracked or not, and only they: a neighbour whose name begins alike does."""
    repo.write("state/db", "one")
    if tracked:
        repo.commit()
    eyes = eyes.on(excluded=(repo.root / "state",))
    before = await eyes.seen()
    repo.write("state/db", "two")
    repo.write("state/new/x", "x")
    assert await eyes.seen() == before
    repo.write("state2/db", "x")
    assert await eyes.seen() != before


@pytest.mark.parametrize("project", [".", "lib"])
async def test_an_exclusion_of_the_project_excludes_nothing(repo, eyes, project):
    """A world that cannot change would make the guard refuse honest work."""
    eyes = eyes.on(project=repo.root / project, excluded=(repo.root / project, repo.root.parent))
    before = await eyes.seen()
    repo.write("lib/b.py", "other")
    assert await eyes.seen() != before


async def test_the_whole_checkout_counts_for_a_project_in_a_folder_of_it(repo, eyes):
    """The code under test lies beside the tests."""
    eyes = eyes.on(project=repo.root / "lib")
    before = await eyes.seen()
    repo.write("a.py", "other")
    assert (await eyes.seen()).tracked != before.tracked


async def test_a_project_that_its_checkout_ignores_is_walked(repo, eyes):
    """git is silent about it, and a world that never changes is the worse error."""
    repo.write(".gitignore", "/scratch/\n")
    repo.write("scratch/project/x.py", "one")
    eyes = eyes.on(project=repo.root / "scratch" / "project")
    before = await eyes.seen()
    repo.write("scratch/project/x.py", "two")
    assert await eyes.seen() != before


async def test_clones_with_the_same_content_are_one_world(repo, eyes, tmp_path):
    """In another folder, under another name, seen by another process."""
    repo.git("clone", "-q", str(repo.root), str(tmp_path / "far" / "other"))
    clone = type(repo)(tmp_path / "far" / "other")
    (tmp_path / "far" / "env").write_text("X=1")
    (tmp_path / "env").write_text("X=1")
    for each in (clone, repo):
        each.write("a.py", "changed")
        each.write("new/b.py", "new")
        each.write("cfg.log", "ignored, and named")
        new_repo(each.root / "nested")

    def scope(root: Path) -> Scope:
        return Scope(root, files=(root / "cfg.log", root.parent / "env"), globs=((root / "lib", "*.py"),))

    first = await eyes.world.look(scope(repo.root))
    assert await World().look(scope(clone.root)) == first


async def test_a_checkout_without_a_commit_is_one(tmp_path):
    """All its files are loose."""
    repo = new_repo(tmp_path / "model")
    empty = type(repo)(tmp_path / "empty")
    empty.root.mkdir()
    empty.git("init", "-q")
    before = await World().look(Scope(empty.root))
    empty.write("a.py", "x")
    after = await World().look(Scope(empty.root))
    assert (after.tracked, after.partial) == (before.tracked, None)
    assert after.loose != before.loose
    empty.git("add", "--all")
    assert await World().look(Scope(empty.root)) == after


async def test_large_files_count_by_size_and_time(repo, eyes):
    """They are never read."""
    large = repo.write("large.bin")
    with large.open("wb") as file:
        file.truncate(5 * 1024 * 1024)
    before = await eyes.seen()
    assert eyes.world.contents.reads == 0
    os.utime(large, (1_000_000_000, 1_000_000_000))
    assert (await eyes.seen()).loose != before.loose


async def test_a_linked_worktree_is_a_checkout(repo, eyes, tmp_path):
    """Its .git is a file."""
    repo.git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    linked = eyes.on(project=tmp_path / "linked")
    assert await linked.seen() == await eyes.seen()
    repo.write("a.py", "other")
    assert await linked.seen() != await eyes.seen()


async def test_git_of_the_sha256_kind(tmp_path, eyes):
    """Content is compared with HEAD in the repository's own hash."""
    repo = new_repo(tmp_path / "model")
    other = type(repo)(tmp_path / "sha256")
    other.root.mkdir()
    other.git("init", "-q", "--object-format=sha256")
    other.write("a.py", "one")
    other.commit()
    eyes = eyes.on(project=other.root)
    before = await eyes.seen()
    other.write("a.py", "two")
    assert await eyes.seen() != before
    other.git("add", "a.py")
    other.write("a.py", "one")
    assert await eyes.seen() == before
