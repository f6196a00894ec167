"""What counts in a checkout, and what does not."""

import os
import shutil
import sys

import pytest

from .conftest import new_repo

posix = pytest.mark.skipif(sys.platform == "win32", reason="file modes, links and odd names of POSIX")

EDITS = {
    "edit": lambda repo: repo.write("a.py", "other"),
    "delete": lambda repo: (repo.root / "a.py").unlink(),
    "edit below": lambda repo: repo.write("lib/b.py", "other"),
    "commit": lambda repo: repo.git("commit", "-qm", "c", "--allow-empty"),
    "file becomes folder": lambda repo: ((repo.root / "a.py").unlink(), repo.write("a.py/x", "x")),
    "folder becomes file": lambda repo: (shutil.rmtree(repo.root / "lib"), repo.write("lib", "x")),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
async def test_what_happens_to_tracked_files_changes_the_tracked_half(repo, eyes, edit):
    """Whatever it is, and it has another id."""
    before = await eyes.seen()
    edit(repo)
    after = await eyes.seen()
    assert after.tracked != before.tracked
    assert after.id != before.id


async def test_two_edits_are_two_worlds(repo, eyes):
    """It is the content that counts, not that there is a change."""
    seen = set()
    for text in ("one", "two", "six"):
        repo.write("a.py", text)
        repo.write("new.py", text)
        fingerprint = await eyes.seen()
        seen |= {fingerprint.tracked, fingerprint.loose}
    assert len(seen) == 6


async def test_an_untracked_file_changes_only_the_loose_half(repo, eyes):
    """Also what it holds."""
    before = await eyes.seen()
    repo.write("new/x.py", "one")
    one = await eyes.seen()
    repo.write("new/x.py", "two")
    two = await eyes.seen()
    assert len({before.loose, one.loose, two.loose}) == 3
    assert before.tracked == one.tracked == two.tracked
    assert len({before.id, one.id, two.id}) == 3


async def test_ignored_files_do_not_count(repo, eyes):
    """A log written by each run is no progress, and neither is Python's own cache where nobody ignores it."""
    before = await eyes.seen()
    repo.write("run.log", "ran")
    repo.write("lib/__pycache__/b.pyc", "compiled")
    assert await eyes.seen() == before


async def test_edited_and_edited_back_is_the_world_of_before(repo, eyes):
    """Also when the edit was staged in between, and the index still holds it."""
    before = await eyes.seen()
    text = repo.write("a.py", "other") and "# a.py\n"
    assert await eyes.seen() != before
    repo.git("add", "a.py")
    repo.write("a.py", text)
    assert repo.git("status", "--porcelain").startswith("MM")
    assert await eyes.seen() == before


async def test_touching_changes_nothing(repo, eyes):
    """Neither a tracked, nor a changed, nor an untracked file."""
    repo.write("lib/b.py", "changed")
    repo.write("new.py", "new")
    before = await eyes.seen()
    for name in ("a.py", "lib/b.py", "new.py"):
        os.utime(repo.root / name, (1_000_000_000, 1_000_000_000))
    assert await eyes.seen() == before


STAGED = {
    "edit": lambda repo: repo.write("a.py", "other"),
    "new": lambda repo: repo.write("new.py", "new"),
    "delete": lambda repo: (repo.root / "a.py").unlink(),
    "rename": lambda repo: (repo.root / "a.py").rename(repo.root / "c.py"),
    "checkout of its own": lambda repo: new_repo(repo.root / "nested"),
}


@pytest.mark.parametrize("edit", STAGED.values(), ids=STAGED)
async def test_staging_changes_nothing(repo, eyes, edit):
    """git add of any change leaves both halves as they are."""
    edit(repo)
    before = await eyes.seen()
    repo.git("add", "--all")
    assert await eyes.seen() == before


async def test_the_index_alone_is_not_the_world(repo, eyes):
    """Taken out of the index but left on disk, or announced to it, a file is what it was."""
    before = await eyes.seen()
    repo.git("rm", "-q", "--cached", "a.py")
    assert await eyes.seen() == before
    repo.write("new.py", "new")
    loose = await eyes.seen()
    repo.git("add", "--intent-to-add", "new.py")
    assert await eyes.seen() == loose
    repo.git("add", "new.py")
    (repo.root / "new.py").unlink()
    assert await eyes.seen() == before


async def test_another_name_for_the_branch_changes_nothing(repo, eyes):
    """The commit is what is tested."""
    before = await eyes.seen()
    repo.git("switch", "-qc", "other")
    assert await eyes.seen() == before


@posix
async def test_the_executable_bit_counts(repo, eyes):
    """Of tracked and of new files, staged or not."""
    before = await eyes.seen()
    (repo.root / "run.sh").chmod(0o755)
    tracked = await eyes.seen()
    assert tracked.tracked != before.tracked
    new = repo.write("new.sh", "new")
    plain = await eyes.seen()
    new.chmod(0o755)
    executable = await eyes.seen()
    assert executable.loose != plain.loose
    repo.git("add", "--all")
    assert await eyes.seen() == executable


@posix
async def test_where_the_executable_bit_means_nothing_it_is_not_compared(repo, eyes):
    """On a Windows disk under WSL every file has it, and git is told so."""
    repo.git("config", "core.fileMode", "false")
    before = await eyes.seen()
    (repo.root / "a.py").chmod(0o755)
    repo.write("a.py", "other")
    repo.git("add", "a.py")
    repo.write("a.py", "# a.py\n")
    assert repo.git("status", "--porcelain").startswith("MM")
    assert await eyes.seen() == before


@posix
async def test_a_link_is_its_target_text(repo, eyes, tmp_path):
    """Where it points counts, what is there does not."""
    outside = tmp_path / "outside"
    outside.write_text("one")
    (repo.root / "link").symlink_to(outside)
    one = await eyes.seen()
    outside.write_text("two")
    assert await eyes.seen() == one
    (repo.root / "link").unlink()
    (repo.root / "link").symlink_to(tmp_path / "elsewhere")
    assert (await eyes.seen()).loose != one.loose
    repo.commit()
    committed = await eyes.seen()
    (repo.root / "link").unlink()
    (repo.root / "link").write_text(str(tmp_path / "elsewhere"))
    assert (await eyes.seen()).tracked != committed.tracked


@posix
@pytest.mark.parametrize(
    "name",
    [
        "with space",
        "with\nnewline",
        "tab\tquote\"'\\",
        " leading",
        "grün",
        "-dash",
        pytest.param("raw\udcff", marks=pytest.mark.skipif(sys.platform == "darwin", reason="names are UTF-8 there")),
    ],
)
async def test_odd_names_count_like_others(repo, eyes, name):
    """Untracked, staged, committed and changed, then gone."""
    before = await eyes.seen()
    repo.write(name, "one")
    one = await eyes.seen()
    repo.write(name, "two")
    two = await eyes.seen()
    assert len({before.loose, one.loose, two.loose}) == 3
    repo.commit()
    committed = await eyes.seen()
    repo.write(name, "three")
    changed = await eyes.seen()
    repo.git("mv", "--", name, "moved")
    moved = await eyes.seen()
    assert len({committed.tracked, changed.tracked, moved.tracked}) == 3


async def test_a_conflict_is_what_lies_on_disk(repo, eyes):
    """Each text of an unmerged file is a world; marking it resolved is none."""
    repo.git("switch", "-qc", "other")
    repo.write("a.py", "theirs")
    repo.commit()
    repo.git("switch", "-q", "main")
    before = await eyes.seen()
    repo.write("a.py", "ours")
    repo.commit()
    ours = await eyes.seen()
    with pytest.raises(Exception, match="merge"):
        repo.git("merge", "other")
    assert "\nu UU" in "\n" + repo.git("status", "--porcelain=v2")
    unmerged = await eyes.seen()
    repo.write("a.py", "resolved")
    resolved = await eyes.seen()
    assert len({before.tracked, ours.tracked, unmerged.tracked, resolved.tracked}) == 4
    repo.git("add", "a.py")
    assert await eyes.seen() == resolved
    repo.write("a.py", "ours")
    assert await eyes.seen() == ours
