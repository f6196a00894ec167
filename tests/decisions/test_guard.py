"""Who may do what: the guard's laws, whatever the rules say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_e2e.decisions import guard, refusal
from mcp_e2e.decisions.rules import opening
from mcp_e2e.model.calls import Breaker, BreakerState, Call, Limits, Red, Ruling, Window

WORK = ("start_session", "plan_run", "run_test", "safe_exec")
REDS = tuple(Red(f"a-{n}", "portrait", "failed", f"exit code {n}", float(n), "claude (pid 7)") for n in range(3))
OPEN = Window(Breaker(BreakerState.OPEN, 1, Limits(), REDS, "i-1", 3.0, "R1"))
HALF_OPEN = Window(Breaker(BreakerState.HALF_OPEN, 2, incident="i-1"))
PROBING = Window(Breaker(BreakerState.HALF_OPEN, 2, incident="i-1", probe_call=9, probe_lease="x"), probe_alive=True)
ABANDONED = Window(Breaker(BreakerState.HALF_OPEN, 2, incident="i-1", probe_call=9, probe_lease="x"))


def call(tool: str, *, door: str = "mcp", joins: bool = False) -> Call:
    return Call(tool, f"{tool} {{}}", {}, 10.0, "claude (pid 7)", "lease", door, joins=joins)  # type: ignore[arg-type]


@pytest.mark.parametrize("tool", WORK)
def test_work_is_refused_while_the_breaker_is_open(tool: str) -> None:
    """R1 stops every tool that could do something."""
    ruling = guard.judge(OPEN, call(tool))

    assert (ruling.kind, ruling.rule) == ("refuse", "R1")
    assert len(ruling.evidence) == 3


@pytest.mark.parametrize("tool", guard.ALWAYS_ALLOWED)
def test_looking_recording_and_ending_always_work(tool: str) -> None:
    """A breaker that closes the exits makes things worse."""
    assert guard.judge(OPEN, call(tool)).kind == "allow"


@pytest.mark.parametrize(
    ("tool", "kind"),
    [("start_session", "allow"), ("safe_exec", "allow"), ("run_test", "refuse"), ("plan_run", "refuse")],
)
def test_a_person_may_look_for_the_cause_but_not_run_tests(tool: str, kind: str) -> None:
    """The command line starts, stops and executes while the breaker is open."""
    assert guard.judge(OPEN, call(tool, door="cli")).kind == kind


def test_joining_existing_work_is_never_refused() -> None:
    """It starts nothing, and the verdict must reach somebody."""
    assert guard.judge(OPEN, call("run_test", joins=True)) == Ruling()


def test_half_open_lets_one_probe_through() -> None:
    """The first run_test takes the permit, the next is refused until its verdict."""
    assert guard.judge(HALF_OPEN, call("run_test")) == Ruling(takes_probe=True)
    assert guard.judge(PROBING, call("run_test")).kind == "refuse"


def test_a_probe_whose_process_died_frees_its_permit() -> None:
    """Nobody waits for a verdict that cannot come."""
    assert guard.judge(ABANDONED, call("run_test")) == Ruling(takes_probe=True)


@given(st.permutations(guard.RULES))
def test_the_order_of_the_table_changes_no_ruling(rules: list[guard.Rule]) -> None:
    """The strictest rule wins, wherever it stands."""
    assert guard.judge(OPEN, call("run_test"), tuple(rules)) == guard.judge(OPEN, call("run_test"))


@pytest.mark.parametrize("rule", guard.RULES, ids=lambda rule: rule.name)
def test_every_rule_says_its_law_in_a_sentence(rule: guard.Rule) -> None:
    """The law is what docs and refusals quote."""
    assert rule.law.endswith(".")
    assert guard.LAWS[rule.name] == rule.law


@given(st.lists(st.text(max_size=400), min_size=1, max_size=10), st.integers(0, 1))
def test_a_refusal_has_at_most_120_words_in_the_fixed_order(messages: list[str], refused: int) -> None:
    """Not run; rule and evidence; what will not help; what still works; what to tell the user."""
    reds = tuple(Red(f"a-{n}", "portrait", "failed", text, 1.0, "c") for n, text in enumerate(messages))
    window = Window(Breaker(BreakerState.OPEN, 1, Limits(), reds, "i-1", 3.0, "R1"), refusals_in_incident=refused)
    ruling = guard.judge(window, call("run_test"))

    text = refusal.text(window, call("run_test"), ruling, status_line="/opt/x/mcp-e2e status --project /p")

    assert len(text.split()) <= 120
    places = [text.index(part) for part in ("was not run", "Rule R1", "do not help", "Still working", "tell the user")]
    assert places == sorted(places)
    assert "reset" not in text.replace(" ".join(messages), "")


def test_a_refusal_says_the_same_each_time_but_for_the_count() -> None:
    """A model that reads a new sentence each time believes that something has changed."""
    first = refusal.facts(OPEN, Ruling("refuse", "R1"), status_line="s")
    later = refusal.facts(Window(OPEN.breaker, refusals_in_incident=4), Ruling("refuse", "R1"), status_line="s")

    assert {**first, "refusals_in_incident": 5} == later
    assert first["next_step"].endswith("s'.")


@given(st.integers(2, 500))
def test_from_the_third_refusal_on_it_is_said_in_two_sentences(refused: int) -> None:
    """Whoever hammers gets no new text to work on."""
    window = Window(OPEN.breaker, refusals_in_incident=refused)

    text = refusal.text(window, call("run_test"), Ruling("refuse", "R1"), status_line="mcp-e2e status")

    assert text.count(". ") == 1
    assert text.startswith("REFUSED: run_test was not run")
    assert text.endswith("please look at it with: mcp-e2e status'.")


@pytest.mark.parametrize("rule", ["R2", "R3", "R4", "R5", "R7", "R8"])
def test_a_refusal_by_a_closed_breaker_says_what_clears_it(rule: str) -> None:
    """In the same order and length: not run, rule, what does not help, what works, what clears it."""
    cleared = (opening.A_PERSON,) if rule == "R3" else ("a changed file", "waiting")
    ruling = Ruling("refuse", rule, ("word " * 200,) * 3, cleared, retry_after_s=300.0)

    text = refusal.text(Window(Breaker()), call("run_test"), ruling, status_line="/opt/x/mcp-e2e status --project /p")

    assert len(text.split()) <= 120
    parts = ("was not run", f"Rule {rule}", guard.LAWS[rule], "do not help", "Still working", "tell the user")
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert ("a changed file or wait 300 s" in text) == (rule != "R3")


def test_advice_names_rule_tool_and_law() -> None:
    """One sentence of evidence, one of law."""
    said = refusal.advice(call("run_test"), Ruling("advise", "R2", ("2 times fail with the same result",)))

    assert said == f"Rule R2 on run_test: 2 times fail with the same result. {guard.LAWS['R2']}"


def test_watching_stops_nothing_but_what_the_open_breaker_stops() -> None:
    """mode = "observe" tells what it would have done, and does not."""
    watching = Limits(enforce=False)
    refused = Ruling("refuse", "R2")

    assert guard.observed(Window(Breaker(), limits=watching), refused) == Ruling()
    assert guard.observed(Window(OPEN.breaker, limits=watching), refused) == refused
    assert guard.observed(Window(Breaker()), refused) == refused
