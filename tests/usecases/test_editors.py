"""``install`` on disk: what a person finds in the editors' files afterwards, and what is refused."""

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mcp_e2e.adapters import files
from mcp_e2e.adapters.editors import EDITORS
from mcp_e2e.adapters.editors.launch import Standing
from mcp_e2e.errors import ConfigError, UsageError
from mcp_e2e.settings import Where, discover
from mcp_e2e.usecases.editors import Editors, Installed, Order

OURS = '"e2e": {"command": "/old/bin/mcp-e2e", "args": ["serve"], "env": {"TOKEN": "t"}}'
FOREIGN = '{"mcpServers": {"e2e": {"command": "npx", "args": ["-y", "other"]}}}'
Install = Callable[..., Installed]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "my project"
    folder.mkdir()
    return folder


@pytest.fixture
def editors(project: Path, tmp_path: Path) -> Editors:
    return Editors(Where(project, project / "mcp-e2e.toml"), {"CODEX_HOME": str(tmp_path / "codex")}, tmp_path)


@pytest.fixture
def install(editors: Editors) -> Install:
    def call(editor: str = "claude", **how: bool) -> Installed:
        return editors.install(Order(editor, **how))

    return call


def folder_of(path: Path) -> dict[str, bytes]:
    return {str(each.relative_to(path)): each.read_bytes() for each in path.rglob("*") if each.is_file()}


@pytest.mark.parametrize("editor", EDITORS)
def test_a_new_file_is_right_and_stays_as_it_is(editor: str, install: Install, editors: Editors, project: Path) -> None:
    """Written once, readable as new files are here; the second time nothing is touched."""
    assert [sight.standing for sight in editors.look()] == [None] * len(EDITORS)
    made = install(editor)
    before = made.file.stat()

    assert (made.done, made.file) == ("created", project / EDITORS[editor].file)
    assert stat.S_IMODE(before.st_mode) == stat.S_IMODE(_usual(project))
    assert install(editor).done == "unchanged"
    assert made.file.stat() == before
    assert list(folder_of(project)) == [EDITORS[editor].file]
    assert [sight.editor for sight in editors.look() if sight.standing is Standing.RIGHT] == [editor]


def _usual(folder: Path) -> int:
    usual = folder.parent / "usual"
    usual.touch()
    return usual.stat().st_mode


def test_all_are_told_the_same_words(install: Install) -> None:
    """Each in its own shape, with what it needs besides."""
    entries = {editor: dict(install(editor).entry) for editor in EDITORS}
    words = [(entry.pop("command"), entry.pop("args")) for entry in entries.values()]
    stdio = {"type": "stdio"}
    limits = {"startup_timeout_sec": 30, "tool_timeout_sec": 360}

    assert words == [words[0]] * len(EDITORS)
    assert entries == {"claude": stdio, "vscode": stdio, "cursor": stdio, "codex": limits}


@pytest.mark.parametrize("editor", EDITORS)
def test_a_dry_run_shows_what_would_be_written_and_writes_nothing(editor: str, install: Install, project: Path) -> None:
    """A new file as a whole; then, for a change, the lines of a patch."""
    shown = install(editor, dry_run=True)
    assert (shown.done, folder_of(project)) == ("would be created", {})
    made = install(editor)
    assert made.file.read_text() == shown.diff == made.diff

    made.file.write_text(shown.diff.replace(str(project), "/elsewhere"))
    change = install(editor, dry_run=True)
    assert change.done == "would be changed"
    assert [line[0] for line in change.diff.splitlines() if "elsewhere" in line or str(project) in line[5:]][-2:] == [
        "-",
        "+",
    ]
    assert "/elsewhere" in made.file.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="rights and links of POSIX")
