"""R2 and R3: the same work again, and one test that fails for ever."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from mcp_e2e.model.calls import Limits
from tests.decisions.histories import EULR, FREE, WATCHING, History

Word = Callable[[History], History]
PORTRAIT = {"test": "portrait"}


def fails(history: History) -> History:
    return history.ran("make x", "boom: no rule", 2)


def works(history: History) -> History:
    return history.ran("make x", "all fine")


@pytest.mark.parametrize("once", [History.red, fails])
def test_failing_work_may_be_repeated_once(once: Word) -> None:
    """The repetition is advised against, the third time refused."""
    assert History().times(3, once).said == ["allow", "advise R2", "refuse R2"]


@pytest.mark.parametrize("once", [History.green, works])
def test_passing_work_may_be_repeated_four_times(once: Word) -> None:
    """The third time is advised against, the fifth refused."""
    assert History().times(5, once).said == ["allow", "allow", "advise R2", "allow", "refuse R2"]


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_person_configures_how_often_a_test_may_fail(attempts: int) -> None:
    """Commands do not follow that setting."""
    limits = Limits(consecutive_failures=9, attempts=attempts)
    said = History(limits).times(attempts + 1, History.red).said

    assert said[-2:] == ["advise R2" if attempts > 1 else "allow", "refuse R2"]
    assert "refuse R2" not in said[:-1]
    assert History(limits).times(3, fails).last == "refuse R2"


def test_a_refused_repetition_says_what_it_saw_and_what_helps() -> None:
    """How often, with which result; a changed file, another result, a note."""
    ruling = History().red().red().ruling("run_test", PORTRAIT)

    assert ruling.evidence == ("it ended with fail twice in the same way, and no file has changed",)
    assert ruling.cleared_by == ("a changed file", "another result", "a checkpoint with a new note")
    assert not ruling.opens


@pytest.mark.parametrize(("once", "allowed"), [(History.red, 2), (fails, 2), (works, 4)])
def test_only_a_changed_world_frees_the_work(once: Word, allowed: int) -> None:
    """A restart of the server, a look and a report do not."""
    assert once(History().times(allowed, once).edits()).last == "allow"
    assert once(History().times(allowed, once).restarts().looks().looks("report")).last == "refuse R2"


def test_another_result_begins_a_new_series() -> None:
    """A changed wrong value, a test that passes at last, another output."""
    eular = EULR.replace("'eulr'", "'eular'")
    assert History().red().red(error=eular).red(error=eular).said == ["allow", "advise R2", "advise R2"]
    assert History().red().green().ruling("run_test", PORTRAIT).kind == "allow"
    assert fails(fails(History()).ran("make x", "boom: 2 rules", 2)).last == "advise R2"


def test_noise_in_a_result_is_no_other_result() -> None:
    """A new duration, time and id tell the same failure."""
    first = "[12:00:01] prompt 3fa85f64-5717-4562-b3fc-2c963f66afa6 failed after 1.52 s: no image"
    second = "[12:07:44] prompt 9c858901-8a57-4791-81fe-4c455b099bc9 failed after 1.61 s: no image"

    assert History().red(error=first).red(error=second).red().last == "refuse R2"


def test_a_checkpoint_with_a_new_note_buys_one_more_time_once() -> None:
    """The second note for the same work on the same world buys nothing, nor does an old one."""
    noted = History().red().green("b").red().notes("the sampler is misspelt")
    assert noted.ruling("run_test", PORTRAIT, "R2").kind == "allow"
    assert noted.red().notes("still misspelt").ruling("run_test", PORTRAIT, "R2").kind == "refuse"

    old = History().notes("the sampler is misspelt").red().red().notes("the sampler is misspelt")
    assert old.ruling("run_test", PORTRAIT).kind == "refuse"
    assert History().red().red().notes("").ruling("run_test", PORTRAIT).kind == "refuse"


def test_new_verdicts_of_other_tests_excuse_repeating_one_that_passes() -> None:
    """A suite goes round while it teaches; a command's output is no verdict."""
    names = (f"t{number}" for number in count())
    assert "refuse R2" not in History().times(8, lambda h: h.green().green(next(names))).said
    assert History().times(3, lambda h: h.red().green("other")).said[-2] == "refuse R2"
    assert History().times(5, lambda h: h.green().ran(f"echo {next(names)}", next(names))).said[-2] == "refuse R2"


@pytest.mark.parametrize("seen", [True, False])
def test_nothing_excuses_repeating_a_test_that_fails(seen: bool) -> None:
    """Not even another test's new verdict, before its last failure or after."""
    names = (f"t{number}" for number in count())
    history = History().times(2, lambda h: h.red().green("other" if seen else next(names)))

    assert history.red().last == "refuse R2"


def test_news_of_any_kind_excuses_repeating_a_command() -> None:
    """A build between two edits elsewhere; a command that shows nothing new excuses nothing."""
    names = (f"t{number}" for number in count())
    assert "refuse R2" not in History().times(8, lambda h: fails(h).ran("ls", next(names))).said
    assert History().ran("ls", "a").times(3, lambda h: fails(h).ran("ls", "a")).said[-2] == "refuse R2"


