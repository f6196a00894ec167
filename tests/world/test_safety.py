"""A repository's configuration may name programs; looking at it runs none of them."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Repo, new_repo

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the programs are shell scripts")


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """Exists when a program of the repository ran."""
    return tmp_path / "ran"


def program(ran: Path) -> str:
    path = ran.with_name("program")
    path.write_text(f"#!/bin/sh\ntouch '{ran}'\ncat\n")
    path.chmod(0o755)
    return str(path)


def with_fsmonitor(repo: Repo, ran: Path) -> None:
    repo.git("config", "core.fsmonitor", program(ran))


def with_filter(repo: Repo, ran: Path, name: str = "my.odd=name") -> None:
    repo.git("config", f"filter.{name}.clean", program(ran))
    repo.git("config", f"filter.{name}.required", "true")
    repo.write(".git/info/attributes", f"*.py filter={name}\n")
    repo.write("a.py", "# b.py\n")  # as long as before: only its content tells


def with_process_filter(repo: Repo, ran: Path) -> None:
    repo.git("config", "filter.p.process", program(ran))
    repo.write(".git/info/attributes", "*.py filter=p\n")
    repo.write("a.py", "# b.py\n")


def with_hooks(repo: Repo, ran: Path) -> None:
    Path(program(ran)).rename(repo.root / ".git" / "hooks" / "post-index-change")
    (repo.root / "a.py").touch()


def with_fsmonitor_in_submodule(repo: Repo, ran: Path) -> None:
    other = new_repo(repo.root.parent / "other")
    repo.git("submodule", "--quiet", "add", str(other.root), "sub")
    Repo(repo.root / "sub").git("config", "core.fsmonitor", program(ran))


PROGRAMS = [with_fsmonitor, with_filter, with_process_filter, with_hooks, with_fsmonitor_in_submodule]


@pytest.mark.parametrize("planted", PROGRAMS)
async def test_no_program_of_the_repository_runs(repo, eyes, ran, planted):
    """git status by itself would run it, and the look is whole without it."""
    planted(repo, ran)
    await eyes.seen()
    assert not ran.exists()
    with contextlib.suppress(subprocess.CalledProcessError):  # a process filter that speaks nonsense fails it
        repo.git("status")
    assert ran.exists()


async def test_a_filter_of_the_user_runs(repo, eyes, ran, tmp_path, monkeypatch):
    """git-lfs is one: without it, each touched file would look changed."""
    config = tmp_path / "gitconfig"
    config.write_text(f'[filter "f"]\n\tclean = {program(ran)}\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    repo.write(".git/info/attributes", "*.py filter=f\n")
    repo.write("a.py", "# b.py\n")
    await eyes.seen()
    assert ran.exists()


async def test_the_environment_does_not_point_git_elsewhere(repo, eyes, tmp_path, monkeypatch):
    """A server started from a hook has such variables."""
    other = new_repo(tmp_path / "other")
    before = await eyes.seen()
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.root))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.root / ".git" / "none"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.excludesFile")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(other.write("ignore", "*\n")))
    assert await eyes.seen() == before
    repo.write("new.py", "new")
    assert (await eyes.seen()).loose != before.loose


async def test_looking_leaves_the_index_alone(repo, eyes):
    """A lock taken for a moment would fail the git of whoever works there."""
    os.utime(repo.root / "a.py", (1_000_000_000, 1_000_000_000))
    index = repo.root / ".git" / "index"
    before = index.read_bytes()
    await eyes.seen()
    assert index.read_bytes() == before
    repo.git("status")
    assert index.read_bytes() != before


async def test_settings_for_people_hide_nothing(repo, eyes):
    """New files and renames are asked for by name."""
    repo.git("config", "status.showUntrackedFiles", "no")
    repo.git("config", "status.renames", "copies")
    before = await eyes.seen()
    repo.write("new.py", "new")
    assert await eyes.seen() != before
