"""status --watch: seen from a pipe and on a terminal, while somebody else works."""

import json
import os
import re
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import pytest

from mcp_e2e.entrypoints.cli import screen
from mcp_e2e.entrypoints.cli.screen import Screen, cut, speaks_utf8
from tests.entrypoints.conftest import Cli

Watch = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def watch(environ: dict[str, str], project: Path) -> Iterator[Watch]:
    """Start ``mcp-e2e status --watch``; it is ended at the latest with the test."""
    begun: list[subprocess.Popen[bytes]] = []

    def start(*more: str, out: int = subprocess.PIPE, **variables: str) -> "subprocess.Popen[bytes]":
        line = [sys.executable, "-m", "mcp_e2e", "status", "--watch", *more]
        error = out if out != subprocess.PIPE else subprocess.DEVNULL
        begun.append(subprocess.Popen(line, env=environ | variables, cwd=project, stdout=out, stderr=error))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def read(source: int | IO[bytes] | None, pattern: str, seen: str = "") -> str:
    """Everything up to a match; reads no further than it has to."""
    assert source is not None
    end, fd = time.monotonic() + 30, source if isinstance(source, int) else source.fileno()
    while not re.search(pattern, seen):
        assert time.monotonic() < end, seen
        if select.select([fd], [], [], 0.05)[0]:
            seen += os.read(fd, 65536).decode("utf-8", "replace")
    return seen


def test_an_envelope_for_each_change(watch: Watch, cli: Cli, project: Path) -> None:
    """From before there is a state folder, which is not made, to a run by somebody else; nothing of it is recorded.

    Ctrl-C ends it with 130, and one more envelope says so.
    """
    watching = watch("--json")
    seen = read(watching.stdout, r'"problem": "there is no state')
    assert not (project / ".mcp-e2e").exists()

    cli("run", "breaks-1", "-q")
    cli("start", "-q")
    seen = read(watching.stdout, r'"service": "api", "state": "ready".*\n', seen)
    leases = list((project / ".mcp-e2e" / "private" / "leases").glob("*.lease"))
    watching.send_signal(signal.SIGINT)
    assert watching.wait(30) == 130
    assert watching.stdout is not None
    told: list[dict[str, Any]] = [json.loads(line) for line in (seen + watching.stdout.read().decode()).splitlines()]

    assert {each["schema"] for each in told} == {"mcp_e2e/status-watch/1"}
    assert told.pop()["error"]["code"] == "interrupted"
    facts = [{name: value for name, value in each["data"].items() if name != "at"} for each in told]
    assert all(one != two for one, two in pairwise(facts))
    kinds = {event["kind"]: event.get("detail") for each in facts for event in each["events"]}
    assert kinds["attempt.ended"] == "failed"
    assert kinds["session.ready"] is None
    assert facts[-1]["breaker"]["consecutive_failures"] == 1
    assert leases == []
    with sqlite3.connect(project / ".mcp-e2e" / "private" / "state.db") as con:
        assert con.execute("SELECT count(*) FROM ledger WHERE tool = 'status'").fetchone() == (0,)


def test_on_a_terminal_one_screen_is_redrawn(watch: Watch, cli: Cli, project: Path) -> None:
    """In its width and its characters, without colours where NO_COLOR says so; the last state stays there."""
    cli("plan", "asks")
    ours, theirs = os.openpty()
    try:
        watching = watch(out=theirs, TERM="xterm", LC_ALL="C", NO_COLOR="1", COLUMNS="60", LINES="9")
        seen = read(ours, r"due: 1/1")
        cli("checkpoint", "skipped")
        seen = read(ours, r"run +none", seen)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(30) == 130
    finally:
        os.close(theirs)
        os.close(ours)

    assert "\x1b[3" not in seen
    assert "░" not in seen
    assert re.search(r"\.{16} 0/1", seen)
    assert re.search(r"\x1b\[\d+F", seen)
    assert max(len(line) for line in re.sub(r"\x1b\[\d*[FKJ]|\r", "", seen).splitlines()) <= 59


def test_it_ends_when_nobody_reads(watch: Watch, cli: Cli, project: Path) -> None:
    """As after ``| head -1``, at the next change."""
    watching = watch()
    read(watching.stdout, r"there is no state")
    assert watching.stdout is not None
    watching.stdout.close()
    cli("plan", "asks")
    assert watching.wait(30) == 0


def test_without_a_project_it_does_not_begin(cli: Cli) -> None:
    """What cannot pass is an error at once."""
    assert cli("status", "--watch", "--project", "/nowhere").returncode == 8


@pytest.mark.parametrize(
    ("environ", "utf8"),
    [
        ({"LANG": "de_DE.UTF-8"}, True),
        ({"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, False),
        ({"LC_CTYPE": "en_US.utf8"}, True),
        ({}, False),
    ],
)
def test_characters_are_those_of_the_terminal(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], *, utf8: bool
) -> None:
    """As its locale says; into a pipe always UTF-8."""
    monkeypatch.setattr(screen.sys, "platform", "linux")
    monkeypatch.setattr(screen, "is_terminal", lambda: True)
    assert speaks_utf8(environ) is utf8
    monkeypatch.setattr(screen, "is_terminal", lambda: False)
    assert speaks_utf8(environ) is True


def test_colours_take_no_room() -> None:
    """And one that is cut in the middle is switched off all the same."""
    assert cut("ab\x1b[31mcdef\x1b[0m", 4) == "ab\x1b[31mcd\x1b[0m"
    assert cut("ab", 4) == "ab"


def test_nothing_is_drawn_where_nothing_has_changed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A new size clears the whole screen: nobody knows where the old lines have gone."""
    drawn = Screen()
    monkeypatch.setenv("COLUMNS", "10")
    monkeypatch.setenv("LINES", "4")
    drawn.draw(["1", "2", "3", "4", "5"])
    assert capsys.readouterr().out == "1\x1b[K\n2\x1b[K\n3\x1b[K\n\x1b[J"
    drawn.draw(["1", "2", "3", "9", "9"])
    assert capsys.readouterr().out == ""
    drawn.draw(["1"])
    assert capsys.readouterr().out == "\x1b[3F1\x1b[K\n\x1b[J"
    monkeypatch.setenv("COLUMNS", "9")
    drawn.draw(["1"])
    assert capsys.readouterr().out == "\x1b[H\x1b[2J1\x1b[K\n\x1b[J"


def test_a_line_is_cut_by_what_it_takes_on_the_terminal() -> None:
    """A wide character takes two columns, an accent none: else lines break, and the next ones are drawn wrong."""
    assert cut("日本語 abc", 7) == "日本語 "
    assert cut("日本語 abc", 5) == "日本"
    assert cut("e\u0301e\u0301e", 2) == "e\u0301e\u0301"
    assert cut("\x1b[31m日本\x1b[0mx", 3) == "\x1b[31m日\x1b[0m"