def test_a_command_repeated_after_a_wait_may_fail_more_often() -> None:
    """Half a minute shows that somebody waits for something outside; a test is not waited for."""
    unsaid = {"command": "test -f out.png"}

    def missing(history: History) -> History:
        return history.ran(unsaid["command"], "", 1)

    assert History(gap=29.0).times(3, missing).last == "refuse R2"
    assert History(gap=30.0).times(5, missing).said[1:] == ["allow", "advise R2", "allow", "refuse R2"]
    assert History(gap=600.0).times(3, History.red).last == "refuse R2"


def test_results_of_another_day_are_forgotten() -> None:
    """But a test that fails over days is R3's."""
    assert fails(History().times(2, fails).waits(12 * 3600.0)).last == "allow"
    assert works(History().times(4, works).waits(12 * 3600.0)).last == "allow"
    assert works(History().times(4, works).waits(11 * 3600.0)).last == "refuse R2"


def test_what_no_repetition_stops() -> None:
    """The first verdict of a planned slot, work that exists already, a calm wait for live work, a person."""
    history = History().red().red()

    assert history.ruling("run_test", PORTRAIT).rule == "R2"
    for free in (*FREE, {"planned": True}):
        assert history.ruling("run_test", PORTRAIT, **free).kind == "allow"
    calm = History(gap=10.0).times(2, fails)
    assert calm.ruling("safe_exec", {"command": "make x"}, live=True).kind == "allow"
    assert History(gap=8.9).times(2, fails).ruling("safe_exec", {"command": "make x"}, live=True).rule == "R2"


def test_two_equal_calls_at_one_moment_are_one() -> None:
    """Of another process, or of the same one in the same second; they are not counted either."""
    test, dur = {"test": "portrait"}, 60.0
    shown = {"test": "portrait", "status": "pass", "duration_s": 60}
    steps = [
        {"tool": "run_test", "args": test, "outcome": "pass", "result": shown, "dur": dur, "pid": n} for n in range(9)
    ]
    history = History(gap=-59.0)
    for step in steps:
        history.step(step)

    assert history.said == ["allow"] * 9


def seeds(history: History, times: int, error: str = EULR) -> History:
    """One test red with ever other parameters, a pass of another test between."""
    for number in range(times):
        history.red(params={"seed": len(history.said)}, error=error).green("other", params={"n": number, "e": error})
    return history


def test_one_test_fails_three_times_alike_on_one_world() -> None:
    """Other parameters and greens of other tests between do not launder it; twice is free."""
    assert seeds(History(), 2).ruling("run_test", PORTRAIT).kind == "allow"
    ruling = seeds(History(), 3).ruling("run_test", {**PORTRAIT, "params": {"seed": 99}})

    assert (ruling.kind, ruling.rule, ruling.opens) == ("refuse", "R3", False)
    assert ruling.evidence[0] == "portrait failed 3 times with the same error, on 1 states of the files"
    assert ruling.cleared_by == ("a changed file", "a person, in a terminal")


def test_one_test_fails_five_times_alike_over_edits() -> None:
    """Four are honest work."""

    def tried(history: History) -> History:
        return history.edits().green("other").red()

    assert History().times(4, tried).edits().ruling("run_test", PORTRAIT).kind == "allow"
    assert History().times(5, tried).edits().ruling("run_test", PORTRAIT).rule == "R3"


def test_only_that_test_is_stuck() -> None:
    """Others may run, commands too."""
    history = seeds(History(), 3)

    assert history.ruling("run_test", {"test": "landscape"}).kind == "allow"
    assert history.ruling("safe_exec", {"command": "ls"}).kind == "allow"


def test_a_pass_or_another_error_frees_a_stuck_test() -> None:
    """Its own pass; another cause begins a new count."""
    assert seeds(History(WATCHING), 3).green(params={"seed": 0}).ruling("run_test", PORTRAIT, "R3").kind == "allow"
    assert seeds(seeds(History(WATCHING), 3), 1, "no image").ruling("run_test", PORTRAIT, "R3").kind == "allow"
    assert seeds(History(WATCHING), 3).green("landscape").ruling("run_test", PORTRAIT, "R3").kind == "refuse"
    assert seeds(History(WATCHING), 3).notes("why").ruling("run_test", PORTRAIT, "R3").kind == "refuse"


def test_a_test_stays_stuck_over_night() -> None:
    """However long it took."""
    assert seeds(History(), 3).waits(86400.0).ruling("run_test", PORTRAIT).rule == "R3"


def test_a_planned_slot_may_run_until_five_states_of_the_files_failed() -> None:
    """Many slots on one world are one try; a plan for each of five worlds is a loop, of five days none."""

    def slot(history: History) -> History:
        return history.edits().plans("portrait", "other").green("other").red()

    many = History(Limits(consecutive_failures=9)).plans("portrait", count=6).times(5, lambda h: h.red().notes("so"))
    assert many.ruling("run_test", PORTRAIT, planned=True).kind == "allow"
    assert History().times(4, slot).ruling("run_test", PORTRAIT, planned=True).kind == "allow"
    assert History().times(5, slot).ruling("run_test", PORTRAIT, planned=True).rule == "R3"
    assert (
        History().times(5, lambda h: slot(h).waits(86400.0)).ruling("run_test", PORTRAIT, planned=True).kind == "allow"
    )


@pytest.mark.parametrize("free", FREE)
def test_a_stuck_test_may_be_joined_and_run_by_a_person(free: dict[str, Any]) -> None:
    """The first starts nothing, the second is judged by the breaker alone."""
    assert seeds(History(), 3).ruling("run_test", PORTRAIT, **free).kind == "allow"
