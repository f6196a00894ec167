"""Noise is blanked, news stays."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_e2e.decisions.likeness import MOST_CHARACTERS, canonical, command_line, digest, program, without_noise, written

SAME = {
    "uuid": (
        "prompt 3fa85f64-5717-4562-b3fc-2c963f66afa6 failed",
        "prompt 9C858901-8a57-4791-81fe-4c455b099bc9 failed",
    ),
    "date and time": ("2026-11-22T10:00:01Z boom", "2026-11-23 10:07:44.123+01:00 boom"),
    "time of day": ("[10:00:01.123] boom", "[10:07:44] boom"),
    "seconds since 1970": ("started at 1763805601.25: boom", "started at 1763809999: boom"),
    "duration": ("1 failed, 2 passed in 12.31s", "1 failed, 2 passed in 9.4s"),
    "duration in words": ("no answer after 30 seconds", "no answer after 31.5 seconds"),
    "memory": ("CUDA out of memory: tried 2.50 GiB, free 10.25 MiB", "CUDA out of memory: tried 2.75 GiB, free 1 MiB"),
    "temporary file": (
        "cannot read /tmp/pytest-of-me/pytest-12/out.png",
        "cannot read /tmp/pytest-of-me/pytest-13/x.png",
    ),
    "temporary file of a Mac": ("no /var/folders/x1/T/a.png", "no /private/var/folders/zz/T/b.png"),
    "temporary file of Windows": (
        r"no C:\Users\me\AppData\Local\Temp\a.png",
        r"no C:\Users\me\AppData\Local\Temp\b.png",
    ),
    "line of a file": ("tests/test_a.py:12: AssertionError", "tests/test_a.py:15:8: AssertionError"),
    "line of a traceback": ('File "a.py", line 12, in run', 'File "a.py", line 31, in run'),
    "process": ("process 4101 was killed (pid=4101)", "process 77 was killed (pid=77)"),
    "address": ("<Node object at 0x7f0011223344>", "<Node object at 0x7F99AA>"),
    "hash": ("tensor 54c9ef8e945af285 has NaN", "tensor 1657d744ceaac874 has NaN"),
    "port of the system's choice": ("127.0.0.1:43121 refused the connection", "127.0.0.1:51988 refused the connection"),
    "volatile field": ('{"state": "x", "elapsed_s": 12.4, "now": 17}', '{"state": "x", "elapsed_s": 99, "now": 18}'),
    "id in a field": ("{'prompt_id': 'abc', 'node': 4}", "{'prompt_id': 'xyz', 'node': 4}"),
    "try": ("attempt 1 failed: refused", "attempt 2 failed: refused"),
    "colours and spaces": ("\x1b[31mFAILED\x1b[0m  a.py\n\n - boom ", "FAILED a.py - boom"),
}
DIFFERENT = {
    "wrong value": ("Value not in list: 'eulr' not in ['euler']", "Value not in list: 'eular' not in ['euler']"),
    "repaired value": ("sampler_name: 'eulr'", "sampler_name: 'euler'"),
    "fewer failures": ("5 failed, 12 passed in 3.1s", "3 failed, 14 passed in 3.1s"),
    "size": ("expected 512 pixels, got 256", "expected 512 pixels, got 255"),
    "node": ("error in node 4 (KSampler)", "error in node 7 (KSampler)"),
    "file": ("No such file: models/vae.safetensors", "No such file: models/clip.safetensors"),
    "numbered file": ("out_01.png is blank", "out_02.png is blank"),
    "place in the tree": ("/home/me/app/a/conf.py is missing", "/home/me/app/b/conf.py is missing"),
    "class of the error": ("TypeError: boom", "ValueError: boom"),
    "exit code": ("exit code 1", "exit code 137"),
    "number of the error": ("[Errno 2] cannot open", "[Errno 28] cannot open"),
    "answer of a server": ("HTTP 404 for /prompt", "HTTP 500 for /prompt"),
    "port": ("localhost:8188 refused", "localhost:8189 refused"),
    "measure": ("similarity 0.91 below 0.95", "similarity 0.93 below 0.95"),
    "word of hexadecimal letters": ("facade not found", "decade not found"),
    "progress": ("step 3/20", "step 4/20"),
    "port of an address": ("127.0.0.1:8188 refused the connection", "127.0.0.1:8189 refused the connection"),
    "file of a service": ("/var/lib/comfy/vae.pt is missing", "/var/lib/comfy/clip.pt is missing"),
    "file of the project": ("src/private/key.pem is missing", "src/private/cert.pem is missing"),
}


@pytest.mark.parametrize(("one", "two"), SAME.values(), ids=SAME)
def test_what_a_machine_puts_in_anew_is_no_news(one: str, two: str) -> None:
    """Ids, addresses, temporary files, points in time, durations, sizes with units, line numbers."""
    assert without_noise(one) == without_noise(two)


@pytest.mark.parametrize(("one", "two"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_a_cause_is_made_of_stays(one: str, two: str) -> None:
    """Values, bare numbers, names: whoever changed one of them has changed something."""
    assert without_noise(one) != without_noise(two)


def test_hashes_stay_where_they_may_be_the_answer() -> None:
    """``git rev-parse`` after a commit tells something new; an error with a hash in it does not."""
    one, two = "54c9ef8e945af285", "1657d744ceaac874"

    assert without_noise(one) == without_noise(two)
    assert without_noise(one, hashes=True) != without_noise(two, hashes=True)


def test_of_a_long_text_beginning_and_end_are_compared() -> None:
    """A flood in the middle, of whatever length, changes nothing; its last line does."""
    head, tail = "first line. " * 200, " last line." * 600
    one, two = (head + "flood " * times + tail for times in (2000, 9000))

    assert without_noise(one) == without_noise(two)
    assert without_noise(one + "!") != without_noise(two)
    assert len(without_noise(two)) <= MOST_CHARACTERS + 10


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=200))
def test_blanking_twice_is_blanking_once(text: str) -> None:
    """A signature may be compared with a stored one."""
    assert without_noise(without_noise(text)) == without_noise(text)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("caf\u00e9", "cafe\u0301"),
        (" portrait\n", "portrait"),
        (1.0, 1),
        ({"b": 1, "a": {"d": 2.0, "c": 3}}, {"a": {"c": 3, "d": 2}, "b": 1}),
        ({"a": 1, "b": None}, {"a": 1}),
        ([1.0, {"x": None}], (1, {})),
        ({"cafe\u0301": 1}, {"caf\u00e9": 1}),
    ],
    ids=["composed", "trimmed", "whole float", "order", "unset", "in a list", "key"],
)
def test_equal_values_are_written_alike(one: object, two: object) -> None:
    """However an agent has spelt them."""
    assert written(one) == written(two)


@pytest.mark.parametrize(
    ("one", "two"),
    [("1", 1), (1.5, 1), ([1, 2], [2, 1]), ({"a": ""}, {}), ({"a": 0}, {}), ("Portrait", "portrait"), (True, "true")],
)
def test_different_values_are_written_differently(one: object, two: object) -> None:
    """The order of a list, a case, a kind of value select other work."""
    assert written(one) != written(two)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=8,
)


@settings(max_examples=25, deadline=None)
@given(JSON)
def test_a_canonical_value_is_its_own_canonical_form(value: object) -> None:
    """So that identities may be compared whenever they were made."""
    assert canonical(canonical(value)) == canonical(value)
    assert written(canonical(value)) == written(value)


@settings(max_examples=25, deadline=None)
@given(st.text(alphabet=st.characters(), max_size=20))
def test_every_text_has_a_digest(text: str) -> None:
    """Also what no encoding can write."""
    assert len(digest(text)) == 16


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("pytest -q tests", "pytest"),
        ("cd x && timeout 60 python -m pytest -q", "pytest"),
        ("cd x; A=1 B='2' nice pytest # again", "pytest"),
        ("bash -lc 'cd x && pytest -q'", "pytest"),
        ('/bin/sh -c "exec env A=1 make y"', "make"),
        ("/usr/bin/python3.11 a.py", "python"),
        ("/opt/tools/ffmpeg -i a b", "ffmpeg"),
        ("nohup time make x", "make"),
        ("'an open quote", "'an"),
        ("", ""),
    ],
)
def test_a_program_is_known_in_whatever_it_is_wrapped(line: str, name: str) -> None:
    """What runs at heart."""
    assert program(line) == name


def test_a_comment_selects_no_work() -> None:
    """A trailing one; a ``#`` in quotes or in a word is none."""
    assert command_line("make x  # second try") == "make x"
    assert command_line("echo 'a # b'") == "echo 'a # b'"
    assert command_line("curl localhost/#top") == "curl localhost/#top"