def test_mark_line_ends_rights_and_link_stay(install: Install, project: Path, tmp_path: Path) -> None:
    """The file that a link leads to is the one that is changed; no draft is left anywhere."""
    real = tmp_path / "dotfiles" / "mcp.json"
    real.parent.mkdir()
    real.write_bytes(b'\xef\xbb\xbf{\r\n  // mine\r\n  "mcpServers": {}\r\n}\r\n')
    real.chmod(0o640)
    (project / ".mcp.json").symlink_to(real)

    assert install().done == "changed"

    data = real.read_bytes()
    assert data.startswith(b'\xef\xbb\xbf{\r\n  // mine\r\n  "mcpServers": {\r\n    "e2e": {\r\n')
    assert data.endswith(b"\r\n  }\r\n}\r\n")
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert (project / ".mcp.json").is_symlink()
    assert [*real.parent.iterdir(), *project.iterdir()] == [real, project / ".mcp.json"]


def test_an_older_entry_of_ours_is_brought_up_to_date(install: Install, project: Path) -> None:
    """What a person has added to it stays."""
    (project / ".mcp.json").write_text(f'{{"mcpServers": {{{OURS}}}}}')
    made = install()
    text = (project / ".mcp.json").read_text()

    assert made.done == "changed"
    assert '"env": {"TOKEN": "t"}' in text
    assert "/old/bin" not in text
    assert install().done == "unchanged"


