"""Cleaning: what is ours goes, everything else stays, whoever moves folders and files meanwhile."""

import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mcp_e2e.adapters.cleaning import Produced, clean_matching, clean_produced
from mcp_e2e.adapters.removal import plain_parts, remove
from mcp_e2e.errors import ConfigError

posix = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")


def write(path: Path, mtime: float = 2000.0, content: bytes = b"ours") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (mtime, mtime))
    return path


def produced(filename: str, subfolder: str = "", content: bytes = b"ours") -> Produced:
    """An attempt from 1990 to 2010 collected ``content``."""
    known = frozenset({(hashlib.sha256(content).hexdigest(), len(content))})
    return Produced(subfolder, filename, known, 1990.0, 2010.0)


def test_what_an_attempt_produced_is_deleted_by_name_content_and_age(tmp_path: Path) -> None:
    """Another content, another time or another name is somebody else's; folders stay, also empty ones."""
    doomed = [write(tmp_path / "a.png"), write(tmp_path / "sub/deep/b.png", 2011.5)]
    kept = [
        write(tmp_path / "other.png", content=b"mine"),
        write(tmp_path / "longer.png", content=b"ours too"),
        write(tmp_path / "late.png", 2013.0),
        write(tmp_path / "early.png", 1987.0),
        write(tmp_path / "unnamed.png"),
    ]
    (tmp_path / "folder.png").mkdir()
    names = ("a.png", "other.png", "longer.png", "late.png", "early.png", "folder.png", "gone.png")
    files = [*map(produced, names), produced("b.png", "sub/deep")]
    assert clean_produced(tmp_path, files) == doomed
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in doomed)
    assert (tmp_path / "sub/deep").is_dir()


@pytest.mark.parametrize(
    ("subfolder", "filename"),
    [
        ("..", "a.png"),
        ("sub/../..", "a.png"),
        ("sub\\..\\..", "a.png"),
        ("", "../a.png"),
        ("", "sub/a.png"),
        ("", ".."),
        ("", ""),
        ("/", "a.png"),
        ("C:\\outputs", "a.png"),
        ("C:", "a.png"),
        ("\\\\server\\share", "a.png"),
        ("//server/share", "a.png"),
        ("\\outputs", "a.png"),
        ("sub\0", "a.png"),
    ],
)
def test_a_server_cannot_name_a_file_outside_of_its_folder(tmp_path: Path, subfolder: str, filename: str) -> None:
    """Dots, absolute paths, drives and shares: nothing is deleted, on whatever system the name was made."""
    root = tmp_path / "outputs"
    kept = [write(tmp_path / "a.png"), write(root / "sub/a.png"), write(root / "a.png")]
    assert clean_produced(root, [produced(filename, subfolder)]) == []
    assert clean_produced(root, [produced(filename, f"{tmp_path}{subfolder}")]) == []
    assert all(path.exists() for path in kept)


def test_parts_are_plain_names() -> None:
    """Dots that mean nothing and doubled separators are left out."""
    assert plain_parts("a//./b", "c.png") == ("a", "b", "c.png")
    assert plain_parts("", "c.png") == ("c.png",)
    assert plain_parts("a/..", "c.png") is None
    assert plain_parts("", "") is None


@posix
def test_nothing_is_deleted_through_a_link(tmp_path: Path) -> None:
    """Neither through a linked folder, inside or outside, nor a linked file; what a link points to stays."""
    root, outside = tmp_path / "outputs", tmp_path / "outside"
    kept = [write(outside / "a.png"), write(root / "real/b.png")]
    (root / "out").symlink_to(outside)
    (root / "in").symlink_to(root / "real")
    (root / "c.png").symlink_to(outside / "a.png")
    files = [produced("a.png", "out"), produced("b.png", "in"), produced("c.png")]
    assert clean_produced(root, files) == []
    assert clean_matching(root, ["**/*.png", "out/*.png", "in/*.png", "*.png"], 0.0, until=1999.0) == []
    assert clean_matching(root, ["out/*.png", "in/*.png", "c.png"], 0.0) == []
    assert all(path.exists() for path in kept)
    assert (root / "c.png").is_symlink()


@posix
def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    """Its owner put the outputs onto another disk: inside means inside of what it points to."""
    write(tmp_path / "disk/a.png")
    (tmp_path / "outputs").symlink_to(tmp_path / "disk")
    assert clean_produced(tmp_path / "outputs", [produced("a.png")]) == [tmp_path / "outputs/a.png"]
    write(tmp_path / "disk/a.png")
    assert clean_matching(tmp_path / "outputs", ["*.png"], 0.0) == [(tmp_path / "disk/a.png").resolve()]


