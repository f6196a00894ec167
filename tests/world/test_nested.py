"""Submodules, and checkouts inside others."""

import shutil

import pytest

from .conftest import Repo, new_repo


@pytest.fixture
def sub(repo: Repo) -> Repo:
    """A submodule of a submodule of ``repo``."""
    inner = new_repo(repo.root.parent / "inner")
    outer = new_repo(repo.root.parent / "outer")
    outer.git("submodule", "--quiet", "add", str(inner.root), "inner")
    outer.commit()
    repo.git("submodule", "--quiet", "add", str(outer.root), "outer")
    repo.git("submodule", "--quiet", "update", "--init", "--recursive")
    repo.commit()
    return Repo(repo.root / "outer")


@pytest.mark.parametrize("name", ["a.py", "inner/a.py"])
async def test_an_edit_in_a_submodule_is_a_change_of_the_tracked_half(repo, eyes, sub, name):
    """By what it holds, and taken back it is none."""
    before = await eyes.seen()
    sub.write(name, "one")
    one = await eyes.seen()
    sub.write(name, "two")
    two = await eyes.seen()
    assert len({before.tracked, one.tracked, two.tracked}) == 3
    sub.write(name, "# a.py\n")
    assert await eyes.seen() == before


async def test_a_new_file_in_a_submodule_is_loose(repo, eyes, sub):
    """As it would be outside."""
    before = await eyes.seen()
    sub.write("inner/new.py", "one")
    one = await eyes.seen()
    sub.write("inner/new.py", "two")
    two = await eyes.seen()
    assert before.tracked == one.tracked == two.tracked
    assert len({before.loose, one.loose, two.loose}) == 3


async def test_another_commit_in_a_submodule_is_a_change(repo, eyes, sub):
    """Staging it in the outer checkout is none."""
    before = await eyes.seen()
    sub.write("a.py", "one")
    sub.commit()
    moved = await eyes.seen()
    assert moved.tracked != before.tracked
    repo.git("add", "outer")
    assert await eyes.seen() == moved
    sub.git("checkout", "-q", "HEAD~")
    assert await eyes.seen() == before


async def test_a_submodule_that_is_told_to_be_ignored_counts(repo, eyes, sub):
    """That setting is for the eyes of people."""
    repo.git("config", "submodule.outer.ignore", "all")
    before = await eyes.seen()
    sub.write("a.py", "one")
    assert (await eyes.seen()).tracked != before.tracked


async def test_a_submodule_that_is_gone_is_a_change(repo, eyes, sub):
    """An empty folder is not asked: git would answer for the checkout around it."""
    before = await eyes.seen()
    shutil.rmtree(sub.root)
    gone = await eyes.seen()
    assert gone.tracked != before.tracked
    (repo.root / "outer").write_text("one")
    one = await eyes.seen()
    (repo.root / "outer").write_text("two")
    assert len({gone.tracked, one.tracked, (await eyes.seen()).tracked}) == 3


async def test_an_untracked_checkout_is_looked_into(repo, eyes):
    """git names only its folder; edits and commits in it count as loose."""
    before = await eyes.seen()
    nested = new_repo(repo.root / "nodes" / "n")
    seen = [before, await eyes.seen()]
    nested.write("a.py", "one")
    seen.append(await eyes.seen())
    nested.write("new.py", "one")
    seen.append(await eyes.seen())
    nested.commit()
    seen.append(await eyes.seen())
    assert len({each.loose for each in seen}) == 5
    assert {each.tracked for each in seen} == {before.tracked}


async def test_exclusions_hold_in_nested_checkouts(repo, eyes):
    """A state folder may lie in one."""
    nested = new_repo(repo.root / "n")
    eyes = eyes.on(excluded=(nested.root / "state",))
    before = await eyes.seen()
    nested.write("state/db", "x")
    assert await eyes.seen() == before
    nested.write("other/db", "x")
    assert await eyes.seen() != before


async def test_too_deep_nesting_is_said(repo, eyes):
    """Not followed for ever, not kept silent."""
    folder = repo.root
    for _ in range(6):
        folder = new_repo(folder / "n").root
    assert "deep in one another" in (await eyes.look()).partial
