"""R4, R7 and R8: going round, asking ever differently, beginning anew."""

from collections.abc import Callable
from itertools import count

import pytest

from tests.decisions.histories import CALM, FREE, WATCHING, History

Word = Callable[[History], History]
START: tuple[str, dict[str, str]] = ("start_session", {})


def lap(history: History) -> History:
    """A service that does not start, and a look at what listens."""
    return history.starts("port 8188 is taken").ran("ss -ltn", "LISTEN 8188")


def green_lap(history: History) -> History:
    return history.starts().ran("ss -ltn", "LISTEN 8188")


def test_three_rounds_with_a_failure_are_refused() -> None:
    """The call that completes the third round; the one that completes the second is advised against."""
    history = lap(lap(History()))
    assert history.said == ["allow"] * 3 + ["advise R4"]

    history.starts("port 8188 is taken")
    assert history.last == "advise R5"
    assert history.ran("ss -ltn", "LISTEN 8188").last == "refuse R4"


def test_the_fourth_round_without_a_failure_is_not_begun() -> None:
    """Three may be made; the third may be completed."""
    ruling = History(WATCHING).times(3, green_lap).ruling(*START, "R4")

    assert (ruling.kind, ruling.evidence[0][:8]) == ("refuse", "3 rounds")
    assert (
        History(WATCHING).times(2, green_lap).starts().ruling("safe_exec", {"command": "ss -ltn"}, "R4").kind == "allow"
    )


@pytest.mark.parametrize("period", [2, 3, 4, 5])
def test_rounds_of_two_to_five_calls_are_seen(period: int) -> None:
    """From whichever call they are counted; not of six."""

    def around(history: History) -> History:
        for step in range(period - 1):
            history.ran(f"step {step}", "same")
        return history.starts("port taken")

    almost = History(WATCHING).times(3, around)
    assert almost.ruling("safe_exec", {"command": "step 0"}, "R4").kind == "refuse"
    assert almost.ran("step 0", "same").ruling(*START, "R4").kind == ("refuse" if period == 2 else "allow")


def test_rounds_of_six_calls_are_no_cycle() -> None:
    """Whoever does five different things in between is left to the drought."""
    history = History(WATCHING)
    for step in list(range(6)) * 4:
        history.ran(f"step {step}", "boom", 1)

    assert history.ruling("safe_exec", {"command": "step 0"}, "R4").kind == "allow"


@pytest.mark.parametrize(
    "other",
    [
        lambda h: lap(h.edits()),
        lambda h: h.starts("port 8188 is taken").ran("ss -ltn", f"LISTEN {len(h.said)}"),
        lambda h: lap(h).ran(f"echo {len(h.said)}", "x"),
    ],
    ids=["an edit in each round", "another result in each round", "another call in each round"],
)
def test_a_round_that_differs_is_no_cycle(other: Word) -> None:
    """A changed world, an unseen result, another call between."""
    assert "refuse R4" not in History(WATCHING).times(9, other).said
    assert History(WATCHING).times(9, other).ruling(*START, "R4").kind == "allow"


def test_what_no_cycle_stops() -> None:
    """Planned slots, work that exists already, a calm wait for live work, a person, looks and records."""
    command = {"command": "ss -ltn"}
    history = lap(lap(History())).starts("port 8188 is taken")
    assert history.ruling("safe_exec", command).rule == "R4"

    history.waits(10.0)
    for free in (*FREE, CALM, {"planned": True}):
        assert history.ruling("safe_exec", command, "R4", **free).kind == "allow"
    slots = History().plans("a", "b", count=20).times(10, lambda h: h.green("a").notes("x").green("b").notes("y"))
    assert set(slots.said) == {"allow"}
    assert not any("R4" in said for said in History().times(6, lambda h: h.looks("status").looks("report")).said)


def searches(history: History, times: int, output: str = "no match", first: int = 0) -> History:
    numbers = count(first)
    return history.times(times, lambda h: h.ran(f"grep -n foo part{next(numbers)}.py", output))


