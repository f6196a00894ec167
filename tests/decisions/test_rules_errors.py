"""R5 and R6: the same error again, and looks at what has not changed."""

from collections.abc import Callable
from itertools import count

import pytest

from tests.decisions.histories import CALM, FREE, WATCHING, History

Word = Callable[[History], History]
START: tuple[str, dict[str, str]] = ("start_session", {})
TAKEN = "port 8188 is taken"
FULL = "OSError: [Errno 28] No space left on device"


def taken(history: History) -> History:
    return history.starts(TAKEN)


def full(history: History) -> History:
    """One program, ever other arguments, one error."""
    return history.ran(f"ffmpeg -i {len(history.said)}.png out.mp4", FULL, 1)


def unknown(history: History) -> History:
    """A call that is wrong in one way, whatever is asked for."""
    return history.misused("unknown parameter 'sampler'", test="a", params={"sampler": len(history.said)})


def lost(history: History) -> History:
    return history.lost(f"t{len(history.said)}")


@pytest.mark.parametrize("once", [taken, full, unknown, lost])
def test_the_fourth_same_error_of_a_tool_is_refused(once: Word) -> None:
    """Whatever its arguments; the third is advised against."""
    assert History().times(4, once).said == ["allow", "allow", "advise R5", "refuse R5"]


def test_a_refused_error_says_which_one_and_what_helps() -> None:
    """The error itself, a wait with its length; it opens nothing."""
    ruling = History().times(3, taken).ruling(*START)

    assert ruling.evidence == (f"3 times in a row: {TAKEN}",)
    assert ruling.cleared_by == ("a changed file", "a success of this tool", "waiting")
    assert (ruling.retry_after_s, ruling.opens) == (298.0, False)


def test_errors_of_tests_are_no_errors_of_the_tool() -> None:
    """R1 to R3 judge those; a lost or misused run_test is R5's and not R2's."""
    assert History(WATCHING).times(2, History.red).ruling("run_test", {"test": "portrait"}, "R5").kind == "allow"
    assert History().times(3, History.lost).said == ["allow", "allow", "advise R5"]


@pytest.mark.parametrize(
    "change",
    [lambda h: h.edits(), lambda h: h.ran("df"), lambda h: h.ran("df", "no such disk", 1), lambda h: h.waits(43200.0)],
    ids=["an edit", "a success", "another error", "another day"],
)
def test_what_begins_the_count_of_errors_anew(change: Word) -> None:
    """Three more are allowed."""
    history = change(History().times(3, full)).times(3, full)

    assert not any("refuse" in said for said in history.said)


@pytest.mark.parametrize(
    "between",
    [lambda h: h.looks(), lambda h: h.ran("ls", "a b"), lambda h: h.green("a"), lambda h: h.restarts()],
    ids=["a look", "a success of another tool", "a pass", "a new server"],
)
def test_what_leaves_the_count_of_errors(between: Word) -> None:
    """The tool itself has to succeed; a note does not help either."""
    assert taken(between(History().times(3, taken)).notes("I shall try again")).last == "refuse R5"


def test_after_the_wait_one_call_may_show_whether_the_cause_is_gone() -> None:
    """Five minutes, ten, fifteen and no longer; the wait counts from the end of the last error."""
    history = History(gap=0.0).times(3, full)

    for wait in (300.0, 600.0, 900.0, 900.0):
        assert history.waits(wait - 0.5).ruling("safe_exec", {"command": "ffmpeg x"}, "R5").retry_after_s == 0.5
        assert "refuse" not in full(history.waits(0.5)).last


def test_another_program_may_be_the_repair_until_the_sixth_error() -> None:
    """One that failed before, or starts one that did, may not."""
    names = (f"tool{number}" for number in count())
    history = History().times(5, lambda h: h.ran(f"{next(names)} x", FULL, 1))

    assert history.said == ["allow", "allow", "advise R5", "allow", "allow"]
    assert history.ruling("safe_exec", {"command": "rm -r cache"}).rule == "R5"
    early = History().times(3, full)
    assert early.ruling("safe_exec", {"command": "df -h"}).kind == "allow"
    assert early.ruling("safe_exec", {"command": "python -c \"os.system('ffmpeg x')\""}).rule == "R5"
    assert early.ruling("safe_exec", {"argv": ["nice", "ffmpeg", "-i", "x"]}).rule == "R5"


def test_an_interpreter_in_a_command_is_no_program_that_failed() -> None:
    """``git`` may be the repair of what ``python`` could not do."""
    history = History().times(3, lambda h: h.ran(f"python part{len(h.said)}.py", FULL, 1))

    assert history.ruling("safe_exec", {"command": "python x.py"}).rule == "R5"
    assert history.ruling("safe_exec", {"command": "rm -r .cache/python"}).kind == "allow"


