"""R1, R9 and R10: what stops all work until a person has looked."""

from collections.abc import Callable
from itertools import count

import pytest

from tests.decisions.histories import WATCHING, History

WORK = ("start_session", "plan_run", "run_test", "safe_exec", "reset_run", "drop_run", "deploy")
EXITS = ("status", "report", "checkpoint", "next_test", "stop_session", "job")


def opened() -> History:
    return History().red("a").red("b").red("c")


def silent(history: History, calls: int, first: int = 0) -> History:
    """``calls`` different commands of which only the first one, saying nothing, tells something."""
    numbers = count(first)
    return history.times(calls, lambda h: h.ran(f"touch f{next(numbers)}"))


def refused(history: History, times: int) -> History:
    """One test fails twice on one world and is asked for ``times`` more."""
    return history.red().red().times(times, lambda h: h.red())


def test_the_third_red_in_a_row_opens() -> None:
    """Whatever the tests and errors were; two leave all work free."""
    assert History().red("a").red("b", "x").green("d").state == "closed"
    assert History().red("a").red("b", "x").ran("ls", "a b").last == "allow"
    assert History().red("a").red("b", "x").red("c", "y").states == ["closed", "closed", "open"]


@pytest.mark.parametrize("outcome", ["fail", "error", "timeout"])
def test_every_kind_of_red_counts(outcome: str) -> None:
    """A test that ran and did not pass is red, however it ended."""
    last = {"test": "c", "error": "boom", "duration_s": 2.0}

    assert History().red("a").red("b").call("run_test", {"test": "c"}, outcome, last).state == "open"


@pytest.mark.parametrize("outcome", ["skip", "cancelled"])
def test_what_gave_no_verdict_neither_counts_nor_clears(outcome: str) -> None:
    """Two reds, a test that nobody finished, and the next red is the third."""
    history = History().red("a").red("b").call("run_test", {"test": "c"}, outcome, {"test": "c"})

    assert history.state == "closed"
    assert history.red("d").state == "open"


def test_lost_attempts_neither_count_nor_clear() -> None:
    """A dead service is no failing test, and no passing one."""
    history = History().red("a").red("b").lost("c").lost("d")

    assert history.state == "closed"
    assert history.red("e").state == "open"


def test_only_a_pass_clears_the_count() -> None:
    """Edits, restarts, looks and sessions between reds change nothing."""
    words: list[Callable[[History], History]] = [History.edits, History.restarts, History.looks, History.starts]
    for word in words:
        assert word(word(History().red("a")).red("b")).red("c").state == "open"
    assert History().red("a").red("b").green("c").red("a", "z").red("b", "z").state == "closed"


@pytest.mark.parametrize("tool", WORK)
def test_all_work_is_refused_while_open(tool: str) -> None:
    """Also tools that the guard does not know; the evidence is the reds and only a person helps."""
    ruling = opened().ruling(tool, {"test": "d", "tests": ["d"], "command": "ls"})

    assert (ruling.kind, ruling.rule, len(ruling.evidence)) == ("refuse", "R1", 3)
    assert ruling.cleared_by == ("a person, in a terminal",)


@pytest.mark.parametrize("tool", EXITS)
def test_the_exits_stay_open(tool: str) -> None:
    """Looking, recording and ending are allowed while all work is refused."""
    assert opened().ruling(tool).kind == "allow"


def test_neither_time_nor_edits_nor_restarts_nor_checkpoints_close() -> None:
    """Weeks later the first work call is still refused."""
    history = opened().edits().restarts().notes("found it").looks().waits(30 * 86400.0)

    assert history.green("d").last == "refuse R1"
    assert history.state == "open"


def test_a_person_may_start_stop_and_execute_but_not_test_while_open() -> None:
    """Somebody has to find the cause; tests wait for the reset."""
    history = opened()

    for tool in ("start_session", "safe_exec", "drop_run"):
        assert history.ruling(tool, person=True, door="cli").kind == "allow"
        assert history.ruling(tool, person=False, door="mcp").rule == "R1"
    assert history.ruling("run_test", {"test": "d"}, person=True, door="cli").rule == "R1"
    assert history.ruling("plan_run", {"tests": ["d"]}, person=True, door="cli").rule == "R1"


def test_after_a_reset_one_pass_closes_and_one_red_opens() -> None:
    """Half-open is one probe, not three."""
    assert opened().person_resets().state == "half_open"
    assert opened().person_resets().green("a").state == "closed"
    assert opened().person_resets().red("a").state == "open"
    assert opened().person_resets().ruling("run_test", {"test": "a"}).takes_probe
    assert not opened().person_resets().ruling("safe_exec", {"command": "ls"}).takes_probe


