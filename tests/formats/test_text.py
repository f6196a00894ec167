import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_e2e.formats.clean import clean, span
from mcp_e2e.formats.text import KEPT, clip, plain

SCALARS = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ANSWERS = st.dictionaries(st.text(max_size=12), VALUES, max_size=8)
FEW = settings(max_examples=60, deadline=None)
SENTENCES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=60)
KEYS = st.text(st.characters(categories=["L"]), min_size=1, max_size=12).filter(lambda key: key != "next_step")


@FEW
@given(st.dictionaries(KEYS, VALUES, max_size=8), SENTENCES)
def test_next_step_is_always_the_last_line_and_no_value_can_forge_one(data, step):
    """Output of a test that looks like our own words is indented or cannot begin a line."""
    lines = plain({"next_step": step, **data}).splitlines()
    assert lines[-1] == f"next_step: {step}"
    assert [line for line in lines if line.startswith("next_step")] == [lines[-1]]


@FEW
@given(ANSWERS)
def test_text_for_terminals_holds_no_control_characters(data):
    """A log can neither steer a terminal nor break UTF-8."""
    text = plain(data)
    text.encode("utf-8")
    assert clean(text) == text


def test_an_answer_reads_as_short_lines():
    """Scalars and small objects on one line, blocks indented, long lists one item a line, empty things left out."""
    answer = {
        "next_step": "Call run_test.",
        "run": "r1",
        "slow": False,
        "slot": 0,
        "note": None,
        "files": {},
        "nothing": {"a": None, "b": [""]},
        "duration_s": 2.5000001,
        "position": {"done": 2, "total": 10, "current": "3/10 portrait"},
        "tests": ["portrait", "upscale"],
        "slots": [f"{n}/12 a rather long name of a test" for n in range(1, 6)],
        "log_tail": "\x1b[31mTraceback\x1b[0m\r\n  boom\n",
        "history": [{"verdict": "failed", "log_tail": "a\nb"}, {"verdict": "passed"}],
    }
    assert plain(answer) == (
        "run: r1\n"
        "slow: no\n"
        "slot: 0\n"
        "duration_s: 2.5\n"
        "position: done=2, total=10, current=3/10 portrait\n"
        "tests: portrait, upscale\n"
        "slots:\n"
        "  - 1/12 a rather long name of a test\n"
        "  - 2/12 a rather long name of a test\n"
        "  - 3/12 a rather long name of a test\n"
        "  - 4/12 a rather long name of a test\n"
        "  - 5/12 a rather long name of a test\n"
        "log_tail:\n"
        "  Traceback\n"
        "    boom\n"
        "history:\n"
        "  - verdict: failed\n"
        "    log_tail:\n"
        "      a\n"
        "      b\n"
        "  - verdict=passed\n"
        "next_step: Call run_test."
    )


@FEW
@given(ANSWERS, st.integers(400, 3000))
def test_a_clipped_answer_is_within_its_bound_and_says_what_it_lost(data, limit):
    """Whatever is in it; and an answer that fits is not touched."""
    whole = {
        **data,
        "next_step": "Call report.",
        "verdict": "failed",
        "code": "x",
        "position": {"run": "r1", "done": 1},
    }
    cut = clip(whole, limit)
    assert len(json.dumps(cut)) <= limit
    assert all(cut[key] == whole[key] for key in KEPT)
    if len(json.dumps(whole)) <= limit:
        assert cut == whole
    else:
        assert cut["clipped"]


@FEW
@given(st.text(max_size=60), st.integers() | st.text(max_size=80))
def test_very_many_small_fields_are_dropped_and_counted(name, value):
    """The bound holds even where no single field is long."""
    whole = {**{f"{n}{name}": value for n in range(300)}, "next_step": "Call report."}
    cut = clip(whole, 2000)
    assert len(json.dumps(cut)) <= 2000
    assert cut["next_step"] == "Call report."
    assert "more" in cut["clipped"]


@FEW
@given(st.text(min_size=10, max_size=40), st.integers(300, 500))
def test_a_long_string_keeps_head_and_tail_around_an_honest_marker(piece, times):
    """The marker counts the characters that are missing, also for text that JSON escapes."""
    text = piece * times
    cut = clip({"log_tail": text, "next_step": "x"}, 2000)["log_tail"]
    head, rest = cut.rsplit("\n[... ", 1)
    missing, tail = rest.split(" characters left out ...]\n", 1)
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) + int(missing) + len(tail) == len(text)


def test_the_longest_strings_and_lists_pay_first():
    """A huge log is cut, a short message and ids beside it stay whole; room is used, not wasted."""
    whole = {
        "failure": {"kind": "assertion", "message": "2 images instead of 1"},
        "evidence": {"log_tail": "x" * 50_000, "exit_code": 1},
        "tests": [{"slot": n, "test": "portrait", "outcome": "passed"} for n in range(400)],
        "next_step": "Call report.",
    }
    cut = clip(whole)
    assert cut["failure"] == whole["failure"]
    assert cut["evidence"]["exit_code"] == 1
    assert cut["tests"] == whole["tests"][: len(cut["tests"])]
    assert 7800 < len(json.dumps(cut)) <= 8192
    assert "tests (" in cut["clipped"]
    assert "of 400 items)" in cut["clipped"]


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, ""), (0.84, "0.8 s"), (42.2, "42 s"), (185, "3 min 5 s"), (7440, "2 h 4 min")]
)
def test_durations_read_as_people_say_them(seconds, words):
    """Short ones keep a decimal, long ones lose their seconds."""
    assert span(seconds) == words