def test_another_programs_entry_is_left_unless_forced(install: Install, project: Path) -> None:
    """And then nothing of it is left."""
    file = project / ".mcp.json"
    file.write_text(FOREIGN)
    with pytest.raises(UsageError, match="e2e starts another program: npx ") as caught:
        install()
    assert "--force" in caught.value.advice
    assert file.read_text() == FOREIGN

    assert install(force=True).done == "changed"
    assert "npx" not in file.read_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{\n  "mcpServers": {\n    "a": {}\n    "b": {}\n  }\n}', 'line 4, column 5: expected "," or "}", found'),
        (b'{"mcpServers": []}', "holds no servers by name"),
        (b"\xff\xfe{\x00}\x00", "UTF-16"),
        (b'{"a": "\xe9"}', "is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_understood_is_left(text: bytes, said: str, install: Install, project: Path) -> None:
    """The place is named; so is what to write by hand, where that would help."""
    (project / ".mcp.json").write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        install()

    assert said in caught.value.message
    assert "UTF" in said or str(project) in caught.value.advice
    assert folder_of(project) == {".mcp.json": text}


@pytest.mark.skipif(sys.platform == "win32", reason="rights of POSIX")
def test_what_may_not_be_written_is_left(install: Install, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that its owner has protected is not replaced by one that he has not."""
    file = project / ".mcp.json"
    file.write_text("{}")
    file.chmod(0o444)
    monkeypatch.setattr(files.os, "access", lambda path, mode: bool(Path(path).stat().st_mode & 0o200))  # as no root
    with pytest.raises(ConfigError, match="write-protected"):
        install()
    assert folder_of(project) == {".mcp.json": b"{}"}


def test_a_file_that_changes_under_our_hands_is_left(
    install: Install, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wrote it meanwhile keeps what he wrote."""
    file = project / ".mcp.json"
    file.write_text("{}")
    flush = os.fsync

    def others_write(fd: int) -> None:
        flush(fd)
        file.write_text('{"by": "others"}')

    monkeypatch.setattr(files.os, "fsync", others_write)
    with pytest.raises(ConfigError, match="changed meanwhile"):
        install()
    assert folder_of(project) == {".mcp.json": b'{"by": "others"}'}


def test_codex_has_a_file_of_the_users_own(install: Install, editors: Editors, tmp_path: Path, project: Path) -> None:
    """Where CODEX_HOME says; the others are told that they have none here."""
    made = install("codex", user=True)
    assert made.file == tmp_path / "codex" / "config.toml"
    assert folder_of(project) == {}
    assert [sight.file for sight in editors.look() if sight.standing] == [made.file]
    with pytest.raises(UsageError, match="--user is only for codex"):
        install("cursor", user=True)


def test_a_second_entry_of_ours_is_told(install: Install, project: Path) -> None:
    """Two servers for one project confuse whoever has to choose."""
    (project / ".mcp.json").write_text('{"mcpServers": {"tests": {"command": "uvx", "args": ["mcp-e2e", "serve"]}}}')
    assert install().notes == ("the server tests in the same file starts mcp-e2e too: one of the two is enough",)


def test_the_users_own_file_serves_one_project(install: Install, editors: Editors, tmp_path: Path) -> None:
    """That it served another is told by a look, and by the change."""
    made = install("codex", user=True)
    made.file.write_text(made.diff.replace(str(tmp_path / "my project"), str(tmp_path)))
    (seen,) = [sight for sight in editors.look() if sight.standing]

    assert (seen.standing, seen.users) == (Standing.ELSEWHERE, True)
    assert install("codex", user=True).notes == (f"the entry that was there is for another project: {tmp_path}",)


def test_what_is_looked_at_may_be_broken(editors: Editors, project: Path) -> None:
    """The place is told, and the other files are looked at all the same."""
    (project / ".mcp.json").write_text("{")
    (project / ".cursor").mkdir()
    (project / ".cursor" / "mcp.json").write_text(FOREIGN)
    seen = {sight.editor: sight for sight in editors.look()}

    assert "line 1, column 2" in seen["claude"].said
    assert seen["cursor"].standing is Standing.FOREIGN


@pytest.mark.parametrize("editor", EDITORS)
def test_what_is_switched_off_is_switched_on(editor: str, install: Install, project: Path, editors: Editors) -> None:
    """Whoever installs wants it; a look then finds nothing more to be done."""
    file = install(editor).file
    off = "enabled = false\n" if file.suffix == ".toml" else '"disabled": true, "command"'
    text = file.read_text()
    file.write_text(text + off if file.suffix == ".toml" else text.replace('"command"', off))
    assert [sight.said for sight in editors.look() if sight.standing] == ["is switched off"]

    assert install(editor).done == "changed"
    assert [sight.standing for sight in editors.look() if sight.standing] == [Standing.RIGHT]
    assert install(editor).done == "unchanged"


@pytest.mark.parametrize(
    ("editor", "text"),
    [
        ("claude", '{"mcpServers": {"a": {"command": "x", "env": {"PASS_OF_A": "s3cret-value"}}}}'),
        ("claude", '{"mcpServers": {"e2e": {"command": "mcp-e2e", "env": {"A": "s3cret-value"}}}}'),
        ("claude", '{"mcpServers": {"a": {"command": "x", "args": ["--api-key", "s3cret-value", "TOKEN=s3cret-2"]}}}'),
        ("vscode", '{"servers": {"a": {"url": "http://a", "headers": {"Authorization": "Bearer s3cret-value"}}}}'),
        ("codex", 'api_key = "s3cret-value"\n[mcp_servers.a]\ncommand = "x"\nenv = { A = "s3cret-value" }\n'),
    ],
)
def test_what_programs_are_handed_is_not_shown(editor: str, text: str, install: Install, project: Path) -> None:
    """The change is for people and agents to read; the file has what it had."""
    file = project / EDITORS[editor].file
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)

    shown = [install(editor, dry_run=True), install(editor), install(editor)]
    assert "s3cr" not in str([[each.diff, each.entry] for each in shown])
    assert "***" in shown[0].diff
    assert str(project) in shown[0].diff
    assert "s3cr" in file.read_text()


def test_a_user_without_a_home_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's nameless one: projects are found and written all the same."""
    monkeypatch.setattr(Path, "home", _nowhere)
    (project / ".git").mkdir()
    where = discover({}, project)
    assert Editors(where, {}).install(Order("codex")).done == "created"
    assert len(Editors(where, {}).look()) == len(EDITORS)
    with pytest.raises(UsageError, match="home folder is not known"):
        Editors(where, {}).install(Order("codex", user=True))


def _nowhere() -> Path:
    raise RuntimeError("Could not determine home directory.")
