"""No secret leaves in an answer, whole or in part, and none is stored."""

import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest

from mcp_e2e.model.answers import JobAnswer
from mcp_e2e.model.jobs import ExitRecord, Job, JobState, Stream
from mcp_e2e.process.redaction import Redactor
from mcp_e2e.usecases.endings import ended, told
from mcp_e2e.usecases.masking import blanked, redactor_of

SECRET = "correct-horse-battery-staple"
TOKEN = "ghp_" + "a1B2c3" * 6
KNOWS = Redactor([SECRET])


class Colour(StrEnum):
    RED = "correct-horse-battery-staple"


@dataclass(frozen=True)
class Noun:
    text: str
    path: Path


def test_everything_in_a_value_is_blanked_and_its_form_stays() -> None:
    """Mappings, lists, tuples, dataclasses, answers; an enumeration is a word of ours."""
    value = {"a": [f"x {SECRET}", 1, None], "b": (TOKEN,), "c": Noun(SECRET, Path("/x")), "d": Colour.RED}
    assert blanked(value, KNOWS) == {
        "a": ["x ***", 1, None],
        "b": ("***",),
        "c": Noun("***", Path("/x")),
        "d": Colour.RED,
    }
    assert type(blanked(Colour.RED, KNOWS)) is Colour
    answer = JobAnswer(next_step="n", lines=[SECRET])
    assert blanked(answer, KNOWS) == JobAnswer(next_step="n", lines=["***"])


def test_one_configuration_has_one_redactor() -> None:
    """It is not built again for each call."""
    env = {"API_KEY": SECRET, "PLAIN": "plain-value", "KEY_FILE": sys.executable}
    redactor = redactor_of(None, {}, env)
    assert redactor is redactor_of(None, {}, dict(env))
    assert redactor.text(f"{SECRET} plain-value {sys.executable}") == f"*** plain-value {sys.executable}"


def exited(head: str, tail: str, omitted: int) -> Job:
    """A job whose output was ``head``, ``omitted`` bytes, ``tail``."""
    size = len(head.encode()) + omitted + len(tail.encode())
    record = ExitRecord("exited", 0, None, 0.0, 1.0, 1.0, stdout=Stream(head, tail, size, omitted))
    return Job("j-1", JobState.EXITED, Path("/nowhere"), Path("/nowhere/log"), exit=record)


@pytest.mark.parametrize("secret", [SECRET, TOKEN, "never-heard-of-it-" + "q" * 300])
def test_a_secret_that_the_gap_cuts_is_in_neither_part(secret: str) -> None:
    """Not even one that nobody knows: words cut by the gap are given up, and counted."""
    for cut in range(1, len(secret)):
        job = exited(f"begin {secret[:cut]}", f"{secret[cut:]} end", 100)
        told_, answer = told(job, KNOWS)[1]["output"], ended(job, None, 1.0, KNOWS)
        assert answer.stdout == f"begin\n… {100 + len(secret) + 2} bytes omitted …\nend"
        assert told_ == "begin\nend"


def test_a_known_value_with_white_space_is_blanked_at_the_gap() -> None:
    """Giving up a word is not enough for it."""
    job = exited("begin open sesame my dear frie", "sesame my dear friend end", 9)
    assert (
        ended(job, None, 1.0, Redactor(["open sesame my dear friend"])).stdout
        == "begin ***\n… 21 bytes omitted …\n*** end"
    )


def test_the_count_of_omitted_bytes_is_exact() -> None:
    """Long words lose at most 512 bytes; bytes that were no text stay, as nobody knows how many they were."""
    assert (
        ended(exited("ü" * 1000, "y" * 600, 1), None, 1.0).stdout == f"{'ü' * 744}\n… 1025 bytes omitted …\n{'y' * 88}"
    )
    assert ended(exited("a \ufffdbc", "de\ufffd f", 1), None, 1.0).stdout == "a \ufffd\n… 5 bytes omitted …\n\ufffd f"
    assert ended(exited("a b\n", "c\nd", 1), None, 1.0).stdout == "a b\n… 4 bytes omitted …\nd"


def test_a_whole_output_is_joined_before_it_is_looked_through() -> None:
    """Head and tail are one text when nothing lies between."""
    job = exited(f"x {SECRET[:9]}", f"{SECRET[9:]} y", 0)
    assert ended(job, None, 1.0, KNOWS).stdout == told(job, KNOWS)[1]["output"] == "x *** y"


@pytest.mark.parametrize("terminal", [True, False])
def test_the_command_line_shows_raw_output_only_to_a_person(project: Path, terminal: bool) -> None:
    """On a terminal the program's own words; into a pipe, with secrets blanked, while it runs and afterwards."""
    env = {"PATH": os.environ["PATH"], "HOME": str(project.parent)}
    theirs, ours = pty.openpty()
    try:
        for words in (["exec", f"echo {TOKEN}"], ["logs"]):
            if words == ["logs"]:
                words += [next(path.name for path in (project / ".mcp-e2e").rglob("j-*") if path.is_dir())]
            done = subprocess.run(
                [sys.executable, "-m", "mcp_e2e", *words],
                stdin=ours if terminal else subprocess.DEVNULL,
                stdout=ours if terminal else subprocess.PIPE,
                stderr=ours if terminal else subprocess.PIPE,
                env=env,
                cwd=project,
                timeout=50,
                check=False,
            )
            shown = os.read(theirs, 4096) if terminal else done.stdout
            assert (TOKEN.encode() in shown, b"***" in shown) == (terminal, not terminal)
    finally:
        os.close(theirs)
        os.close(ours)
