"""Real checkouts in a folder of the test's own, whatever git's configuration on this machine says."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mcp_e2e.world import Fingerprint, Scope, World

ISOLATED = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}
NAMED = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always"]


@dataclass(frozen=True)
class Repo:
    """A checkout with one commit: ``a.py``, ``run.sh`` and ``lib/b.py``; ``*.log`` is ignored."""

    root: Path

    def git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", *NAMED, *words], cwd=self.root, env={**os.environ, **ISOLATED}, capture_output=True, check=True
        )
        return os.fsdecode(done.stdout)

    def write(self, name: str, text: str = "") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "-qm", "c", "--allow-empty")


def new_repo(root: Path) -> Repo:
    root.mkdir(parents=True)
    repo = Repo(root)
    repo.git("init", "-q", "-b", "main")
    for name in ("a.py", "run.sh", "lib/b.py"):
        repo.write(name, f"# {name}\n")
    repo.write(".gitignore", "*.log\n")
    repo.commit()
    return repo


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ISOLATED.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return new_repo(tmp_path / "repo")


@dataclass(frozen=True)
class Eyes:
    """Looks at one scope with one ``World``; ``seen`` is a look that must have seen all."""

    world: World
    scope: Scope

    async def look(self) -> Fingerprint:
        return await self.world.look(self.scope)

    async def seen(self) -> Fingerprint:
        fingerprint = await self.look()
        assert fingerprint.partial is None
        return fingerprint

    def on(self, **scope: object) -> "Eyes":
        return Eyes(self.world, replace(self.scope, **scope))


@pytest.fixture
def eyes(repo: Repo) -> Eyes:
    return Eyes(World(), Scope(repo.root))


@pytest.fixture
def fake_git(tmp_path: Path) -> Callable[[str], str]:
    """A program in git's place, written in sh; ``$real`` is git."""
    if sys.platform == "win32":
        pytest.skip("needs a shell script as a program")

    def written(script: str) -> str:
        path = tmp_path / "fake-git"
        path.write_text(f"#!/bin/sh\nreal=git\n{script}\n", "utf-8")
        path.chmod(0o755)
        return str(path)

    return written
