"""A board on a screen, as lines of what has changed, and as JSON."""

from dataclasses import replace

from mcp_e2e.formats.board import Style, changes, data, screen
from mcp_e2e.model.answers import Position
from mcp_e2e.model.board import Board, BreakerState, Event, RunningLine, ServiceLine, Stored

SERVICE = ServiceLine("comfyui", "ready", "ready", 2, since=1000.0, url="http://127.0.0.1:8188")
RUNNING = RunningLine("a-1", "portrait", "running", 1090.0, "claude (pid 3)", "KSampler 5/20, 25 %", 31.0)
POSITION = Position(
    run="r-1",
    slot=2,
    done=1,
    total=4,
    passed=0,
    failed=1,
    consecutive_failures=1,
    failures_left=2,
    breaker="closed",
    current="2/4 portrait",
)
STORED = Stored(POSITION, (RUNNING,), BreakerState("closed", 1, 2), (Event(7, 1080.0, "attempt.ended", "x", "failed"),))
BOARD = Board(1100.0, "/project", STORED, (SERVICE,))


def test_the_screen_says_where_things_stand() -> None:
    """In ASCII where the terminal knows no more, and without an escape where it has no colours."""
    assert screen(BOARD, Style(ascii_only=True)) == [
        "mcp-e2e  /project",
        "breaker  closed  1 red in a row, 2 more open it",
        "service  comfyui  ready  1 min 40 s  generation 2  http://127.0.0.1:8188",
        "run      r-1  ####............ 1/4  1 failed  due: 2/4 portrait",
        "attempt  portrait  running  10 s of some 31 s  KSampler 5/20, 25 %  by claude (pid 3)",
        "  1970-01-01T00:18:00Z  attempt.ended  x  failed",
    ]
    assert " ████░░░" in screen(BOARD, Style())[3]
    assert "\x1b" not in "".join(screen(BOARD, Style()))
    assert "\x1b[31mfailed\x1b[0m" in screen(BOARD, Style(colors=True))[5]


def test_nothing_from_outside_steers_the_terminal() -> None:
    """Names and messages are cleaned of escapes and line ends."""
    evil = "a\x1b[2J\nb"
    board = Board(
        1100.0,
        evil,
        replace(STORED, running=(replace(RUNNING, test=evil, message=evil, by=evil),)),
        (replace(SERVICE, stage=evil, cause=evil),),
        problem=evil,
    )
    lines = [*screen(board, Style()), *changes(None, board)]
    assert not [line for line in lines if "\x1b" in line or "\n" in line]


def test_an_open_breaker_says_why_and_where_to_look() -> None:
    """Not how it is reset: that is shown to a person by status."""
    board = replace(BOARD, stored=replace(STORED, breaker=BreakerState("open", 3, 0, "i-1", "R1")))
    assert "breaker  open  by R1, incident i-1: see mcp-e2e status" in screen(board, Style())
    assert "reset" not in "".join(screen(board, Style()))


def test_only_the_latest_events_are_shown() -> None:
    """The newest first."""
    events = tuple(Event(n, 1000.0 + n, "checkpoint", f"e{n}") for n in range(20))
    board = replace(BOARD, stored=replace(STORED, events=events))
    assert [line.split()[-1] for line in screen(board, Style())[-8:]] == [f"e{n}" for n in range(19, 11, -1)]
    assert len(data(board)["events"]) == 8


def test_a_line_for_each_change_and_none_for_time_alone() -> None:
    """Time that passes, and counting in a message, are no news; old events are not told first."""
    later = replace(BOARD, at=1200.0)
    counted = replace(STORED, running=(replace(RUNNING, message="KSampler 9/20, 45 %"),))
    assert changes(BOARD, later) == []
    assert changes(BOARD, replace(later, stored=counted)) == []
    assert [line.split()[1] for line in changes(None, BOARD)] == ["service", "breaker", "run", "attempt"]


def test_everything_that_has_changed_is_told_once() -> None:
    """However many events have come at once."""
    new = tuple(Event(n, 1150.0, "checkpoint", "r-1", "success") for n in range(8, 40))
    moved = replace(STORED, events=STORED.events + new, running=(), position=None, breaker=BreakerState())
    after = Board(1200.0, "/project", moved, (replace(SERVICE, state="failed", cause="it died"),), "broken")
    lines = changes(BOARD, after)
    assert sum("checkpoint" in line for line in lines) == 32
    assert (
        "1970-01-01T00:20:00Z  service comfyui failed 3 min 20 s ready it died generation 2 http://127.0.0.1:8188"
        in lines
    )
    assert "1970-01-01T00:20:00Z  ! broken" in lines
    assert "1970-01-01T00:20:00Z  run none" in lines
    assert changes(after, after) == []


def test_as_json_only_the_time_differs_where_nothing_has_changed() -> None:
    """So whoever compares two of them compares the rest; times can be read."""
    one, two = data(BOARD), data(replace(BOARD, at=1200.0))
    assert {name for name in one if one[name] != two[name]} == {"at"}
    assert one["services"][0]["since"] == "1970-01-01T00:16:40Z"
    assert one["position"]["current"] == "2/4 portrait"