def test_nine_commands_of_one_program_with_one_output_are_refused() -> None:
    """The fifth is advised against; eight run."""
    history = searches(History(), 9)

    assert history.said == ["allow"] * 4 + ["advise R7"] + ["allow"] * 3 + ["refuse R7"]
    assert history.ruling("safe_exec", {"command": "grep -n x y"}).evidence == ("8 commands gave the same output",)


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h.edits(),
        lambda h: h.ran("grep -n foo all.py", "3: foo"),
        lambda h: h.green("portrait"),
        lambda h: h.starts(),
    ],
    ids=["an edit", "another output", "a verdict", "a session"],
)
def test_news_begins_the_search_anew(change: Word) -> None:
    """Seven more may run."""
    assert "refuse R7" not in searches(change(searches(History(), 7)), 7, first=20).said


def test_a_program_not_tried_yet_gets_one_more() -> None:
    """Not if another one has just used it; the same program is known in whatever it is wrapped."""
    history = searches(History(), 8)

    assert history.ruling("safe_exec", {"command": "cd src && timeout 9 grep foo x"}).rule == "R7"
    assert history.ran("rg foo", "no match").last == "allow"
    assert history.ruling("safe_exec", {"command": "ag foo"}).rule == "R7"


@pytest.mark.parametrize("exit_code", [0, 1])
def test_commands_that_say_nothing_are_no_stagnation(exit_code: int) -> None:
    """``mkdir``, ``cp`` and ``test`` answer without a word; the drought counts them."""
    numbers = count()
    silent = History(WATCHING).times(12, lambda h: h.ran(f"test -f part{next(numbers)}.py", "", exit_code))

    assert silent.ruling("safe_exec", {"command": "test -f x"}, "R7").kind == "allow"


def test_what_no_stagnation_stops() -> None:
    """Work that exists already, a calm wait for live work, a person."""
    for free in (*FREE, CALM):
        assert searches(History(), 8).ruling("safe_exec", {"command": "grep -n x y"}, **free).kind == "allow"


def planned(history: History) -> History:
    return history.plans("portrait", count=5)


def reset(history: History) -> History:
    return history.call("reset_run", {}, "ok", {"state": "none"})


def dropped(history: History) -> History:
    return history.call("drop_run", {}, "ok", {"state": "dropped"})


@pytest.mark.parametrize("anew", [History.starts, planned, reset, dropped])
def test_the_fifth_beginning_without_news_is_refused(anew: Word) -> None:
    """The third is advised against."""
    assert History().times(5, anew).said == ["allow", "allow", "advise R8", "allow", "refuse R8"]


@pytest.mark.parametrize("anew", [History.starts, planned, reset])
def test_an_edit_makes_a_beginning_worth_while(anew: Word) -> None:
    """A restart of the server, a look and a note do not."""
    assert anew(History().times(4, anew).edits()).last == "allow"
    assert anew(History().times(4, anew).restarts().looks().notes("again")).last == "refuse R8"


def test_a_verdict_not_seen_before_makes_a_beginning_worth_while() -> None:
    """The same green of the same planned test does not make the same plan worth while."""
    names = (f"t{number}" for number in count())

    assert "refuse R8" not in planned(History()).times(9, lambda h: planned(h.green(next(names)))).said
    again = History().green().times(5, lambda h: planned(h).green().notes("fine"))
    assert again.said.index("refuse R8") == 1 + 4 * 3


def test_a_pass_makes_a_session_worth_while() -> None:
    """Four sessions for one test each are honest; a red seen before shows nothing."""
    assert "refuse R8" not in History(WATCHING).times(9, lambda h: h.starts().green()).said
    reds = History(WATCHING).red().times(4, History.starts).red()
    assert reds.ruling(*START, "R8").kind == "refuse"
    greens = History(WATCHING).green().times(4, History.starts).green()
    assert greens.ruling(*START, "R8").kind == "allow"


def test_different_plans_are_not_the_same() -> None:
    """Nor is a plan with another count; labels and unknown arguments make none other."""
    numbers = count(1)
    assert set(History().times(9, lambda h: h.plans("a", count=next(numbers))).said) == {"allow"}
    labelled = History().times(5, lambda h: h.call("plan_run", {"tests": ["a"], "label": len(h.said)}))
    assert labelled.last == "refuse R8"


def test_what_may_always_begin_anew() -> None:
    """A session that somebody starts already, and a person."""
    for free in FREE:
        assert History().times(4, History.starts).ruling(*START, **free).kind == "allow"
