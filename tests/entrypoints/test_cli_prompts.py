"""prompts export: files are made, kept, compared; nobody else's is touched."""

import json
import os
from pathlib import Path

import pytest

from mcp_e2e.adapters import files
from mcp_e2e.entrypoints.cli import run

MINE = "---\nname: run-e2e\n---\nmine\n"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, which is where the command is called."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "mcp-e2e.toml").touch()
    monkeypatch.chdir(folder)
    return folder


def export(*more: str) -> int:
    return run(["prompts", "export", *more])


def held(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_everything_is_made_and_then_found_as_it_is(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Four prompts in two places for skills, as prompt files, and a block; called again nothing changes."""
    assert export() == 0
    made = held(project)
    assert len(made) == 14
    assert {path for path in made if "run-e2e" in path} == {
        ".claude/skills/run-e2e/SKILL.md",
        ".agents/skills/run-e2e/SKILL.md",
        ".github/prompts/run-e2e.prompt.md",
    }
    assert export("--check") == 0
    assert export() == 0
    assert held(project) == made
    assert "unchanged  AGENTS.md" in capsys.readouterr().out


def test_check_names_what_has_drifted_and_writes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An edited file, a missing one, an edited block, somebody else's file; line ends are no drift."""
    export("--target", "skills")
    export("--target", "agents")
    skills = project / ".claude" / "skills"
    (skills / "run-e2e" / "SKILL.md").write_text((skills / "run-e2e" / "SKILL.md").read_text() + "more\n")
    (skills / "set-up" / "SKILL.md").unlink()
    (skills / "resume-run" / "SKILL.md").write_text(MINE)
    windows = (skills / "debug-failure" / "SKILL.md").read_bytes().replace(b"\n", b"\r\n")
    (skills / "debug-failure" / "SKILL.md").write_bytes(windows)
    agents = project / "AGENTS.md"
    agents.write_text("# Ours\n" + agents.read_text().replace("`status`", "`report`"))
    before = held(project)
    capsys.readouterr()

    assert export("--target", "skills", "--check", "--json") == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "differs"
    assert {each["path"].split("/")[2]: each["state"] for each in error["files"]} == {
        "run-e2e": "differs",
        "set-up": "missing",
        "resume-run": "foreign",
    }
    assert export("--target", "agents", "--check") == 1
    assert held(project) == before


def test_a_file_of_somebody_else_is_kept_unless_forced(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing at all is written then, also none of the others."""
    file = project / ".agents" / "skills" / "run-e2e" / "SKILL.md"
    file.parent.mkdir(parents=True)
    file.write_text(MINE)
    before = held(project)

    assert export() == 2
    assert ".agents/skills/run-e2e/SKILL.md is not of this command" in capsys.readouterr().err
    assert held(project) == before
    assert export("--force") == 0
    assert file.read_text() != MINE
    assert export("--check") == 0


def test_links_are_followed_and_kept(project: Path) -> None:
    """AGENTS.md that is a link to another file, and one place of skills that is a link to the other."""
    (project / "CLAUDE.md").write_bytes(b"\xef\xbb\xbf# Ours\r\n")
    (project / "CLAUDE.md").chmod(0o640)
    (project / "AGENTS.md").symlink_to("CLAUDE.md")
    (project / ".claude" / "skills").mkdir(parents=True)
    (project / ".agents").mkdir()
    (project / ".agents" / "skills").symlink_to("../.claude/skills")

    assert export() == 0
    assert (project / "AGENTS.md").is_symlink()
    assert (project / "CLAUDE.md").read_bytes().startswith(b"\xef\xbb\xbf# Ours\r\n\r\n<!-- mcp-e2e:begin")
    assert (project / "CLAUDE.md").stat().st_mode & 0o777 == 0o640
    assert (project / ".agents" / "skills").is_symlink()
    assert export("--check") == 0


def test_a_link_out_of_the_folder_is_not_written_through(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What lies elsewhere belongs to other projects too."""
    outside = project.parent / "AGENTS.md"
    outside.write_text("# All projects\n")
    (project / "AGENTS.md").symlink_to(outside)

    assert export() == 2
    assert f"AGENTS.md leads out of the folder, to {outside}" in capsys.readouterr().err
    assert outside.read_text() == "# All projects\n"
    assert export("--target", "skills") == 0


def test_what_is_protected_or_changes_meanwhile_is_left(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `install` leaves it: who has protected or just written AGENTS.md keeps what is in it."""
    file = project / "AGENTS.md"
    file.write_text("# Mine\n")
    flush = os.fsync

    def others_write(fd: int) -> None:
        flush(fd)
        file.write_text("# Mine, and more\n")

    monkeypatch.setattr(files.os, "fsync", others_write)
    assert export("--target", "agents") == 8
    assert "has been changed meanwhile" in capsys.readouterr().err
    monkeypatch.setattr(files.os, "fsync", flush)

    file.chmod(0o444)
    monkeypatch.setattr(files.os, "access", lambda path, mode: bool(Path(path).stat().st_mode & 0o200))  # as no root
    assert export("--target", "agents") == 2
    assert f"{file} cannot be written: it is write-protected" in capsys.readouterr().err
    assert len([*project.iterdir()]) == len(["mcp-e2e.toml", "AGENTS.md"])
    assert file.read_text() == "# Mine, and more\n"


def test_the_folder_may_be_another_one(project: Path, tmp_path: Path) -> None:
    """As said with --to, which must be there."""
    assert export("--to", str(tmp_path / "other")) == 2
    (tmp_path / "other").mkdir()
    assert export("--to", str(tmp_path / "other"), "--target", "vscode") == 0
    assert len(held(tmp_path / "other")) == 4
    assert held(project) == {"mcp-e2e.toml": b""}


def test_broken_markers_are_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And the file is left for a person to repair."""
    (project / "AGENTS.md").write_text("<!-- mcp-e2e:begin -->\n")
    assert export() == 2
    assert "that are no pair (in this order: begin)" in capsys.readouterr().err
    assert held(project) == {"mcp-e2e.toml": b"", "AGENTS.md": b"<!-- mcp-e2e:begin -->\n"}


def test_a_job_may_compare_and_not_write(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of a user's may check for drift."""
    export()
    monkeypatch.setenv("MCP_E2E_JOB", "j-1")
    assert export() == 6
    assert export("--check") == 0
