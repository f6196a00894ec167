"""Writing configuration: any text comes back as it was, and a file that stands there keeps every byte."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_e2e.errors import ConfigError
from mcp_e2e.settings import writing

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS)
def test_any_text_comes_back(value: str) -> None:
    """Quotes, backslashes, control characters and all."""
    assert tomllib.loads(f"x = {writing.text(value)}") == {"x": value}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (r"C:\ComfyUI\new\python.exe", r"'C:\ComfyUI\new\python.exe'"),
        ("/home/me", '"/home/me"'),
        (r"C:\it's", r'"C:\\it' + "'" + r's"'),
        ("D:\\Проект\\venv", "'D:\\Проект\\venv'"),
    ],
)
def test_windows_paths_stay_readable(value: str, written: str) -> None:
    """In single quotes, unless they hold one."""
    assert writing.text(value) == written


@given(st.lists(TEXTS | st.sampled_from(["--port", "--output-directory", "x" * 60]), min_size=1))
def test_any_command_comes_back(words: list[str]) -> None:
    """On one line or several."""
    assert tomllib.loads(f"x = {writing.array(words)}") == {"x": words}


def test_a_flag_stays_on_a_line_with_its_values() -> None:
    """A long command is broken before a flag, within the width."""
    words = ["/a/long/path/to/python", "main.py", *[word for n in range(9) for word in (f"--flag-{n}", "value " * 3)]]

    lines = writing.array(words).splitlines()

    assert [line for line in lines[1:-1] if line.count("--flag") != line.count("value value value")] == []
    assert max(map(len, lines)) <= 115
    assert len(lines) > 3


def test_what_stands_in_a_file_keeps_every_byte(tmp_path: Path) -> None:
    """Its mark, its line ends; what is added gets the same line ends."""
    file, before = tmp_path / "f.toml", b"\xef\xbb\xbfa = 1\r\n# end"
    file.write_bytes(before)

    writing.extend(file, writing.joint("a = 1\r\n# end", "b = 2\n"))

    assert file.read_bytes() == before + b"\r\n\r\nb = 2\r\n"


@pytest.mark.parametrize(("before", "whole"), [("", "x"), ("a\n", "a\n\nx"), ("a", "a\n\nx"), ("\n", "\nx")])
def test_what_is_added_begins_on_a_line_of_its_own(before: str, whole: str) -> None:
    """With an empty one between."""
    assert before + writing.joint(before, "x") == whole


def test_a_file_that_stands_there_is_never_written_over(tmp_path: Path) -> None:
    """Even if it came a moment ago."""
    file = tmp_path / "f.toml"
    writing.create(file, "a = 1\n")
    with pytest.raises(ConfigError, match="meanwhile"):
        writing.create(file, "b = 2\n")
    assert file.read_text() == "a = 1\n"


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """In words, with the file's name."""
    with pytest.raises(ConfigError, match=r"no.f\.toml cannot be written"):
        writing.create(tmp_path / "no" / "f.toml", "")


def test_a_text_that_utf_8_cannot_hold_leaves_nothing_behind(tmp_path: Path) -> None:
    """No empty new file, and an old one as it was."""
    new, old = tmp_path / "new.toml", tmp_path / "old.toml"
    old.write_text("a = 1\n")
    for write, file in ((writing.create, new), (writing.extend, old)):
        with pytest.raises(ConfigError, match="not UTF-8"):
            write(file, "cwd = '/caf\udce9'\n")
    assert not new.exists()
    assert old.read_text() == "a = 1\n"