def test_what_no_error_stops() -> None:
    """Looks and records, work that exists already, a calm wait for live work, a person."""
    history = History().times(3, taken).waits(10.0)

    assert history.ruling(*START).rule == "R5"
    for free in (*FREE, CALM):
        assert history.ruling(*START, **free).kind == "allow"
    reports = History().times(5, lambda h: h.call("report", {"run": len(h.said)}, "error", {"error": "no such run"}))
    assert set(reports.said) == {"allow"}


def calm(history: History) -> History:
    return history.looks(state="running").waits(8.0)


def test_the_tenth_idle_look_is_answered_from_the_last() -> None:
    """The sixth is advised against; clocks in the answer make none of them new."""
    assert History().times(10, History.looks).said == ["allow"] * 5 + ["advise R6"] + ["allow"] * 3 + ["throttle R6"]


def test_hurried_looks_at_live_work_are_answered_from_the_last_from_the_twelfth_on() -> None:
    """For ten seconds since the last one."""
    history = History().times(12, lambda h: h.looks(state="running"))

    assert history.said[-2:] == ["allow", "throttle R6"]
    assert history.ruling("status").retry_after_s == 6.0
    assert calm(history.waits(6.0)).last == "allow"


def test_calm_looks_at_live_work_are_free() -> None:
    """Ten seconds apart, for ever, at work that shows no progress; nothing is said."""
    assert set(History().times(400, calm).said) == {"allow"}


def test_calm_looks_do_not_count_for_later_hurried_ones() -> None:
    """They did what they should."""
    assert History().times(30, calm).times(10, lambda h: h.looks(state="running")).last == "allow"


@pytest.mark.parametrize(
    "change",
    [lambda h: h.looks(done=1), lambda h: h.looks(state="ready"), lambda h: h.green("a"), lambda h: h.ran("ls", "a")],
    ids=["progress", "another state", "a verdict", "news of a command"],
)
def test_another_answer_or_news_begins_the_looks_anew(change: Word) -> None:
    """Nine more may run."""
    assert "throttle R6" not in change(History().times(8, History.looks)).times(9, History.looks).said


@pytest.mark.parametrize(
    "other",
    [lambda h: h.looks("report"), lambda h: h.notes("hm"), lambda h: h.restarts(), lambda h: h.edits()],
    ids=["another look", "a note", "a new server", "an edit"],
)
def test_what_leaves_the_looks_idle(other: Word) -> None:
    """Only what the look would show counts."""
    assert other(History().times(9, History.looks)).looks().last == "throttle R6"


def test_an_idle_project_may_be_looked_at_again_after_a_while() -> None:
    """Five minutes, ten, fifteen and no longer."""
    history = History(gap=0.0).times(9, History.looks)

    for wait in (300.0, 600.0, 900.0, 900.0):
        assert history.waits(wait - 0.5).ruling("status").retry_after_s == 0.5
        assert history.waits(0.5).looks().last == "allow"


def test_looks_are_told_apart_by_what_they_look_at() -> None:
    """Another run, the next page, another job; an unknown argument is none of that."""
    paged = History().times(20, lambda h: h.call("job", {"id": "j", "offset": len(h.said)}, result={"state": "ready"}))
    assert set(paged.said) == {"allow"}

    named = History().times(10, lambda h: h.call("status", {"client_ts": h.now}, result={"state": "idle"}))
    assert named.last == "throttle R6"


def test_the_same_note_again_and_again_is_not_written_down() -> None:
    """Other notes are; work between makes the same one worth writing."""
    assert History().times(10, lambda h: h.notes("green")).last == "throttle R6"
    assert set(History().times(20, lambda h: h.notes(f"slot {len(h.said)}")).said) == {"allow"}
    assert set(History().plans("a", count=20).times(20, lambda h: h.green("a").notes("green")).said) == {"allow"}


def test_ending_work_is_never_answered_from_the_last_result() -> None:
    """It must reach the work each time."""
    stopped = History().times(20, lambda h: h.call("stop_session", {}, result={"state": "stopping"}))
    cancel = {"action": "cancel", "id": "j-1"}
    cancelled = History().times(20, lambda h: h.call("job", cancel, result={"state": "stopping"}))
    asked = History().times(20, lambda h: h.call("job", {"id": "j-1"}, result={"state": "stopping"}))

    assert set(stopped.said) | set(cancelled.said) == {"allow"}
    assert asked.last == "throttle R6"


def test_no_number_of_looks_opens() -> None:
    """They are never refused, whoever looks; a person's looks are not even throttled."""
    history = History().times(60, History.looks)

    assert set(history.said) == {"allow", "advise R6", "throttle R6"}
    assert (history.state, history.ruling("status", person=True).kind) == ("closed", "allow")
