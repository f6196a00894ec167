"""Folders without git, watched folders, globs and single files."""

import os
import sys
from pathlib import Path

import pytest

from mcp_e2e.world import Scope, World
from mcp_e2e.world.fingerprint import digest

from .conftest import Eyes, new_repo

posix = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there, and strange files are rarer")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """No checkout."""
    path = tmp_path / "plain"
    (path / "lib").mkdir(parents=True)
    (path / "a.py").write_text("one")
    (path / "lib" / "b.py").write_text("one")
    return path


@pytest.fixture
def plain(folder: Path) -> Eyes:
    return Eyes(World(), Scope(folder))


async def test_a_folder_without_git_is_compared_by_content(folder, plain):
    """Wholly: edits, new files and deletions count, touching and taking back do not."""
    before = await plain.seen()
    (folder / "lib" / "b.py").write_text("two")
    edited = await plain.seen()
    (folder / "new.py").write_text("new")
    new = await plain.seen()
    (folder / "a.py").unlink()
    assert len({before.tracked, edited.tracked, new.tracked, (await plain.seen()).tracked}) == 4
    (folder / "new.py").unlink()
    for name in ("a.py", "lib/b.py"):
        (folder / name).write_text("one")
        os.utime(folder / name, (1_000_000_000, 1_000_000_000))
    assert await plain.seen() == before


@pytest.mark.parametrize(
    "name", [".hidden/x", "node_modules/m/x", "lib/__pycache__/x", "env/lib/x", "state/db", "lib/.git"]
)
async def test_what_the_walk_skips(folder, plain, name):
    """Hidden folders, packages, caches, virtual environments, and what the scope excludes."""
    (folder / "env").mkdir()
    (folder / "env" / "pyvenv.cfg").write_text("")
    plain = plain.on(excluded=(folder / "state",), watched=(folder,))
    before = await plain.look()
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    assert (await plain.look()).id == before.id


async def test_the_order_of_creation_does_not_matter(tmp_path):
    """Nor where the folder lies."""
    names = [f"{at}.py" for at in range(40)]
    for root, order in (("x", names), ("deep/y", names[::-1])):
        (tmp_path / root).mkdir(parents=True)
        for name in order:
            (tmp_path / root / name).write_text(name)
    first, second = [await World().look(Scope(tmp_path / root)) for root in ("x", "deep/y")]
    assert first == second


async def test_a_folder_that_is_not_there_is_a_fact(tmp_path):
    """Its appearance is a change."""
    eyes = Eyes(World(), Scope(tmp_path / "later"))
    before = await eyes.seen()
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "a.py").write_text("")
    assert await eyes.seen() != before


async def test_more_files_than_the_limit_are_said(folder):
    """The first ones still count, in a fixed order."""
    for at in range(20):
        (folder / f"{at:02}.py").write_text("one")
    eyes = Eyes(World(max_files=10), Scope(folder))
    before = await eyes.look()
    assert "more than 10 files" in before.partial
    assert await eyes.look() == before
    (folder / "00.py").write_text("two")
    assert (await eyes.look()).id != before.id


@posix
async def test_a_strange_tree_raises_nothing(folder, plain):
    """A pipe is not read, a link in a circle not followed; what cannot be read is said."""
    os.mkfifo(folder / "pipe")
    (folder / "round").symlink_to(folder)
    (folder / "dangling").symlink_to("nowhere")
    await plain.seen()
    (folder / "self").symlink_to("self")
    named = plain.on(files=(folder / "self", folder / "pipe", folder / "lib", folder / "a.py" / "x"))
    assert "self cannot be read" in (await named.look()).partial
    if os.geteuid() != 0:
        (folder / "a.py").chmod(0)
        assert "a.py cannot be read" in (await plain.look()).partial


@posix
async def test_a_file_that_matches_a_glob_may_be_a_link(repo, eyes, folder):
    """The service has loaded what it points to."""
    (repo.root / "x.log").symlink_to(folder / "a.py")
    eyes = eyes.on(globs=((repo.root, "*.log"),))
    before = await eyes.seen()
    (folder / "a.py").write_text("two")
    assert (await eyes.seen()).tracked != before.tracked


def test_facts_have_no_order():
    """Globs find files in whatever order the disk has them; where one fact ends and the next begins still counts."""
    assert digest([b"a", b"bc"]) == digest([b"bc", b"a"]) != digest([b"ab", b"c"])


@posix
async def test_a_reason_is_text_whatever_the_file_is_called(folder, plain):
    """It goes into JSON."""
    names = [folder / "raw\udcff\nname"]
    names[0].symlink_to(names[0])
    assert "raw? name cannot be read" in (await plain.on(files=tuple(names)).look()).partial


@posix
async def test_a_project_reached_through_a_link_is_the_same(repo, eyes, tmp_path):
    """As /tmp is one on macOS."""
    (tmp_path / "link").symlink_to(repo.root)

    def through(root: Path) -> Eyes:
        named = (root / "lib" / "x.log", root / "x.log")
        return eyes.on(project=root, files=named, globs=((root, "*.log"),), excluded=(root / "state",))

    repo.write("x.log", "one")
    repo.write("state/db", "x")
    assert await through(tmp_path / "link").seen() == await through(repo.root).seen()


async def test_a_watched_folder_counts_wherever_it_lies(repo, eyes, folder):
    """Outside the checkout, or inside and ignored by it, as ComfyUI ignores its custom nodes."""
    repo.write(".gitignore", "/nodes/\n")
    inside = repo.write("nodes/n/x.py", "one")
    eyes = eyes.on(watched=(folder, repo.root / "nodes"))
    before = await eyes.seen()
    (folder / "a.py").write_text("two")
    outside = await eyes.seen()
    inside.write_text("two")
    assert len({before.tracked, outside.tracked, (await eyes.seen()).tracked}) == 3


async def test_what_is_watched_may_be_a_file(eyes, folder):
    """Whoever wrote its name there meant it."""
    eyes = eyes.on(watched=(folder / "a.py",))
    before = await eyes.seen()
    (folder / "a.py").write_text("two")
    assert (await eyes.seen()).tracked != before.tracked


async def test_a_watched_checkout_counts_as_git_sees_it(repo, eyes, tmp_path):
    """Its HEAD, its changes and its new files, and nothing that it ignores."""
    watched = new_repo(tmp_path / "watched")
    eyes = eyes.on(watched=(watched.root,))
    before = await eyes.seen()
    watched.write("x.log", "ignored")
    assert await eyes.seen() == before
    watched.write("a.py", "two")
    edited = await eyes.seen()
    watched.write("new.py", "two")
    new = await eyes.seen()
    watched.commit()
    assert len({before.tracked, edited.tracked, (await eyes.seen()).tracked}) == 3
    assert (new.tracked, new.loose != before.loose) == (edited.tracked, True)


async def test_named_files_count_even_when_ignored(repo, eyes, tmp_path):
    """By content, missing or there, inside or outside."""
    names = (repo.root / "settings.log", tmp_path / "outside.env")
    eyes = eyes.on(files=names)
    seen = [await eyes.seen()]
    for name in names:
        for text in ("one", "two"):
            name.write_text(text)
            seen.append(await eyes.seen())
    assert len({each.tracked for each in seen}) == 5
    for name in names:
        os.utime(name, (1_000_000_000, 1_000_000_000))
    assert await eyes.seen() == seen[-1]
    for name in names:
        name.unlink()
    assert await eyes.seen() == seen[0]


@posix
async def test_a_named_file_may_be_a_link(repo, eyes, tmp_path):
    """What counts is what is read through it."""
    (tmp_path / "real").write_text("one")
    (repo.root / "settings.log").symlink_to(tmp_path / "real")
    eyes = eyes.on(files=(repo.root / "settings.log",))
    before = await eyes.seen()
    (tmp_path / "real").write_text("two")
    assert await eyes.seen() != before


async def test_globs_count_even_when_ignored(repo, eyes, folder):
    """Each under its base folder, files only, also such as appear; the rest does not count."""
    eyes = eyes.on(globs=((repo.root / "lib", "**/*.log"), (folder, "*.py"), (folder, "../plain/lib/*.py")))
    seen = [await eyes.seen()]
    for path in (repo.root / "lib" / "deep" / "x.log", folder / "a.py", folder / "new.py", folder / "lib" / "b.py"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("changed")
        seen.append(await eyes.seen())
    assert len({each.tracked for each in seen}) == 5
    repo.write("x.log", "elsewhere")
    (folder / "x.txt").write_text("no match")
    assert await eyes.seen() == seen[-1]


async def test_globs_leave_out_what_is_excluded(folder, plain):
    """A wide glob must not count what each run writes."""
    plain = plain.on(globs=((folder, "**/*"),), excluded=(folder / "state",))
    before = await plain.seen()
    (folder / "state").mkdir()
    (folder / "state" / "db").write_text("x")
    assert await plain.seen() == before


async def test_an_absolute_glob_is_followed_and_an_impossible_one_said(folder, plain):
    """Neither raises."""
    plain = plain.on(project=folder / "lib", globs=((folder / "lib", str(folder / "*.py")),))
    before = await plain.seen()
    (folder / "a.py").write_text("two")
    assert await plain.seen() != before
    assert "glob" in (await plain.on(globs=((folder, ""),)).look()).partial