@posix
def test_another_name_of_a_file_keeps_its_content(tmp_path: Path) -> None:
    """A hard link that somebody made of an output is his."""
    write(tmp_path / "outputs/a.png")
    (tmp_path / "album.png").hardlink_to(tmp_path / "outputs/a.png")
    assert clean_produced(tmp_path / "outputs", [produced("a.png")]) != []
    assert (tmp_path / "album.png").read_bytes() == b"ours"


@posix
def test_a_pipe_or_a_device_is_never_read(tmp_path: Path) -> None:
    """It would hang for ever."""
    os.mkfifo(tmp_path / "a.png")
    os.utime(tmp_path / "a.png", (2000.0, 2000.0))
    assert clean_produced(tmp_path, [produced("a.png", content=b"")]) == []
    assert clean_matching(tmp_path, ["*.png"], 0.0) == []
    assert (tmp_path / "a.png").exists()


def after_look(act: Callable[[], None]) -> Callable[[os.stat_result, Callable[[], str]], bool]:
    """A judge in whose moment the world changes."""

    def judge(found: os.stat_result, sha256: Callable[[], str]) -> bool:
        act()
        return True

    return judge


@posix
def test_a_folder_that_becomes_a_link_meanwhile_leads_nowhere(tmp_path: Path) -> None:
    """Between the look and the deletion it is swapped for a link to a folder with a file of that name."""
    root, outside = tmp_path / "outputs", tmp_path / "outside"
    write(root / "sub/a.png")
    precious = write(outside / "a.png", content=b"precious")

    def swap() -> None:
        (root / "sub").rename(root / "moved")
        (root / "sub").symlink_to(outside)

    assert remove(root, ("sub", "a.png"), after_look(swap))
    assert precious.read_bytes() == b"precious"
    assert not (root / "moved/a.png").exists()


@pytest.mark.parametrize("how", ["replaced", "rewritten", "linked"])
@posix
def test_a_file_that_is_another_one_meanwhile_stays(tmp_path: Path, how: str) -> None:
    """It was looked at, and before it is deleted somebody puts his own in its place."""
    path, his = write(tmp_path / "a.png"), write(tmp_path / "his.png", content=b"his!")

    def change() -> None:
        if how == "replaced":
            his.rename(path)
        elif how == "rewritten":
            path.write_bytes(b"his!")
        else:
            path.unlink()
            path.symlink_to(his)

    assert not remove(tmp_path, ("a.png",), after_look(change))
    assert path.read_bytes() == b"his!"


@posix
def test_a_file_that_is_replaced_before_it_is_read_is_not_taken_for_ours(tmp_path: Path) -> None:
    """The content that proves it is the content of what was looked at."""
    path, other = write(tmp_path / "a.png", content=b"his!"), write(tmp_path / "b.png")
    read = []

    def judge(found: os.stat_result, sha256: Callable[[], str]) -> bool:
        path.rename(tmp_path / "aside.png")
        other.rename(path)
        read.append(sha256())
        return True

    assert not remove(tmp_path, ("a.png",), judge)
    assert read == []
    assert path.exists()


def test_globs_take_what_is_newer_than_the_session_and_not_in_work(tmp_path: Path) -> None:
    """Older files, files of an attempt that runs now, folders, git and spared folders stay."""
    doomed = [write(tmp_path / "output/a.png"), write(tmp_path / "output/deep/b.png")]
    kept = [
        write(tmp_path / "output/old.png", 500.0),
        write(tmp_path / "output/running.png", 3000.0),
        write(tmp_path / "output/a.txt"),
        write(tmp_path / ".git/objects/c.png"),
        write(tmp_path / "state/private/d.png"),
    ]
    (tmp_path / "output/dir.png").mkdir()
    deleted = clean_matching(tmp_path, ["**/*.png"], 1000.0, until=2500.0, spare=[tmp_path / "state"])
    assert deleted == sorted(path.resolve() for path in doomed)
    assert all(path.exists() for path in kept)
    assert (tmp_path / "output/dir.png").is_dir()


@pytest.mark.parametrize("pattern", ["../*.png", "/etc/*", "a/../../b", ""])
def test_a_glob_that_leaves_cwd_is_a_configuration_error(tmp_path: Path, pattern: str) -> None:
    """Better one clear error than a silent nothing."""
    with pytest.raises(ConfigError, match="clean"):
        clean_matching(tmp_path, [pattern], 0.0)


def test_a_root_that_is_gone_is_no_error(tmp_path: Path) -> None:
    """Somebody deleted the outputs folder: ComfyUI makes it again."""
    assert clean_produced(tmp_path / "gone", [produced("a.png")]) == []
    assert clean_matching(tmp_path / "gone", ["*.png"], 0.0) == []
    assert clean_produced(tmp_path, [replace(produced("a.png"), contents=frozenset())]) == []
