"""The configuration over time."""

import os
from pathlib import Path

import pytest

from mcp_e2e.errors import ConfigError
from mcp_e2e.settings import Source


def source(folder: Path) -> Source:
    return Source({"HOME": "/nowhere"}, folder)


def test_an_unchanged_file_is_read_once(project) -> None:
    """The same object comes back until something changed."""
    project.write("[breaker]\nconsecutive_failures = 4")
    answers = source(project.folder)

    assert answers.current() is answers.current()


def test_a_change_of_file_or_dotenv_is_seen_at_the_next_question(project) -> None:
    """Also one that keeps the size and the time of the file, when it was replaced."""
    file = project.write("[breaker]\nconsecutive_failures = 4")
    answers = source(project.folder)
    assert answers.current().settings.breaker.consecutive_failures == 4

    times = file.stat()
    other = project.write("[breaker]\nconsecutive_failures = 5", "new.toml")
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(file)
    assert answers.current().settings.breaker.consecutive_failures == 5

    project.write("MCP_E2E_BREAKER_CONSECUTIVE_FAILURES=6", ".env")
    assert answers.current().settings.breaker.consecutive_failures == 6


def test_a_broken_file_is_an_error_at_every_question_until_repaired(project) -> None:
    """The last good configuration is never served in its place."""
    project.write("")
    answers = source(project.folder)
    answers.current()

    project.write("[breaker]\nconsecutive_failures = 0")
    for _ in range(2):
        with pytest.raises(ConfigError, match="at least 1"):
            answers.current()

    project.write("")
    assert answers.current().settings.breaker.consecutive_failures == 3


def test_what_is_repaired_outside_the_file_counts_too(project) -> None:
    """A missing folder may be made without touching the file."""
    project.write('[services.a]\nkind = "command"\ncommand = ["x"]\ncwd = "later"')
    answers = source(project.folder)
    with pytest.raises(ConfigError, match="no folder"):
        answers.current()

    (project.folder / "later").mkdir()
    assert answers.current().settings.services["a"].cwd == "later"


def test_without_a_file_there_are_defaults_until_one_appears(project) -> None:
    """The server starts in any project; what needs the file says that it is missing and how to get one."""
    answers = source(project.folder)
    loaded = answers.current()

    assert loaded.file is None
    with pytest.raises(ConfigError, match=r"no mcp-e2e.toml in .*config schema"):
        loaded.needs_file()

    file = project.write("")
    assert answers.current().file == file
    answers.current().needs_file()


def test_the_project_stays_when_a_file_appears_above_it(project) -> None:
    """One server, one project: its state folder does not move."""
    below = project.folder / "below"
    below.mkdir()
    answers = source(below)
    answers.current()
    project.write("")

    assert answers.current().project == below


def test_a_folder_that_is_no_project_is_an_error_at_every_question() -> None:
    """Making a source never fails, so serve always starts."""
    answers = Source({"HOME": "/nowhere"}, Path("/"))
    for _ in range(2):
        with pytest.raises(ConfigError, match="never a project"):
            answers.current()