def test_nothing_before_a_reset_counts_for_any_rule() -> None:
    """The person has seen it."""
    history = refused(History(), 2).person_resets()

    assert history.red().last == "allow"
    assert history.state == "closed"


def test_thirty_calls_without_news_open() -> None:
    """The judged call included; the twentieth is advised against, once."""
    history = silent(History(), 30)

    assert history.said == ["allow"] * 20 + ["advise R9"] + ["allow"] * 9
    assert history.state == "closed"
    assert history.ran("touch more").last == "refuse R9"
    assert history.state == "open"


@pytest.mark.parametrize("news", [lambda h: h.ran("ls", "f0 f1"), lambda h: h.green("new"), lambda h: h.edits()])
def test_news_or_a_changed_world_ends_the_drought(news: Callable[[History], History]) -> None:
    """A command that shows something new, a verdict, an edit."""
    history = news(silent(History(), 29))

    assert silent(history, 19, 100).last == "allow"
    assert silent(history, 20, 200).last == "refuse R9"


def test_records_and_equal_looks_prolong_a_drought_and_are_not_stopped_by_it() -> None:
    """The next work call is the thirtieth that told nothing; looks at something new are none of them."""
    history = silent(History(), 20)
    for number in range(10):
        history.notes(f"where I am {number}")

    assert history.looks().last == "allow"
    assert history.notes("and here").last == "allow"
    assert history.ran("touch last").last == "refuse R9"
    paging = silent(History(), 20)
    for number in range(40):
        paging.call("job", {"action": "output", "id": "j-1", "offset": number}, result={"next_offset": number + 1})
    assert paging.ran("touch last").last != "refuse R9"


def test_what_no_drought_stops() -> None:
    """A calm wait for live work, a planned slot, work that exists already, a person."""
    history = silent(History(), 30)

    assert history.ruling("safe_exec", {"command": "touch x"}).rule == "R9"
    assert history.ruling("safe_exec", {"command": "touch x"}, live=True).kind == "allow"
    assert history.ruling("safe_exec", {"command": "touch x"}, joins=True).kind == "allow"
    assert history.ruling("safe_exec", {"command": "touch x"}, person=True).kind == "allow"
    assert history.ruling("run_test", {"test": "a"}, planned=True).kind == "allow"


def test_a_second_pass_over_all_tests_is_no_drought() -> None:
    """It tells that they are stable; once one comes round again, all of it told nothing."""
    tests = [f"t{number}" for number in range(40)]
    twice = History(WATCHING)
    for test in [*tests, *tests]:
        twice.green(test)
    command = {"command": "touch x"}

    assert twice.ruling("safe_exec", command, "R9").kind == "allow"
    assert twice.green("t0").ruling("safe_exec", command, "R9").rule == "R9"


def test_the_third_refusal_without_news_opens() -> None:
    """Under R10's name and with the refused rule's evidence; two leave it closed."""
    assert refused(History(), 2).state == "closed"
    third = refused(History(), 2).ruling("run_test", {"test": "portrait"})

    assert (third.rule, third.opens, third.retry_after_s) == ("R10", True, None)
    assert third.evidence == (
        "3 calls refused, nothing new between",
        "it ended with fail twice in the same way, and no file has changed",
    )
    assert refused(History(), 3).state == "open"


def test_news_between_refusals_begins_the_count_anew() -> None:
    """An agent that turned to something useful has listened; one that only looked around has not."""
    assert refused(History(), 2).ran("ls", "a b").red().last == "refuse R2"
    assert refused(History(), 2).looks().looks("report").red().last == "refuse R10"
    assert refused(History().ran("ls", "a b"), 2).ran("ls", "a b").red().last == "refuse R10"


def test_refusals_of_another_day_do_not_count() -> None:
    """Twelve hours are a night; what is refused then begins a new count."""
    history = History().times(4, lambda h: h.ran("make x", "boom", 2))
    assert history.said[2:] == ["refuse R2"] * 2

    history.waits(12 * 3600.0).times(3, lambda h: h.ran("make x", "boom", 2))
    assert history.said[4:] == ["allow", "advise R2", "refuse R2"]


def test_throttled_looks_are_no_refusals() -> None:
    """Looking too often is answered from the last result and never ends in an opening."""
    history = History().times(40, lambda h: h.looks())

    assert history.said.count("throttle R6") == 31
    assert history.state == "closed"


def test_refusals_of_an_open_breaker_keep_their_rule() -> None:
    """Hammering an open breaker opens nothing a second time."""
    history = opened().times(5, lambda h: h.green("d"))

    assert history.said[-5:] == ["refuse R1"] * 5
    assert history.breaker.opened_by == "R1"
