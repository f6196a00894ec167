"""How the command line words things: help, commands for tools, progress, logs."""

import asyncio
import io
from pathlib import Path

import click
import pytest

from mcp_e2e.entrypoints.cli import progress
from mcp_e2e.entrypoints.cli.app import COMMANDS, cli
from mcp_e2e.entrypoints.cli.logs import where_lines_begin
from mcp_e2e.entrypoints.cli.options import Command, Said
from mcp_e2e.entrypoints.cli.progress import Telling
from mcp_e2e.entrypoints.cli.wording import in_commands
from mcp_e2e.process import output

EXPECTED = (
    "serve demo init install doctor start stop status plan next run checkpoint report reset exec jobs logs runs history"
    " golden breaker guard config prompts completion"
)


def leaves(command: click.Command) -> list[click.Command]:
    return (
        [leaf for each in command.commands.values() for leaf in leaves(each)]
        if isinstance(command, click.Group)
        else [command]
    )


def test_commands_are_those_of_the_contract() -> None:
    """Named as CONTRACT 6 names them, in a sensible order."""
    assert " ".join(cli.commands) == EXPECTED


@pytest.mark.parametrize("command", [leaf for each in COMMANDS for leaf in leaves(each)], ids=lambda each: each.name)
def test_every_help_has_a_sentence_and_an_example(command: click.Command) -> None:
    """The example can be typed as it stands."""
    assert isinstance(command, Command)
    assert command.get_short_help_str(80).endswith(".")
    assert command.example.startswith("mcp-e2e ")
    with click.Context(command, info_name=command.name) as context:
        assert command.example.splitlines()[0] in command.get_help(context)


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("Call run_test for slot 1/2 x.", "Call `mcp-e2e run` for slot 1/2 x."),
        ("call plan_run(new=true, reason='why')", "call `mcp-e2e plan --new --reason 'why'`"),
        ('plan_run(mode="survey")', '`mcp-e2e plan --mode "survey"`'),
        ("checkpoint(result='failure', note=…)", "`mcp-e2e checkpoint failure --note …`"),
        ("start_session(service='api')", "`mcp-e2e start api`"),
        ("job(action='cancel', id='j-1')", "`mcp-e2e jobs --cancel j-1`"),
        ("Call report.", "Call `mcp-e2e report`."),
        ("its status and its report", "its status and its report"),
        ("mcp-e2e status", "mcp-e2e status"),
        ("Read log_tail, repair it", "Read its log (`mcp-e2e logs`), repair it"),
    ],
)
def test_tools_become_commands(said: str, typed: str) -> None:
    """A person is told what to type."""
    assert in_commands(said) == typed


class Screen(io.StringIO):
    """A stderr that is a terminal or none."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def told(monkeypatch: pytest.MonkeyPatch, *messages: str, terminal: bool, said: Said | None = None) -> str:
    """What stderr shows when these come one second apart, and then a test fails."""
    screen, clock = Screen(terminal=terminal), iter(range(1000))
    monkeypatch.setattr(progress.sys, "stderr", screen)
    with Telling(said or Said(), now=lambda: next(clock)) as telling:
        telling.at(1, 2)
        for message in messages:
            asyncio.run(telling.tick(3.0, None, message))
        telling.ended("2/2 x", "failed", 1.0, "two\nlines")
    return screen.getvalue()


def test_plain_lines_for_changes_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pipe: a line for each new state, none for each step, no colours and no carriage returns."""
    shown = told(monkeypatch, "x: running", "x: running, step 1", "x: running, step 2", "x: done", terminal=False)
    assert shown == "x: running\nx: done\n✗ failed  2/2 x  1.0 s  two lines\n"


def test_live_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line redrawn, wiped before a line that stays; colours unless NO_COLOR or --no-color say no."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    shown = told(monkeypatch, "x: running", terminal=True)
    assert "\r[######......] 1/2  x: running  3 s" in shown
    assert "\x1b[31m✗ failed\x1b[0m" in shown
    assert "\x1b[31m" not in told(monkeypatch, "x", terminal=True, said=Said(no_color=True))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in told(monkeypatch, "x", terminal=True)


def test_quiet_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither progress nor lines."""
    assert told(monkeypatch, "x: running", terminal=True, said=Said(quiet=True)) == ""


@pytest.mark.parametrize(("lines", "shown"), [(0, b"a\nb\nc"), (1, b"c"), (2, b"b\nc"), (9, b"a\nb\nc")])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_last_lines_of_a_log(tmp_path: Path, lines: int, shown: bytes, end: bytes) -> None:
    """With or without a line end at the end."""
    log = tmp_path / "log"
    log.write_bytes(b"a\nb\nc" + end)
    found: list[bytes] = []
    output.pour(log, where_lines_begin(log, lines), found.append, None, last=True)
    assert b"".join(found) == shown + end


def test_last_lines_of_a_long_log(tmp_path: Path) -> None:
    """Read from its end, block by block."""
    log = tmp_path / "log"
    log.write_bytes(b"".join(b"%06d\n" % n for n in range(50_000)))
    assert where_lines_begin(log, 20_000) == 30_000 * 7
    assert where_lines_begin(tmp_path / "none", 5) == 0
